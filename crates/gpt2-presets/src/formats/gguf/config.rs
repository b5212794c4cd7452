//! Conversion of a GGUF file's metadata to the backbone's config.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::error::PresetError;
use crate::formats::gguf::header::Header;
use crate::formats::gguf::keys::{
    ARCHITECTURE, BLOCK_COUNT, CONTEXT_LENGTH, EMBEDDING_LENGTH, FEED_FORWARD_LENGTH, GPT2,
    HEAD_COUNT, HEAD_COUNT_KV, KEY_LENGTH, LAYER_NORM_EPSILON, SPLIT_COUNT, VALUE_LENGTH,
};
use crate::formats::gguf::metadata::Metadata;
use crate::formats::gguf::weight_map::TOKEN_EMBEDDING;

/// Config of the backbone that llama.cpp would build (`llama_model_gpt2` in `src/models/gpt2.cpp`),
/// with a tied output layer. Activation and scaling are always GPT-2's: a file cannot change them.
pub(crate) fn backbone_config(header: &Header) -> Result<Gpt2BackboneConfig, PresetError> {
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

fn required(metadata: &Metadata, key: &'static str) -> Result<usize, PresetError> {
    metadata.size(key)?.ok_or_else(|| metadata.invalid(key, "a positive integer"))
}

/// Returns an error for settings that llama.cpp supports for other models and this library does
/// not.
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
