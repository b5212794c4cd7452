//! `config.json` in both formats.

use std::fs;

use gpt2_backbone::{Activation, Gpt2BackboneConfig};
use gpt2_presets::{FileError, Preset, PresetError, PresetFormat};
use serde_json::{Value, json};

use crate::support::*;

fn open_config(text: &str) -> Result<Preset, PresetError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), text).unwrap();
    open(&folder)
}

/// The tiny transformers config with one key changed.
fn with(key: &str, value: Value) -> Result<Gpt2BackboneConfig, PresetError> {
    let mut json = transformers_config(&tiny());
    json[key] = value;
    open_config(&json.to_string()).map(|preset| preset.config().clone())
}

#[test]
fn the_format_is_found() {
    let preset = open_config(r#"{"model_type": "gpt2"}"#).unwrap();
    assert_eq!(preset.format(), PresetFormat::Transformers);
    assert_eq!(preset.config(), &Gpt2BackboneConfig::new(50_257, 12, 12, 768, 3072));
    let error = open_config(r#"{"architecture": "vit", "x": 1}"#).unwrap_err();
    assert!(
        matches!(&error, PresetError::UnrecognizedFormat { found, .. } if found == &["architecture", "x"])
    );
}

#[test]
fn class_names_of_all_ages_are_understood() {
    for (key, name) in [
        ("registered_name", "keras_hub>GPT2Backbone"),
        ("registered_name", "keras_nlp>GPT2Backbone"),
        ("class_name", "GPT2Backbone"),
        ("class_name", "keras_nlp>GPT2Backbone"),
    ] {
        let json = json!({key: name, "config": serde_json::to_value(tiny()).unwrap()});
        assert_eq!(open_config(&json.to_string()).unwrap().config(), &tiny());
    }
}

#[test]
fn other_classes_are_named_and_never_built() {
    for (json, name) in [
        (
            json!({"registered_name": "keras_hub>BertBackbone", "config": {}}),
            "keras_hub>BertBackbone",
        ),
        (json!({"registered_name": "evil>GPT2Backbone", "config": {}}), "evil>GPT2Backbone"),
        (
            json!({"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}}),
            "Lambda",
        ),
        (json!({"model_type": "llama"}), "\"llama\""),
        (json!({"model_type": 7}), "7"),
    ] {
        let error = open_config(&json.to_string()).unwrap_err();
        assert!(
            matches!(&error, PresetError::UnsupportedClass { found, .. } if found == name),
            "{error}"
        );
    }
}

#[test]
fn malformed_json_is_an_error() {
    let deep = format!("{{\"model_type\": {}", "[".repeat(100_000));
    for text in [
        "",
        "[]",
        "{",
        "\u{feff}{}",
        r#"{"registered_name": "keras_hub>GPT2Backbone"}"#,
        &deep,
        r#"{"registered_name": "keras_hub>GPT2Backbone", "config": {"num_layers": -1}}"#,
        r#"{"registered_name": "keras_hub>GPT2Backbone", "config": {"num_layers": 2}}"#,
    ] {
        let error = open_config(text).unwrap_err();
        assert!(matches!(error, PresetError::InvalidJson { .. }), "{text:.40}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), b"{\"\xff\": 1}").unwrap();
    assert!(matches!(open(&folder), Err(PresetError::File(FileError::NotUtf8 { offset: 2, .. }))));
}

#[test]
fn huge_json_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("config.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, PresetError::File(FileError::TooLarge { size, .. }) if size == 1 << 40)
    );
}

#[test]
fn transformers_keys_that_keras_hub_ignores_hold() {
    assert_eq!(with("n_inner", json!(9)).unwrap().intermediate_dim, 9);
    assert_eq!(with("n_inner", Value::Null).unwrap().intermediate_dim, 16);
    assert_eq!(with("layer_norm_epsilon", json!(1e-3)).unwrap().layer_norm_epsilon, 1e-3);
    assert!(!with("scale_attn_weights", json!(false)).unwrap().scale_attention);
    let by_layer = with("scale_attn_by_inverse_layer_idx", json!(true)).unwrap();
    assert!(by_layer.scale_attention_by_layer);
    assert!(!with("tie_word_embeddings", json!(false)).unwrap().tie_weights);
    assert_eq!(with("resid_pdrop", json!(0.25)).unwrap().dropout, 0.25);
    assert_eq!(with("attn_pdrop", json!(0.25)).unwrap().dropout, 0.1);
    assert_eq!(with("reorder_and_upcast_attn", json!(true)).unwrap(), with("x", json!(0)).unwrap());
    assert_eq!(with("n_positions", Value::Null).unwrap().max_sequence_length, 1024);
    let json = json!({"model_type": "gpt2", "n_ctx": 77});
    assert_eq!(open_config(&json.to_string()).unwrap().config().max_sequence_length, 77);
}

#[test]
fn activations_are_known_or_named() {
    for (name, expected) in [
        ("gelu_new", Activation::GeluNew),
        ("gelu_pytorch_tanh", Activation::GeluNew),
        ("gelu", Activation::Gelu),
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("swish", Activation::Silu),
        ("tanh", Activation::Tanh),
    ] {
        assert_eq!(with("activation_function", json!(name)).unwrap().activation, expected);
    }
    let error = with("activation_function", json!("mish")).unwrap_err();
    assert!(error.to_string().contains("\"mish\""), "{error}");
}

#[test]
fn bad_values_are_named() {
    for (key, value) in [
        ("n_layer", json!(0)),
        ("n_layer", json!(-1)),
        ("n_embd", json!(1.5)),
        ("vocab_size", json!("many")),
        ("layer_norm_epsilon", json!("small")),
        ("tie_word_embeddings", json!(1)),
        ("activation_function", json!(["gelu"])),
        ("add_cross_attention", json!(true)),
    ] {
        let error = with(key, value.clone()).unwrap_err();
        assert!(
            matches!(&error, PresetError::InvalidConfigValue { key: found, .. } if *found == key),
            "{error}"
        );
    }
    for (key, value) in [
        ("n_head", json!(3)),
        ("n_embd", json!(u64::MAX)),
        ("n_layer", json!(u64::MAX)),
        ("layer_norm_epsilon", json!(-1.0)),
        ("resid_pdrop", json!(2)),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(matches!(error, PresetError::Backbone(_)), "{key}: {error}");
    }
}
