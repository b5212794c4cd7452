//! Stage 9a: settings that a format has no place for, so that no loader could know them.

use std::fmt::Debug;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig};

use crate::error::PresetError;

const GGUF: &str = "a GGUF file";

/// A setting: its name, its value, and the only value that the format stands for.
type Setting<'a> = (&'static str, &'a dyn Debug, &'a dyn Debug);

/// Refuses the settings that KerasHub's GPT-2 does not have: it would compute something else, in
/// silence.
pub(crate) fn check_keras_backbone(config: &Gpt2BackboneConfig) -> Result<(), PresetError> {
    // KerasHub fixes all that `new` does not take.
    let fixed = Gpt2BackboneConfig::new(1, 1, 1, 1, 1);
    let by_layer = (&config.scale_attention_by_layer, &fixed.scale_attention_by_layer);
    check(
        "a preset of KerasHub",
        &[
            ("layer_norm_epsilon", &config.layer_norm_epsilon, &fixed.layer_norm_epsilon),
            ("activation", &config.activation, &fixed.activation),
            ("scale_attention", &config.scale_attention, &fixed.scale_attention),
            ("scale_attention_by_layer", by_layer.0, by_layer.1),
            ("tie_weights", &config.tie_weights, &fixed.tie_weights),
        ],
        "save the model with `export_to_transformers`",
    )
}

/// Refuses the settings that llama.cpp's GPT-2 does not have: no file could name them.
pub(crate) fn check_gguf_backbone(config: &Gpt2BackboneConfig) -> Result<(), PresetError> {
    let fixed = Gpt2BackboneConfig::new(1, 1, 1, 1, 1);
    let by_layer = (&config.scale_attention_by_layer, &fixed.scale_attention_by_layer);
    check(
        GGUF,
        &[
            ("activation", &config.activation, &fixed.activation),
            ("scale_attention", &config.scale_attention, &fixed.scale_attention),
            ("scale_attention_by_layer", by_layer.0, by_layer.1),
        ],
        "save the model with `export_to_transformers`",
    )
}

/// Refuses the options of a tokenizer that llama.cpp does not have.
pub(crate) fn check_gguf_tokenizer(config: &Gpt2TokenizerConfig) -> Result<(), PresetError> {
    check_options(GGUF, config)?;
    check(
        GGUF,
        &[
            ("sequence_length", &config.sequence_length, &None::<usize>),
            ("add_prefix_space", &config.add_prefix_space, &false),
        ],
        "save the tokenizer with `save_to_preset`, or change the option for the export",
    )
}

/// Refuses the options that the files of no tokenizer hold: after loading, the same text would
/// have other ids, or an unsafe one would pass.
pub(crate) fn check_keras_tokenizer(config: &Gpt2TokenizerConfig) -> Result<(), PresetError> {
    check_options("a preset of KerasHub", config)
}

/// Refuses what a tokenizer's files in the transformers library do not hold.
pub(crate) fn check_transformers_tokenizer(tokenizer: &Gpt2Tokenizer) -> Result<(), PresetError> {
    const FORMAT: &str = "a tokenizer of transformers";
    let (config, special) = (tokenizer.config(), tokenizer.special_tokens());
    check_options(FORMAT, config)?;
    let mut others = config.unsplittable_tokens.clone();
    others.retain(|token| !special.contains(&token.as_str()));
    check(
        FORMAT,
        &[
            ("sequence_length", &config.sequence_length, &None::<usize>),
            ("unsplittable_tokens", &others, &[""; 0]),
        ],
        "save the tokenizer with `save_to_preset`",
    )
}

fn check_options(format: &'static str, config: &Gpt2TokenizerConfig) -> Result<(), PresetError> {
    let fixed = Gpt2TokenizerConfig::new();
    check(
        format,
        &[
            ("split", &config.split, &fixed.split),
            ("special_text", &config.special_text, &fixed.special_text),
            ("unknown", &config.unknown, &fixed.unknown),
        ],
        "save it under its default, by `Gpt2Tokenizer::with_config`, and set it again after loading",
    )
}

fn check(
    format: &'static str,
    settings: &[Setting<'_>],
    remedy: &'static str,
) -> Result<(), PresetError> {
    for (setting, found, expected) in settings {
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
        if found != expected {
            let found = shortened(found);
            return Err(PresetError::Inexpressible { format, setting, found, expected, remedy });
        }
    }
    Ok(())
}

/// The beginning of what may be a list of any length.
fn shortened(mut text: String) -> String {
    const SHOWN: usize = 200;
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
