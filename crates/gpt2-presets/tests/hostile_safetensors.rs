//! Malicious safetensors files give an error that names file and field, soon and without a panic.

use std::time::{Duration, Instant};

use gpt2_presets::PresetError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::support::*;

fn valid() -> Vec<u8> {
    safetensors(&transformers_tensors(&tiny(), &tiny_model(&tiny())), Stored::F32)
}

/// The field that the error names.
fn field(bytes: &[u8]) -> String {
    let start = Instant::now();
    let error = load_safetensors(bytes).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    let PresetError::Malformed { format: SAFETENSORS, file, object, .. } = &error else {
        panic!("{error}")
    };
    assert!(file.ends_with("model.safetensors"), "{file}");
    object.clone()
}

#[test]
fn header_lengths() {
    for bytes in [&b""[..], b"1234567"] {
        assert_eq!(field(bytes), "header length");
    }
    for length in [17, 100_000_001, 1 << 63, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], b"{}              "].concat();
        assert_eq!(field(&bytes), "header length");
    }
}

#[test]
fn headers() {
    let nested = "[".repeat(100_000);
    for header in [
        "",
        "nothing",
        " {}",
        "[]",
        r#"{"a": }"#,
        r#"{"a": 1}"#,
        r#"{"a": {"dtype": "F7", "shape": [], "data_offsets": [0, 0]}}"#,
        r#"{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}"#,
        r#"{"a": {"dtype": "F32", "shape": [0], "data_offsets": [0]}}"#,
        r#"{"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}"#,
        &format!("{{\"a\": {nested}"),
        &format!("{{\"__metadata__\": {nested}"),
        &format!(r#"{{"a": {{"dtype": "F32", "shape": {nested}"#),
    ] {
        assert_eq!(field(&with_header(header, b"")), "header", "{header:.60}");
    }
    assert_eq!(field(&[&8u64.to_le_bytes()[..], b"{\"\xff\": 0}"].concat()), "header");
}

#[test]
fn millions_of_entries() {
    let many = format!("{{{}", r#""":0,"#.repeat(10_000_000));
    assert_eq!(field(&with_header(&many, b"")), "header length");
    let entry = |i| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let many: Vec<_> = (0..250_000).map(entry).collect();
    assert_eq!(field(&with_header(&format!("{{{}}}", many.join(",")), b"")), "header");
}

#[test]
fn offsets_and_sizes() {
    let one = |shape: serde_json::Value, start: u64, end: u64, size: usize| {
        let header = json!({"a": {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}});
        field(&with_header(&header.to_string(), &vec![0; size]))
    };
    assert_eq!(one(json!([2]), 4, 12, 12), "a");
    assert_eq!(one(json!([2]), 8, 0, 8), "a");
    assert_eq!(one(json!([2]), 0, 12, 12), "a");
    assert_eq!(one(json!([1u64 << 62, 4]), 0, 0, 0), "a");
    assert_eq!(one(json!([1u64 << 62]), 0, 8, 8), "a");
    assert_eq!(one(json!([2]), 0, u64::MAX, 8), "a");
    assert_eq!(one(json!([2]), 0, 8, 9), "length of the file");
    assert_eq!(one(json!([2]), 0, 8, 7), "length of the file");
    let header = json!({
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    });
    assert_eq!(field(&with_header(&header.to_string(), &[0; 12])), "b");
}

#[test]
fn element_types() {
    let bytes = String::from_utf8_lossy(&valid()).into_owned();
    assert!(bytes.contains("F32"));
    let mut tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    let bias = tensors.remove("transformer.ln_f.bias").unwrap();
    let rest = safetensors(&tensors, Stored::F32);
    let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
    let data = &rest[8 + length..];
    let mut header: serde_json::Value = serde_json::from_slice(&rest[8..8 + length]).unwrap();
    let offsets = [data.len(), data.len() + 4 * bias.1.len()];
    header["transformer.ln_f.bias"] =
        json!({"dtype": "I32", "shape": [4], "data_offsets": offsets});
    let bytes = with_header(&header.to_string(), &[data, &[0; 16]].concat());
    let error = load_safetensors(&bytes).unwrap_err();
    assert!(
        matches!(&error, PresetError::UnsupportedElementType { tensor, found, .. }
            if tensor == "transformer.ln_f.bias" && found == "I32"),
        "{error}"
    );
}

#[test]
fn truncation_anywhere_is_an_error() {
    let bytes = valid();
    for length in (0..bytes.len()).step_by(64).chain([bytes.len() - 1]) {
        field(&bytes[..length]);
    }
}

#[test]
fn flipped_bits_in_the_header_give_an_error_or_the_same_model() {
    let (bytes, model) = (valid(), tiny_model(&tiny()));
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for _ in 0..1000 {
        let mut bytes = bytes.clone();
        bytes[rng.random_range(0..header)] ^= 1 << rng.random_range(0..8);
        if let Ok((loaded, _)) = load_safetensors(&bytes) {
            assert!(loaded.keys().eq(model.keys()));
        }
    }
}
