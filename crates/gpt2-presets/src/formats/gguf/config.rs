//! Stage 4d: the metadata of a GGUF file to the config of the backbone.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::error::PresetError;
use crate::formats::format::PresetFormat;
use crate::formats::gguf::file::GgufFile;
use crate::formats::gguf::header::Header;
use crate::formats::gguf::keys::{
    ARCHITECTURE, BLOCK_COUNT, CONTEXT_LENGTH, EMBEDDING_LENGTH, FEED_FORWARD_LENGTH, GPT2,
    HEAD_COUNT, HEAD_COUNT_KV, KEY_LENGTH, LAYER_NORM_EPSILON, SPLIT_COUNT, VALUE_LENGTH,
};
use crate::formats::gguf::metadata::Metadata;
use crate::formats::gguf::weight_map::{HEAD, TOKEN_EMBEDDING};
use crate::source::files::{GGUF_FILE, PresetFiles};
use crate::weights::checkpoint::Checkpoint;

/// The backbone that llama.cpp would build (`llama_model_gpt2` in `src/models/gpt2.cpp`). It has
/// the activation and the scaling of GPT-2; no file can say otherwise.
///
/// Older converters wrote the tied output layer a second time: one that is equal to the token
/// embedding, bit for bit, is tied.
pub(crate) fn backbone_config(files: &PresetFiles) -> Result<Gpt2BackboneConfig, PresetError> {
    let header = GgufFile::open(files, false)?.header;
    let metadata = &header.metadata;
    match metadata.text(ARCHITECTURE)? {
        Some(GPT2) => {}
        found => {
            let (file, found) = (metadata.file().to_owned(), found.unwrap_or_default().to_owned());
            return Err(PresetError::UnsupportedClass { file, expected: GPT2, found });
        }
    }
    let Some(embedding) = header.tensors.get(TOKEN_EMBEDDING) else {
        let missing = vec![TOKEN_EMBEDDING.to_owned()];
        return Err(PresetError::IncompleteWeights { missing, unused: Vec::new() });
    };
    let vocabulary_size = embedding.shape.first().copied().unwrap_or_default();
    let hidden_dim = required(metadata, EMBEDDING_LENGTH)?;
    let config = Gpt2BackboneConfig {
        layer_norm_epsilon: metadata
            .number(LAYER_NORM_EPSILON)?
            .ok_or_else(|| metadata.invalid(LAYER_NORM_EPSILON, "a number"))?,
        tie_weights: is_tied(files, &header)?,
        ..Gpt2BackboneConfig::new(
            vocabulary_size,
            required(metadata, BLOCK_COUNT)?,
            required(metadata, HEAD_COUNT)?,
            hidden_dim,
            required(metadata, FEED_FORWARD_LENGTH)?,
        )
    };
    let config = config.with_max_sequence_length(required(metadata, CONTEXT_LENGTH)?);
    check_fixed(metadata, &config)?;
    Ok(config)
}

/// Whether the output layer is the token embedding. One of a type that is not read cannot be
/// compared, and its weights cannot be loaded either.
fn is_tied(files: &PresetFiles, header: &Header) -> Result<bool, PresetError> {
    let tensor_type = |name| header.tensors.get(name).map(|tensor| tensor.tensor_type);
    let Some(head) = tensor_type(HEAD) else { return Ok(true) };
    if head.element().is_none() || Some(head) != tensor_type(TOKEN_EMBEDDING) {
        return Ok(false);
    }
    let preset = files.display(GGUF_FILE);
    Checkpoint::open(files, PresetFormat::Gguf, &preset, false)?.are_equal(HEAD, TOKEN_EMBEDDING)
}

fn required(metadata: &Metadata, key: &'static str) -> Result<usize, PresetError> {
    metadata.size(key)?.ok_or_else(|| metadata.invalid(key, "a positive integer"))
}

/// Refuses what llama.cpp has for other models and this one does not.
fn check_fixed(metadata: &Metadata, config: &Gpt2BackboneConfig) -> Result<(), PresetError> {
    let head_dim = config.hidden_dim / config.num_heads;
    for (key, fixed, expected) in [
        (SPLIT_COUNT, 1, "1: join the parts first, with `llama-gguf-split --merge`"),
        (HEAD_COUNT_KV, config.num_heads, "`gpt2.attention.head_count`"),
        (KEY_LENGTH, head_dim, "`gpt2.embedding_length` divided by `gpt2.attention.head_count`"),
        (VALUE_LENGTH, head_dim, "`gpt2.embedding_length` divided by `gpt2.attention.head_count`"),
    ] {
        if metadata.size(key)?.is_some_and(|found| found != fixed) {
            return Err(metadata.invalid(key, expected));
        }
    }
    Ok(())
}
