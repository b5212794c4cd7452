//! `gpt2 convert`: conversion of a preset to another format.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use burn::tensor::{DType, Tensor};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gpt2_backbone::{Gpt2Backbone, update_parameters};
use gpt2_presets::{Preset, PresetFormat, Save, WeightDtype, check_replaceable};
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId};

use gpt2_files::{Destination, FileError};
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::model;
use crate::values::parse_gigabytes;

/// Supported formats.
const FORMATS: [&str; 3] = ["keras", "transformers", "gguf"];

const EXAMPLES: &str = "\
Examples:
  gpt2 convert hf://openai-community/gpt2 gpt2-keras
  gpt2 convert gpt2_base_en gpt2.gguf --dtype f16 --verify";

/// Convert a preset to another format, one parameter in memory at a time
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Built-in name; handle hf://, kaggle:// or modelscope://; folder; .keras file; or GGUF file
    source: String,
    /// Folder to write, or a .gguf file; a failed conversion leaves nothing behind
    destination: PathBuf,
    /// Format to write [default: gguf for NAME.gguf; else transformers for a source in Keras'
    /// format, and keras for other sources]
    #[arg(long, value_parser = PossibleValuesParser::new(FORMATS).try_map(|name| name.parse::<PresetFormat>()))]
    to: Option<PresetFormat>,
    /// Element type of the weights: float32, float16 or bfloat16; also f32, f16, bf16
    #[arg(long, default_value = "float32", value_name = "TYPE")]
    dtype: WeightDtype,
    /// Split weights into files of at most this size; a larger tensor, or with keras a larger
    /// layer, has a file of its own [default: 50 for transformers, 10.7 for keras]
    #[arg(long, value_name = "GB", value_parser = parse_gigabytes)]
    max_shard_size: Option<u64>,
    /// Load source and result and compare their logits before the destination is renamed into place
    #[arg(long)]
    verify: bool,
    /// Replace the destination: a GGUF file if one is written, or a folder that is empty or has a
    /// preset and nothing else
    #[arg(long)]
    force: bool,
}

/// Endings of files, and the format of their library.
const ENDINGS: [(&str, PresetFormat); 5] = [
    ("gguf", PresetFormat::Gguf),
    ("keras", PresetFormat::Keras),
    ("h5", PresetFormat::Keras),
    ("safetensors", PresetFormat::Transformers),
    ("bin", PresetFormat::Transformers),
];

/// Format of `--to`, or GGUF by the path's ending. Returns an error for a path that ends as a
/// file's if the format is written as a folder.
fn format_of(path: &Path, to: Option<PresetFormat>) -> anyhow::Result<Option<PresetFormat>> {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let named = ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
    match (to, named.map(|(_, format)| *format)) {
        (Some(PresetFormat::Gguf), _) | (None, Some(PresetFormat::Gguf)) => {
            Ok(Some(PresetFormat::Gguf))
        }
        (to, None) => Ok(to),
        (to, Some(named)) => {
            let format = to.unwrap_or(named);
            bail!(
                "cannot write `{}`: the format {format} is written as a folder, not as a .{ending} \
                 file; pass a folder's name with --to {format}",
                path.display()
            )
        }
    }
}

/// Whether a parameter is stored in the requested type. GGUF files store norms, biases and the
/// position embedding as 32-bit floats.
fn rounds(to: PresetFormat, parameter: &str, shape: &[usize]) -> bool {
    to != PresetFormat::Gguf || (shape.len() > 1 && !parameter.contains("position_embedding"))
}

/// Weights rounded as in a file of this format and type.
fn round(backbone: Gpt2Backbone, dtype: WeightDtype, to: PresetFormat) -> Gpt2Backbone {
    if dtype == WeightDtype::F32 {
        return backbone;
    }
    let round = |values: Tensor<1>| values.cast(dtype.tensor()).cast(DType::F32);
    update_parameters(
        backbone,
        |path, shape, values| {
            if rounds(to, path, shape) { round(values) } else { values }
        },
    )
}

/// Writes next to the destination, compares, and renames.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let Arguments { source, destination, to, dtype, verify, force, .. } = arguments;
    // All checks of the arguments come before anything is opened or downloaded.
    let to = format_of(destination, *to)?;
    if let (Some(PresetFormat::Gguf), Some(_)) = (to, arguments.max_shard_size) {
        bail!("--max-shard-size: a GGUF file is never split");
    }
    let destination = writable(destination, to, *force)?;
    let preset = model::open(source, context)?;
    let is_keras = preset.format() == PresetFormat::Keras;
    let to = to.unwrap_or(if is_keras { PresetFormat::Transformers } else { PresetFormat::Keras });
    let staged = destination.stage()?;
    write(&preset, to, staged.path(), arguments, context)?;
    let mut verified = None;
    if *verify {
        let tokens = compare(&preset, staged.path(), to, *dtype, context)?;
        verified = Some(tokens);
        if !context.json {
            context.print(format_args!("verified: the logits of {tokens} tokens differ by 0"))?;
        }
    }
    staged.commit().map_err(with_flag)?;
    let (path, format) = (arguments.destination.display(), to.name());
    if context.json {
        context.print_json(json!({
            "source": source,
            "destination": arguments.destination,
            "format": format,
            "dtype": dtype.name(),
            "verified_tokens": verified,
        }))?;
    } else {
        context.print(format_args!("{source} -> {path} ({format}, {dtype})"))?;
    }
    Ok(Answer::Yes)
}

/// The destination, if it may be written. Without a format a folder is written.
fn writable(path: &Path, to: Option<PresetFormat>, force: bool) -> anyhow::Result<Destination<'_>> {
    match to {
        _ if !force => Destination::new(path).map_err(with_flag),
        Some(PresetFormat::Gguf) => {
            Ok(Destination::replacing(path, |path| check_replaceable(path, PresetFormat::Gguf))?)
        }
        _ => Ok(Destination::replacing(path, |path| check_replaceable(path, PresetFormat::Keras))?),
    }
}

/// The error with a remedy in terms of this command's flags.
fn with_flag(error: FileError) -> anyhow::Error {
    match error {
        FileError::Exists { path } => {
            anyhow!("{} exists already; pass --force to replace it", path.display())
        }
        error => error.into(),
    }
}

fn write(
    preset: &Preset,
    to: PresetFormat,
    path: &Path,
    arguments: &Arguments,
    context: &Context,
) -> anyhow::Result<()> {
    let Arguments { dtype, max_shard_size, .. } = arguments;
    let mut options = model::save_options(to, context).with_dtype(*dtype);
    if let Some(size) = max_shard_size {
        options = options.with_max_shard_size(*size);
    }
    Ok(preset.save(path, options)?)
}

/// Compares logits, which must be equal bit for bit: every format stores its floats exactly.
/// Returns the number of tokens.
fn compare(
    source: &Preset,
    written: &Path,
    to: PresetFormat,
    dtype: WeightDtype,
    context: &Context,
) -> anyhow::Result<usize> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let path = written.to_str().context("the destination's path must be UTF-8 to verify it")?;
    // Only one model at a time is in memory.
    let options = || model::load_options(&device, context);
    let expected = logits(round(source.backbone(options())?, dtype, to))?;
    let found = logits(Preset::open(path)?.backbone(options())?)?;
    let pairs = || expected.iter().zip(&found);
    if expected.len() != found.len() || pairs().any(|(one, other)| one.to_bits() != other.to_bits())
    {
        let difference = pairs().map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        bail!(
            "the written preset does not compute its source's logits: they differ by up to \
             {difference:e}"
        );
    }
    Ok(expected.len() / source.config().vocabulary_size)
}

/// Logits of a fixed text of at most 32 tokens.
fn logits(backbone: Gpt2Backbone) -> anyhow::Result<Vec<f32>> {
    let config = backbone.config();
    let length = config.max_sequence_length.min(32);
    let ids = (0..length).map(|position| (position * 7919 % config.vocabulary_size) as TokenId);
    let tokens = TokenBatch::unpadded([ids.collect::<Vec<_>>()])?;
    let model = Gpt2CausalLm::new(backbone, None)?;
    Ok(model.score_logits(&tokens)?.try_into_vec_as()?)
}
