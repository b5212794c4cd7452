//! Settings that GGUF files do not support.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_tokenizer::Gpt2TokenizerConfig;

use crate::error::PresetError;
use crate::formats::expressible::{check_settings, check_tokenizer_options};

const GGUF: &str = "a GGUF file";

/// Returns an error for settings that llama.cpp's GPT-2 does not support.
pub(crate) fn check_backbone(config: &Gpt2BackboneConfig) -> Result<(), PresetError> {
    let fixed = Gpt2BackboneConfig::new(1, 1, 1, 1, 1);
    let by_layer = (&config.scale_attention_by_layer, &fixed.scale_attention_by_layer);
    check_settings(
        GGUF,
        &[
            ("activation", &config.activation, &fixed.activation),
            ("scale_attention", &config.scale_attention, &fixed.scale_attention),
            ("scale_attention_by_layer", by_layer.0, by_layer.1),
        ],
        "save the model with `export_to_transformers`",
    )
}

/// Returns an error for tokenizer options that llama.cpp does not support.
pub(crate) fn check_tokenizer(config: &Gpt2TokenizerConfig) -> Result<(), PresetError> {
    check_tokenizer_options(GGUF, config)?;
    check_settings(
        GGUF,
        &[
            ("sequence_length", &config.sequence_length, &None::<usize>),
            ("add_prefix_space", &config.add_prefix_space, &false),
        ],
        "save the tokenizer with `save_to_preset`, or change the option for the export",
    )
}
