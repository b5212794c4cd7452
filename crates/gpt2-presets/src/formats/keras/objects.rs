//! JSON objects of a KerasHub preset, from models, preprocessors and tokenizers.

use std::time::{SystemTime, UNIX_EPOCH};

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_backbone::WeightDtype;
use gpt2_task::Gpt2CausalLmPreprocessor;
use gpt2_tokenizer::{Gpt2Tokenizer, Merges};
use serde_json::{Value, json};

use crate::error::PresetError;
use crate::formats::keras::date::date;
use crate::formats::keras::limits::{check_backbone, check_tokenizer};
use crate::formats::keras::names::{PREPROCESSOR_CONFIG_FILE, TOKENIZER_CONFIG_FILE};

/// `config.json` of a backbone with weights of type `dtype`.
///
/// # Errors
///
/// A setting that KerasHub's GPT-2 does not support.
pub(crate) fn backbone(
    config: &Gpt2BackboneConfig,
    dtype: WeightDtype,
) -> Result<Value, PresetError> {
    check_backbone(config)?;
    let layer = layer("gpt2_backbone", dtype.name());
    let config = json!({
        "vocabulary_size": config.vocabulary_size,
        "num_layers": config.num_layers,
        "num_heads": config.num_heads,
        "hidden_dim": config.hidden_dim,
        "intermediate_dim": config.intermediate_dim,
        "dropout": config.dropout,
        "max_sequence_length": config.max_sequence_length,
    });
    Ok(object("gpt2_backbone", "GPT2Backbone", joined(layer, config)))
}

/// `tokenizer.json`.
///
/// # Errors
///
/// An option that no tokenizer file stores.
pub(crate) fn tokenizer(tokenizer: &Gpt2Tokenizer) -> Result<Value, PresetError> {
    let config = tokenizer.config();
    check_tokenizer(config)?;
    let mut unsplittable = config.unsplittable_tokens.clone();
    for token in tokenizer.special_tokens() {
        // KerasHub keeps whole only the tokens of the list; without a list, the special tokens.
        if !unsplittable.is_empty() && !unsplittable.iter().any(|listed| listed == token) {
            unsplittable.push(token.to_owned());
        }
    }
    let layer = layer("gpt2_tokenizer", "int32");
    let config = json!({
        "config_file": TOKENIZER_CONFIG_FILE,
        "sequence_length": config.sequence_length,
        "add_prefix_space": config.add_prefix_space,
        "unsplittable_tokens": if unsplittable.is_empty() { Value::Null } else { json!(unsplittable) },
    });
    Ok(object("gpt2_tokenizer", "GPT2Tokenizer", joined(layer, config)))
}

/// `preprocessor.json`.
///
/// # Errors
///
/// As [`tokenizer`].
pub(crate) fn preprocessor(preprocessor: &Gpt2CausalLmPreprocessor) -> Result<Value, PresetError> {
    let config = preprocessor.config();
    let layer = layer("gpt2_causal_lm_preprocessor", "float32");
    let config = json!({
        "tokenizer": tokenizer(preprocessor.tokenizer())?,
        "config_file": PREPROCESSOR_CONFIG_FILE,
        "sequence_length": config.sequence_length,
        "add_start_token": config.add_start_token,
        "add_end_token": config.add_end_token,
    });
    let config = joined(layer, config);
    Ok(object("gpt2_causal_lm_preprocessor", "GPT2CausalLMPreprocessor", config))
}

/// `task.json`.
///
/// # Errors
///
/// As [`backbone`] and [`tokenizer`].
pub(crate) fn task(
    config: &Gpt2BackboneConfig,
    preprocessor: Option<&Gpt2CausalLmPreprocessor>,
    dtype: WeightDtype,
) -> Result<Value, PresetError> {
    let config = json!({
        "backbone": backbone(config, dtype)?,
        "preprocessor": preprocessor.map(self::preprocessor).transpose()?,
        "name": "gpt2_causal_lm",
    });
    Ok(object("gpt2_causal_lm", "GPT2CausalLM", config))
}

/// `metadata.json`, with the versions whose files this crate writes.
pub(crate) fn metadata(config: &Gpt2BackboneConfig) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "keras_version": "3.15.1",
        "keras_hub_version": "0.32.0",
        // A valid config has at most 2^38 parameters.
        "parameter_count": config.parameter_count() as u64,
        "date_saved": date(now),
        "tasks": ["CausalLM"],
    })
}

/// The text of `merges.txt`, which KerasHub writes without the version line.
pub(crate) fn merges(merges: &Merges) -> String {
    merges.iter().flat_map(|(left, right)| [left, " ", right, "\n"]).collect()
}

/// A serialized Keras object.
fn object(module: &str, class: &str, config: Value) -> Value {
    json!({
        "module": format!("keras_hub.src.models.gpt2.{module}"),
        "class_name": class,
        "config": config,
        "registered_name": format!("keras_hub>{class}"),
    })
}

/// First keys of every Keras layer's config.
fn layer(name: &str, dtype: &str) -> Value {
    json!({
        "name": name,
        "trainable": true,
        "dtype": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": dtype},
            "registered_name": null,
        },
    })
}

fn joined(mut first: Value, second: Value) -> Value {
    if let (Value::Object(first), Value::Object(second)) = (&mut first, second) {
        first.extend(second);
    }
    first
}
