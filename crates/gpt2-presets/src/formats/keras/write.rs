//! Writing of a KerasHub preset.

use std::path::Path;

use gpt2_files::Staging;
use gpt2_task::Gpt2CausalLmPreprocessor;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::keras::names::{
    MERGES_FILE, METADATA_FILE, PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE,
    VOCABULARY_FILE, WEIGHTS,
};
use crate::formats::keras::shards::{Storage, is_shard};
use crate::formats::keras::{objects, weights_writer};
use crate::weights::placed_parameters::{Counted, Parameters};

/// Writes the files of KerasHub 0.32. Unsupported settings are errors before anything is written.
pub(crate) fn write(
    contents: Contents<'_>,
    folder: &Path,
    options: &WriteOptions,
) -> Result<(), PresetError> {
    match contents {
        Contents::Task { parameters, preprocessor } => {
            let task = objects::task(parameters.config(), preprocessor, options.dtype)?;
            let mut files = Staging::new(folder)?;
            files.json(TASK_CONFIG_FILE, &task)?;
            if let Some(preprocessor) = preprocessor {
                stage_preprocessor(&mut files, preprocessor)?;
            }
            stage_backbone(&mut files, parameters, options)?;
            Ok(files.commit()?)
        }
        Contents::Backbone(parameters) => {
            objects::backbone(parameters.config(), options.dtype)?;
            staged(folder, |files| stage_backbone(files, parameters, options))
        }
        Contents::Preprocessor(preprocessor) => {
            objects::preprocessor(preprocessor)?;
            staged(folder, |files| stage_preprocessor(files, preprocessor))
        }
        Contents::Tokenizer(tokenizer) => {
            objects::tokenizer(tokenizer)?;
            staged(folder, |files| stage_tokenizer(files, tokenizer))
        }
    }
}

fn staged(
    folder: &Path,
    stage: impl FnOnce(&mut Staging) -> Result<(), PresetError>,
) -> Result<(), PresetError> {
    let mut files = Staging::new(folder)?;
    stage(&mut files)?;
    Ok(files.commit()?)
}

fn stage_backbone(
    files: &mut Staging,
    parameters: &mut dyn Parameters,
    options: &WriteOptions,
) -> Result<(), PresetError> {
    let mut parameters = Counted::new(parameters, &options.on_progress);
    files.json(METADATA_FILE, &objects::metadata(parameters.config()))?;
    let storage = Storage::new("model", options);
    let shards = storage.plan(parameters.config());
    for shard in &shards {
        weights_writer::stage(files, &mut parameters, &storage, shard)?;
    }
    if shards.len() > 1 {
        files.json(WEIGHTS.index, &storage.index(&shards))?;
    }
    // Remains of an older save: loaders would prefer the whole file, and never read the rest.
    files
        .obsolete_where(|name| [WEIGHTS.whole, WEIGHTS.index].contains(&name) || is_shard(name))?;
    let config = objects::backbone(parameters.config(), options.dtype)?;
    Ok(files.json(CONFIG_FILE, &config)?)
}

fn stage_preprocessor(
    files: &mut Staging,
    preprocessor: &Gpt2CausalLmPreprocessor,
) -> Result<(), PresetError> {
    files.json(PREPROCESSOR_CONFIG_FILE, &objects::preprocessor(preprocessor)?)?;
    stage_tokenizer(files, preprocessor.tokenizer())
}

fn stage_tokenizer(files: &mut Staging, tokenizer: &Gpt2Tokenizer) -> Result<(), PresetError> {
    files.text(VOCABULARY_FILE, &tokenizer.vocabulary().to_json())?;
    files.text(MERGES_FILE, &objects::merges(tokenizer.merges()))?;
    Ok(files.json(TOKENIZER_CONFIG_FILE, &objects::tokenizer(tokenizer)?)?)
}
