//! Settings that KerasHub presets do not support.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_tokenizer::Gpt2TokenizerConfig;

use crate::error::PresetError;
use crate::formats::expressible::{check_settings, check_tokenizer_options};

const KERAS: &str = "a preset of KerasHub";

/// Returns an error for settings that KerasHub's GPT-2 does not support: it would silently compute
/// something else.
pub(crate) fn check_backbone(config: &Gpt2BackboneConfig) -> Result<(), PresetError> {
    // KerasHub fixes all settings that `new` does not take.
    let fixed = Gpt2BackboneConfig::new(1, 1, 1, 1, 1);
    let by_layer = (&config.scale_attention_by_layer, &fixed.scale_attention_by_layer);
    check_settings(
        KERAS,
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

/// Returns an error for options that no tokenizer file stores.
pub(crate) fn check_tokenizer(config: &Gpt2TokenizerConfig) -> Result<(), PresetError> {
    check_tokenizer_options(KERAS, config)
}
