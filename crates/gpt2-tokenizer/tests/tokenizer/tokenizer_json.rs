//! transformers' `tokenizer.json`, and its unsupported variants.

use gpt2_tokenizer::{Gpt2Tokenizer, SplitPattern, TokenizerError};
use serde_json::{Value, json};

use crate::airplane::{self, SENTENCE_IDS};

/// File as transformers writes it, with the older spelling of the merges.
fn file() -> Value {
    let merges: Vec<_> =
        airplane::merges().iter().map(|(left, right)| format!("{left} {right}")).collect();
    let mut vocabulary = serde_json::to_value(airplane::vocabulary()).unwrap();
    vocabulary.as_object_mut().unwrap().remove("<|endoftext|>");
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [{"id": 30, "content": "<|endoftext|>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": true, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "post_processor": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"},
        "model": {"dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocabulary, "merges": merges},
    })
}

fn load(file: &Value) -> Result<Gpt2Tokenizer, TokenizerError> {
    Gpt2Tokenizer::from_tokenizer_json(&file.to_string())
}

#[test]
fn both_spellings_of_merges_are_read() {
    let mut file = file();
    let old = load(&file).unwrap();
    let pairs: Vec<_> = airplane::merges().iter().map(|(l, r)| json!([l, r])).collect();
    file["model"]["merges"] = pairs.into();
    file["model"]["type"] = "BPE".into();
    for tokenizer in [old, load(&file).unwrap()] {
        let ids = tokenizer.tokenize(" airplane at airport<|endoftext|>").unwrap();
        assert_eq!(ids, SENTENCE_IDS);
        assert_eq!(tokenizer.config().split, SplitPattern::OpenAi);
    }
}

#[test]
fn options_are_taken_over() {
    let mut file = file();
    file["pre_tokenizer"]["add_prefix_space"] = true.into();
    let plane = json!({"id": 14, "content": "plane", "special": false});
    let new = json!({"id": 31, "content": "[SEP]", "special": true});
    file["added_tokens"].as_array_mut().unwrap().extend([plane, new]);
    let tokenizer = load(&file).unwrap();
    assert!(tokenizer.config().add_prefix_space);
    assert_eq!(tokenizer.config().unsplittable_tokens, ["plane", "[SEP]"]);
    assert_eq!(tokenizer.tokenize("air[SEP]plane").unwrap(), [23, 31, 14]);
}

/// KerasHub's export serializes its own pipeline, including the literal.
#[test]
fn keras_hubs_pipeline_is_recognised() {
    let literal = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| \
        ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": false});
    let split = |pattern: Value| json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
    let mut file = file();
    let mut with = |split: Value| {
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [split, bytes]});
        load(&file)
    };
    let tokenizer = with(split(json!({"String": literal}))).unwrap();
    assert_eq!(tokenizer.config().split, SplitPattern::KerasHub);
    assert!(tokenizer.config().add_prefix_space);
    with(split(json!({"Regex": literal}))).unwrap_err();
    with(split(Value::Null)).unwrap_err();
    file["pre_tokenizer"] = bytes.clone();
    assert_eq!(load(&file).unwrap().config().split, SplitPattern::KerasHub);
}

#[test]
fn other_tokenizers_are_refused() {
    for (path, value, field) in [
        ("/model/type", json!("Unigram"), "model.type"),
        ("/model/dropout", json!(0.1), "model.dropout"),
        ("/model/continuing_subword_prefix", json!("##"), "model.continuing_subword_prefix"),
        ("/model/end_of_word_suffix", json!("</w>"), "model.end_of_word_suffix"),
        ("/model/byte_fallback", json!(true), "model.byte_fallback"),
        ("/model/ignore_merges", json!(true), "model.ignore_merges"),
        ("/normalizer", json!({"type": "NFC"}), "normalizer"),
        ("/pre_tokenizer", json!(null), "pre_tokenizer"),
        ("/pre_tokenizer/type", json!("Whitespace"), "pre_tokenizer"),
        ("/added_tokens/0/lstrip", json!(true), "added_tokens"),
        ("/added_tokens/0/content", json!("air"), "added_tokens"),
    ] {
        let mut file = file();
        let (parent, key) = path.rsplit_once('/').unwrap();
        file.pointer_mut(parent).unwrap()[key] = value;
        match load(&file).unwrap_err() {
            TokenizerError::UnsupportedTokenizerJson { field: found, .. } => {
                assert_eq!(found, field);
            }
            error => panic!("{path}: {error}"),
        }
    }
}

#[test]
fn malformed_files_are_refused() {
    for json in ["", "[]", "{}", r#"{"model": {"vocab": [], "merges": []}}"#] {
        let error = Gpt2Tokenizer::from_tokenizer_json(json).unwrap_err();
        assert!(matches!(error, TokenizerError::TokenizerJsonSyntax { .. }), "{error}");
    }
    let mut file = file();
    for merge in [json!(["a"]), json!("a"), json!(["a", "i", "r"]), json!(7)] {
        file["model"]["merges"] = json!([merge]);
        let error = load(&file).unwrap_err();
        assert!(matches!(error, TokenizerError::TokenizerJsonSyntax { .. }), "{error}");
    }
    file["model"]["merges"] = json!(["a i", "a  i"]);
    assert!(matches!(load(&file).unwrap_err(), TokenizerError::MergeSyntax { line: 2, .. }));
}
