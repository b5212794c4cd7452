//! llama.cpp's format: one file with config, tokenizer and weights.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_files::read_error;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::format::{Format, OpenedPreset};
use crate::formats::gguf::file::GgufFile;
use crate::formats::gguf::keys::{MAGIC, TOKENIZER_MODEL};
use crate::formats::gguf::opened_file::OpenedFile;
use crate::formats::gguf::weight_map::{GGUF, HEAD, TOKEN_EMBEDDING};
use crate::formats::gguf::{config, tokenizer, write};
use crate::formats::preset_format::PresetFormat;
use crate::source::preset_folder::PresetFolder;
use crate::source::single_file::SingleFile;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;

/// Name that a preset's one file has here, whatever its name on the disk is.
const GGUF_FILE: &str = "model.gguf";
/// Usual extension of such files.
const GGUF_EXTENSION: &str = "gguf";

/// The format.
#[derive(Debug)]
pub(crate) struct Gguf;

/// A file in it, whose header was read.
#[derive(Debug)]
struct GgufPreset(OpenedFile);

impl Format for Gguf {
    fn weight_map(&self) -> &'static WeightMap {
        &GGUF
    }

    fn folder_of_file(&self, path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        let is_gguf = is_named_gguf(path) || has_magic(path);
        Ok(is_gguf.then(|| -> Arc<dyn PresetFolder> { Arc::new(SingleFile::new(path, GGUF_FILE)) }))
    }

    /// A file, or a folder that holds a single one and no `config.json`.
    fn open(
        &self,
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

    /// Older converters wrote the tied output layer a second time: one that is equal to the token
    /// embedding, bit for bit, is tied.
    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError> {
        let header = self.0.header();
        let config = config::backbone_config(header)?;
        // An output layer of a type that is not read cannot be compared, and its weights cannot be
        // loaded either.
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

/// Whether a regular file begins as such a file does, whatever its name is.
fn has_magic(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    // To open a pipe would wait for its other end.
    let read = path.is_file().then(|| File::open(path)?.read_exact(&mut magic));
    matches!(read, Some(Ok(()))) && magic == *MAGIC
}

/// The `.gguf` file in a folder; none if there is no such file.
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
