//! Tokenizers and preprocessors of both formats.

use std::fs;

use gpt2_presets::{FromPreset, PresetError, Save};
use gpt2_task::{Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn keras_settings_are_read() {
    let folder = keras_folder(&tiny());
    let settings = json!({
        "name": "gpt2_tokenizer", "sequence_length": 7, "add_prefix_space": true,
        "unsplittable_tokens": ["<|endoftext|>", "ab"], "config_file": "/etc/passwd",
    });
    write_json(folder.path(), "tokenizer.json", &keras_object("GPT2Tokenizer", settings));
    let path = folder.path().to_str().unwrap();
    let tokenizer = Gpt2Tokenizer::from_preset(path).unwrap();
    let config = tokenizer.config();
    assert_eq!((config.sequence_length, config.add_prefix_space), (Some(7), true));
    assert_eq!(config.unsplittable_tokens, ["<|endoftext|>", "ab"]);

    let settings = json!({"sequence_length": 4, "add_start_token": false, "add_end_token": false});
    let object = keras_object("GPT2CausalLMPreprocessor", settings);
    write_json(folder.path(), "preprocessor.json", &object);
    let preprocessor = Gpt2CausalLmPreprocessor::from_preset(path).unwrap();
    let expected = PreprocessorConfig::new()
        .with_sequence_length(4)
        .with_add_start_token(false)
        .with_add_end_token(false);
    assert_eq!(preprocessor.config(), &expected);
}

#[test]
fn without_settings_the_defaults_fit_the_model() {
    for folder in [keras_folder(&tiny()), transformers_folder(&tiny())] {
        let preprocessor = open(&folder).unwrap().preprocessor().unwrap();
        assert_eq!(preprocessor.sequence_length(), 5);
        assert!(preprocessor.config().add_start_token && preprocessor.config().add_end_token);
    }
    let folder = keras_folder(&tiny().with_max_sequence_length(4096));
    let other = keras_object("GPT2Preprocessor", json!({"sequence_length": 9}));
    write_json(folder.path(), "preprocessor.json", &other);
    assert_eq!(open(&folder).unwrap().preprocessor().unwrap().sequence_length(), 1024);
}

#[test]
fn the_task_decides_about_its_preprocessor() {
    let folder = keras_folder(&tiny());
    let tensors = keras_tensors(&tiny(), &tiny_model(&tiny()));
    write_hdf5(&folder.path().join("model.weights.h5"), &tensors, Stored::F32);
    let saved = keras_object("GPT2CausalLMPreprocessor", json!({"sequence_length": 3}));
    let other = json!({"registered_name": "keras_hub>GPT2TextClassifier", "config": {}});
    let task =
        |preprocessor: Value| keras_object("GPT2CausalLM", json!({"preprocessor": preprocessor}));
    for (task, expected) in [(task(saved), Some(3)), (task(Value::Null), None), (other, Some(5))] {
        write_json(folder.path(), "task.json", &task);
        let model = open(&folder).unwrap().causal_lm(&device()).unwrap();
        assert_eq!(model.preprocessor().map(|p| p.sequence_length()), expected);
    }
    write_json(folder.path(), "task.json", &task(json!(1)));
    let error = open(&folder).unwrap().causal_lm(&device()).err();
    assert!(matches!(error, Some(PresetError::Malformed { format: JSON, .. })));
}

#[test]
fn transformers_tokenizers_come_from_tables_or_from_one_file() {
    let folder = transformers_folder(&tiny());
    write_json(folder.path(), "tokenizer_config.json", &json!({"add_prefix_space": true}));
    let tables = open(&folder).unwrap().tokenizer().unwrap();
    assert!(tables.config().add_prefix_space);
    fs::remove_file(folder.path().join("merges.txt")).unwrap();
    let vocabulary: Value = serde_json::from_str(VOCABULARY).unwrap();
    let one_file = json!({
        "version": "1.0",
        "added_tokens": [{"id": 3, "content": "<|endoftext|>", "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]},
    });
    write_json(folder.path(), "tokenizer.json", &one_file);
    assert_eq!(open(&folder).unwrap().tokenizer().unwrap().tokenize("aab").unwrap(), [0, 2]);
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let error = open(&folder).unwrap().tokenizer().unwrap_err();
    assert!(error.to_string().contains("`vocab.json` with `merges.txt`, or `tokenizer.json`"));
}

#[test]
fn a_vocabulary_beyond_the_embeddings_is_refused() {
    let folder = transformers_folder(&tiny());
    let path = folder.path().join("vocab.json");
    // Fewer tokens than the six embeddings are valid, because tables may be padded.
    assert_eq!(open(&folder).unwrap().tokenizer().unwrap().max_token_id(), 3);
    fs::write(path, r#"{"a": 0, "b": 1, "ab": 6, "<|endoftext|>": 3}"#).unwrap();
    let error = open(&folder).unwrap().tokenizer().unwrap_err();
    assert!(matches!(
        error,
        PresetError::VocabularyTooLarge { max_token_id: 6, vocabulary_size: 6, .. }
    ));
    assert!(error.to_string().contains("the largest id may be 5"), "{error}");
}

#[test]
fn errors_of_tokenizer_and_task_pass_through() {
    let folder = transformers_folder(&tiny());
    fs::write(folder.path().join("vocab.json"), "[]").unwrap();
    assert!(matches!(open(&folder).unwrap().tokenizer(), Err(PresetError::Tokenizer(_))));
    let folder = keras_folder(&tiny());
    let object = keras_object("GPT2CausalLMPreprocessor", json!({"sequence_length": 0}));
    write_json(folder.path(), "preprocessor.json", &object);
    assert!(matches!(open(&folder).unwrap().preprocessor(), Err(PresetError::Task(_))));
}

#[test]
fn a_tokenizer_needs_no_model_beside_it() {
    let original = open(&transformers_folder(&tiny())).unwrap().tokenizer().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    original.save_to_preset(path("keras")).unwrap();
    original.export_to_transformers(path("transformers")).unwrap();
    original.export_to_transformers(path("one_file")).unwrap();
    fs::remove_file(path("one_file/vocab.json")).unwrap();
    original.save_assets(path("assets")).unwrap();
    for name in ["keras", "transformers", "one_file", "assets"] {
        let tokenizer = Gpt2Tokenizer::from_preset(path(name).to_str().unwrap()).unwrap();
        assert_eq!(tokenizer.vocabulary(), original.vocabulary(), "{name}");
        assert_eq!(tokenizer.tokenize("aab").unwrap(), [0, 2], "{name}");
    }
    fs::remove_file(path("assets/merges.txt")).unwrap();
    let error = Gpt2Tokenizer::from_preset(path("assets").to_str().unwrap()).unwrap_err();
    assert!(matches!(&error, PresetError::MissingFile { .. }), "{error}");
    assert!(error.to_string().contains("`vocab.json`"), "{error}");
}
