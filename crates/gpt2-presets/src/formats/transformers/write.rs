//! Writing of a model of the transformers library.

use std::path::Path;

use gpt2_files::Staging;

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::transformers::limits::check_tokenizer;
use crate::formats::transformers::names::{
    GENERATION_CONFIG_FILE, MERGES_FILE, SAFETENSORS, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE,
    VOCABULARY_FILE,
};
use crate::formats::transformers::{objects, shards, weights_writer};
use crate::weights::placed_parameters::{Counted, Parameters};

/// Writes the files of a `GPT2LMHeadModel`, of its tokenizer, or of both. Unsupported settings are
/// errors before anything is written.
pub(crate) fn write(
    contents: Contents<'_>,
    folder: &Path,
    options: &WriteOptions,
) -> Result<(), PresetError> {
    let (parameters, tokenizer) = contents.into_parts();
    tokenizer.map_or(Ok(()), check_tokenizer)?;
    let mut files = Staging::new(folder)?;
    if let Some(tokenizer) = tokenizer {
        let positions = parameters.as_ref().map(|model| model.config().max_sequence_length);
        let config = objects::tokenizer_config(tokenizer, positions);
        files.text(VOCABULARY_FILE, &tokenizer.vocabulary().to_json())?;
        files.text(MERGES_FILE, &tokenizer.merges().to_text())?;
        files.json(TOKENIZER_FILE, &objects::tokenizer(tokenizer))?;
        files.json(TOKENIZER_CONFIG_FILE, &config)?;
    }
    if let Some(parameters) = parameters {
        stage_weights(&mut files, parameters, options)?;
        files.json(GENERATION_CONFIG_FILE, &objects::generation_config(tokenizer))?;
        let config = objects::config(parameters.config(), tokenizer, options.dtype);
        files.json(CONFIG_FILE, &config)?;
    }
    Ok(files.commit()?)
}

fn stage_weights(
    files: &mut Staging,
    parameters: &mut dyn Parameters,
    options: &WriteOptions,
) -> Result<(), PresetError> {
    let mut parameters = Counted::new(parameters, &options.on_progress);
    let config = parameters.config();
    let shards = shards::plan(config, options.dtype, options.max_shard_size);
    let index = (shards.len() > 1).then(|| shards::index(config, &shards));
    for shard in &shards {
        let target = files.target(&shard.name);
        files.fallible_file(&shard.name, |_, file| {
            weights_writer::write(&target, file, &mut parameters, &shard.tensors, options.dtype)
        })?;
    }
    if let Some(index) = index {
        files.json(SAFETENSORS.index, &index)?;
    }
    // Remains of an older export: a loader would prefer the whole file or the index.
    Ok(files.obsolete_where(|name| {
        [SAFETENSORS.whole, SAFETENSORS.index].contains(&name) || shards::is_shard(name)
    })?)
}
