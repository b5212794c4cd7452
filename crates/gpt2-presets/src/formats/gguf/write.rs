//! Writing of a GGUF file.

use std::path::Path;

use gpt2_files::Staging;

use crate::error::PresetError;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::gguf::file_writer;
use crate::formats::gguf::limits::{check_backbone, check_tokenizer};
use crate::formats::gguf::magic::check_replaced;
use crate::formats::preset_format::PresetFormat;
use crate::formats::tables::check_vocabulary;
use crate::weights::placed_parameters::{Counted, Parameters};

/// Writes a file with a model, and its tokenizer if there is one. Unsupported settings are errors
/// before anything is written.
pub(crate) fn write(
    contents: Contents<'_>,
    path: &Path,
    options: &WriteOptions,
) -> Result<(), PresetError> {
    let (Some(parameters), tokenizer) = contents.into_parts() else {
        return Err(PresetError::CannotSave {
            what: "a tokenizer without a model",
            format: PresetFormat::Gguf.name(),
            remedy: "save the model with it, or the tokenizer in another format",
        });
    };
    let mut parameters = Counted::new(parameters, &options.on_progress);
    let config = parameters.config();
    check_backbone(config)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(tokenizer) = tokenizer {
        check_tokenizer(tokenizer.config())?;
        check_vocabulary(&name, tokenizer.max_token_id(), config.vocabulary_size)?;
    }
    check_replaced(path)?;
    let mut files = Staging::new(path.parent().unwrap_or(Path::new("")))?;
    files.fallible_file(&name, |_, file| {
        file_writer::write(path, file, &mut parameters, tokenizer, options.dtype)
    })?;
    Ok(files.commit()?)
}
