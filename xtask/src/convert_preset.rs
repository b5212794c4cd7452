//! `cargo xtask convert-preset`: a preset of one format to one of the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use burn::tensor::DType;
use clap::ValueEnum;
use gpt2_backbone::{Gpt2Backbone, update_parameters};
use gpt2_presets::{
    ExportDtype, ExportOptions, ExportToTransformers, Preset, PresetFormat, SaveToPreset,
};
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId};

/// Writes a preset in Keras' or transformers' format.
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name, or a folder in either format
    source: String,
    /// Folder to write; it appears whole or not at all
    destination: PathBuf,
    /// Format to write [default: the one that the source is not]
    #[arg(long)]
    to: Option<Format>,
    /// Element type of the weights; Keras' format is written in 32-bit floats only
    #[arg(long, default_value = "f32")]
    dtype: Dtype,
    /// Load the result and compare its logits with the source's before it gets its name
    #[arg(long)]
    verify: bool,
    /// Replace the destination if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Keras,
    Transformers,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

impl Dtype {
    fn export(self) -> ExportDtype {
        match self {
            Self::F32 => ExportDtype::F32,
            Self::F16 => ExportDtype::F16,
            Self::Bf16 => ExportDtype::Bf16,
        }
    }

    /// The weights as this type holds them.
    fn round(self, backbone: Gpt2Backbone) -> Gpt2Backbone {
        let dtype = match self {
            Self::F32 => return backbone,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        };
        update_parameters(backbone, |_, _, values| values.cast(dtype).cast(DType::F32))
    }
}

/// Loads, writes beside the destination, and renames.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { source, destination, to, dtype, verify, force } = arguments;
    let exists = destination.symlink_metadata().is_ok();
    if exists && !force {
        bail!("{} exists already; pass --force to replace it", destination.display());
    }
    let device = gpt2_backbone::parse_device("cpu")?;
    let preset = Preset::open(source)?;
    let model = preset.causal_lm(&device)?;
    let to = to.unwrap_or(match preset.format() {
        PresetFormat::Keras => Format::Transformers,
        PresetFormat::Transformers | PresetFormat::Gguf => Format::Keras,
    });

    ensure!(
        matches!(to, Format::Transformers) || *dtype == Dtype::F32,
        "--dtype: Keras' format is written in 32-bit floats only; pass --to transformers"
    );

    let staged = Staged::new(destination)?;
    match to {
        Format::Keras => model.save_to_preset(&staged.folder)?,
        Format::Transformers => {
            let options = ExportOptions::new().with_dtype(dtype.export());
            model.export_to_transformers_with(&staged.folder, &options)?;
        }
    }
    if *verify {
        let rounded = Gpt2CausalLm::new(dtype.round(model.into_backbone()), None)?;
        compare(&rounded, &staged.folder)?;
    }
    staged.commit(exists)?;
    println!("{} -> {}", source, destination.display());
    Ok(ExitCode::SUCCESS)
}

/// A folder beside the destination, which is removed unless it gets the destination's name.
struct Staged<'a> {
    folder: PathBuf,
    destination: &'a Path,
}

impl<'a> Staged<'a> {
    fn new(destination: &'a Path) -> anyhow::Result<Self> {
        let folder = beside(destination, "partial")?;
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self { folder, destination })
    }

    /// Renames the folder; what had the name before is removed last.
    fn commit(self, replace: bool) -> anyhow::Result<()> {
        let old = beside(self.destination, "old")?;
        if replace {
            fs::rename(self.destination, &old)
                .with_context(|| format!("moving {} aside", self.destination.display()))?;
        }
        if let Err(error) = fs::rename(&self.folder, self.destination) {
            if replace {
                fs::rename(&old, self.destination)
                    .with_context(|| format!("restoring it from {}", old.display()))?;
            }
            return Err(error).with_context(|| format!("naming {}", self.destination.display()));
        }
        if replace {
            let removed =
                if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            removed.with_context(|| format!("removing {}", old.display()))?;
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Absent once it was renamed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A name that nobody else uses, in the destination's own folder, so that a rename suffices.
fn beside(destination: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let name = destination.file_name().context("the destination must be a folder's name")?;
    let name = format!(".{}.{}-{what}", name.to_string_lossy(), std::process::id());
    Ok(destination.with_file_name(name))
}

/// Both formats hold the floats that they were given, so that not one bit may differ.
fn compare(model: &Gpt2CausalLm, folder: &Path) -> anyhow::Result<()> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let path = folder.to_str().context("the destination's path must be UTF-8 to verify it")?;
    let written = Preset::open(path)?.causal_lm(&device)?;
    let config = model.backbone().config();
    let length = config.max_sequence_length.min(32);
    let ids = (0..length).map(|position| (position * 7919 % config.vocabulary_size) as TokenId);
    let tokens = TokenBatch::unpadded(vec![ids.collect()])?;
    let logits = |model: &Gpt2CausalLm| -> anyhow::Result<Vec<f32>> {
        Ok(model.score_logits(&tokens, None)?.try_into_vec_as()?)
    };
    ensure!(
        logits(model)? == logits(&written)?,
        "the written preset computes other logits than its source"
    );
    Ok(())
}
