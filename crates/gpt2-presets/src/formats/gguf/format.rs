//! llama.cpp's format: one file with config, tokenizer and weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_files::{FileError, read_error};
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::format::{Format, OpenedPreset};
use crate::formats::gguf::file::GgufFile;
use crate::formats::gguf::keys::TOKENIZER_MODEL;
use crate::formats::gguf::magic::{check_replaced, has_magic};
use crate::formats::gguf::opened_file::OpenedFile;
use crate::formats::gguf::weight_map::{GGUF, HEAD, TOKEN_EMBEDDING};
use crate::formats::gguf::{config, tokenizer, write};
use crate::formats::preset_format::PresetFormat;
use crate::source::preset_folder::PresetFolder;
use crate::source::single_file::SingleFile;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;

/// Internal name of the preset's only file, whose name on the disk may differ.
const GGUF_FILE: &str = "model.gguf";
/// Usual extension of GGUF files.
const GGUF_EXTENSION: &str = "gguf";

/// The format.
#[derive(Debug)]
pub(crate) struct Gguf;

/// A GGUF file whose header was read.
#[derive(Debug)]
struct GgufPreset(OpenedFile);

impl Format for Gguf {
    fn weight_map(&self) -> &'static WeightMap {
        &GGUF
    }

    fn folder_of_file(&self, path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        let is_gguf = is_named_gguf(path) || has_magic(path)?;
        Ok(is_gguf.then(|| -> Arc<dyn PresetFolder> { Arc::new(SingleFile::new(path, GGUF_FILE)) }))
    }

    /// Opens a file, or a folder with a single GGUF file and no `config.json`.
    fn open(
        &'static self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError> {
        if config.is_some() {
            return Ok(None);
        }
        let file = if folder.only_file() == Some(GGUF_FILE) {
            folder.clone()
        } else if let Some(directory) = folder.directory()
            && let Some(path) = only_gguf_in(directory, preset)?
        {
            Arc::new(SingleFile::new(path, GGUF_FILE))
        } else {
            return Ok(None);
        };
        Ok(Some(Arc::new(GgufPreset(OpenedFile::open(file, GGUF_FILE)?))))
    }

    fn check_replaced_file(&self, path: &Path) -> Option<Result<(), FileError>> {
        Some(check_replaced(path))
    }

    fn name(&self) -> PresetFormat {
        PresetFormat::Gguf
    }

    fn write(
        &self,
        contents: Contents<'_>,
        file: &Path,
        options: &WriteOptions,
    ) -> Result<(), PresetError> {
        write::write(contents, file, options)
    }
}

impl OpenedPreset for GgufPreset {
    fn format(&self) -> PresetFormat {
        PresetFormat::Gguf
    }

    /// Older converters wrote a tied output layer as a second tensor. If it equals the token
    /// embedding, bit for bit, the layer is tied.
    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError> {
        let header = self.0.header();
        let config = config::backbone_config(header)?;
        // An output layer of an unsupported type cannot be compared; loading its weights will be an
        // error.
        let tensor_type = |name| header.tensors.get(name).map(|tensor| tensor.tensor_type);
        let tie_weights = match tensor_type(HEAD) {
            None => true,
            Some(head) if head.element.is_some() && Some(head) == tensor_type(TOKEN_EMBEDDING) => {
                self.checkpoint(false)?.are_equal(HEAD, TOKEN_EMBEDDING)?
            }
            Some(_) => false,
        };
        Ok(Gpt2BackboneConfig { tie_weights, ..config })
    }

    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError> {
        let (header, blob) = self.0.reopen()?;
        let display = header.metadata.file().to_owned();
        Checkpoint::new(Gguf.weight_map(), [GgufFile::new(header, display, blob, memory_map)])
    }

    fn has_tokenizer(&self) -> Result<bool, PresetError> {
        Ok(!matches!(self.0.header().metadata.text(TOKENIZER_MODEL)?, None | Some("none")))
    }

    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        tokenizer::tokenizer(self.0.header())
    }

    fn has_model(&self) -> bool {
        !self.0.header().tensors.is_empty()
    }
}

fn is_named_gguf(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(GGUF_EXTENSION))
}

/// The only `.gguf` file in a folder, if there is one.
fn only_gguf_in(folder: &Path, preset: &str) -> Result<Option<PathBuf>, PresetError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let path = entry.map_err(read_error(folder))?.path();
        if is_named_gguf(&path) {
            found.push(path);
        }
    }
    if found.len() > 1 {
        return Err(PresetError::MissingFile {
            preset: preset.to_owned(),
            file: CONFIG_FILE.to_owned(),
            remedy: "there are several `.gguf` files, so pass the path of one of them",
        });
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use burn::tensor::Device;
    use gpt2_backbone::{Gpt2Backbone, read_f32};
    use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
    use gpt2_tokenizer::{Gpt2TokenizerConfig, Merges, Vocabulary};

    use super::*;
    use crate::api::from_preset::FromPreset;
    use crate::api::save::Save;
    use crate::formats::gguf::header::reads;
    use crate::preset::Preset;

    /// A model with an untied output layer, which is compared when the config is read.
    fn model(seed: u64) -> Gpt2CausalLm {
        let config =
            Gpt2BackboneConfig { tie_weights: false, ..Gpt2BackboneConfig::new(4, 1, 1, 2, 2) };
        let backbone = Gpt2Backbone::new(&config, seed, &Device::flex()).unwrap();
        let vocabulary = r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#;
        let vocabulary = Vocabulary::from_json(vocabulary).unwrap();
        let merges = Merges::parse("a b\n").unwrap();
        let tokenizer = Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new()).unwrap();
        let config = PreprocessorConfig::new().with_sequence_length(3);
        let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config).unwrap();
        Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap()
    }

    fn embedding(backbone: &Gpt2Backbone) -> Vec<f32> {
        read_f32(backbone.token_embedding.embeddings.val().reshape([-1])).unwrap()
    }

    #[test]
    fn a_header_is_checked_once_whatever_is_made_of_the_preset() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("only.gguf");
        model(1).export_to_gguf(&file).unwrap();
        let count = |work: &dyn Fn(&str)| {
            // By the path of the file, and of the folder that contains only this file.
            [&file, folder.path()].map(|path: &Path| {
                let before = reads();
                work(path.to_str().unwrap());
                reads() - before
            })
        };
        let device = Device::flex();
        let load = |path: &str| drop(Gpt2CausalLm::from_preset_with(path, &device).unwrap());
        assert_eq!(count(&load), [1, 1]);
        assert_eq!(count(&|path| drop(Gpt2Tokenizer::from_preset(path).unwrap())), [1, 1]);
        let elsewhere = tempfile::tempdir().unwrap();
        let convert = |path: &str| {
            let preset = Preset::open(path).unwrap();
            preset.save_to_preset(elsewhere.path()).unwrap_err();
            preset.export_to_gguf(elsewhere.path().join("again.gguf")).unwrap();
        };
        assert_eq!(count(&convert), [1, 1]);
    }

    /// Opens a file, changes it to another model's weights, loads these, and returns the number of
    /// headers that were read in between.
    fn checks_after(change: impl FnOnce(&Gpt2CausalLm, &Path)) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.gguf");
        model(1).export_to_gguf(&file).unwrap();
        let preset = Preset::open(file.to_str().unwrap()).unwrap();
        let newer = model(2);
        change(&newer, &file);
        let before = reads();
        let loaded = preset.backbone(&Device::flex()).unwrap();
        assert_eq!(embedding(&loaded), embedding(newer.backbone()));
        reads() - before
    }

    /// A file whose header has the same size, but another name.
    fn named_otherwise(model: &Gpt2CausalLm, file: &Path) -> PathBuf {
        let other = file.with_file_name("other.gguf");
        model.export_to_gguf(&other).unwrap();
        other
    }

    #[test]
    fn a_file_that_was_replaced_is_read_again() {
        let replace = |newer: &Gpt2CausalLm, file: &Path| {
            fs::rename(named_otherwise(newer, file), file).unwrap();
        };
        assert_eq!(checks_after(replace), 1);
        // The header is unchanged, yet the tensors are those of the new file.
        assert_eq!(checks_after(|newer, file| newer.export_to_gguf(file).unwrap()), 0);
    }

    #[test]
    fn a_file_that_was_rewritten_in_its_place_is_read_again() {
        let rewrite = |newer: &Gpt2CausalLm, file: &Path| {
            let old = fs::metadata(file).unwrap();
            fs::copy(named_otherwise(newer, file), file).unwrap();
            assert_eq!(fs::metadata(file).unwrap().len(), old.len());
            // As if the clock had not advanced.
            let rewritten = File::options().write(true).open(file).unwrap();
            rewritten.set_modified(old.modified().unwrap()).unwrap();
        };
        assert_eq!(checks_after(rewrite), 1);
    }
}
