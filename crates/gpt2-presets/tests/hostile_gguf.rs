//! Malicious GGUF files give an error that names file and field, soon and without a panic.

use std::time::{Duration, Instant};

use gpt2_presets::{Preset, PresetError};
use gpt2_test_support::is_long;
use gpt2_tokenizer::Gpt2Tokenizer;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::gguf::{open_file, written};
use crate::gguf_builder::{Builder, Entry, array, string, tiny_file};
use crate::support::*;

/// Loads everything in a file.
fn load_bytes(bytes: &[u8]) -> Result<(Tensors, Gpt2Tokenizer), PresetError> {
    let (_folder, path) = written(bytes);
    let preset: Preset = open_file(&path)?;
    let tokenizer = preset.tokenizer()?;
    Ok((parameters(&preset.backbone(&device())?), tokenizer))
}

fn error_of(bytes: &[u8]) -> PresetError {
    let start = Instant::now();
    let error = load_bytes(bytes).map(|(tensors, _)| tensors.len()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    error
}

/// The field that the error names, and its detail.
fn field(bytes: &[u8]) -> (String, String) {
    let error = error_of(bytes);
    let PresetError::Malformed { format: "GGUF file", file, object, detail, .. } = &error else {
        panic!("{error}")
    };
    assert!(file.ends_with("tiny.gguf"), "{file}");
    (object.clone(), detail.clone())
}

fn with(change: impl FnOnce(&mut Builder)) -> Vec<u8> {
    let mut file = tiny_file();
    change(&mut file);
    file.bytes()
}

/// A valid file with these bytes at an offset.
fn patched(offset: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = tiny_file().bytes();
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    bytes
}

#[test]
fn beginnings() {
    assert_eq!(field(b"").0, "magic");
    assert_eq!(field(b"GGU").0, "magic");
    let (name, detail) = field(&patched(0, b"GGML"));
    assert_eq!((name.as_str(), detail.as_str()), ("magic", "expected `GGUF`, found `GGML`"));
    for version in [0u32, 1, 4, u32::MAX] {
        assert_eq!(field(&patched(4, &version.to_le_bytes())).0, "version", "{version}");
    }
    assert_eq!(field(&patched(4, &[0; 4])).1, "expected 2 or 3, found 0");
    let (name, detail) = field(&patched(4, &3u32.to_be_bytes()));
    assert!(name == "version" && detail.starts_with("the file is big endian"), "{detail}");
    for count in [1u64 << 63, u64::MAX, 8193] {
        assert_eq!(field(&patched(8, &count.to_le_bytes())).0, "number of tensors");
        assert_eq!(field(&patched(16, &count.to_le_bytes())).0, "number of metadata entries");
    }
}

#[test]
fn metadata() {
    // The length of the first key.
    for length in [u64::MAX, 1 << 63, 1 << 40, 100_000] {
        assert_eq!(field(&patched(24, &length.to_le_bytes())).0, "key of the metadata");
    }
    assert_eq!(field(&patched(32, b"\xff")).0, "key of the metadata");
    let long = with(|file| file.metadata.push(("k".repeat(65_536), 7, vec![0])));
    assert_eq!(field(&long).0, "key of the metadata");
    let nested = |depth: usize| [9u32.to_le_bytes(), [1, 0, 0, 0], [0; 4]].concat().repeat(depth);
    for (value_type, value) in [
        (13, vec![]),
        (u32::MAX, vec![]),
        (8, u64::MAX.to_le_bytes().to_vec()),
        (9, array(8, u64::MAX, &[])),
        (9, array(10, 1 << 61, &[])),
        (9, array(13, 1, &[])),
        (9, array(9, 1, &nested(1))),
        (9, nested(100_000)),
    ] {
        let mut file = tiny_file();
        file.metadata.insert(0, ("x".to_owned(), value_type, value));
        assert_eq!(field(&file.bytes()).0, "x", "{value_type}");
    }
    let twice = with(|file| file.metadata.push(file.metadata[3].clone()));
    assert_eq!(field(&twice), ("gpt2.embedding_length".into(), "it occurs twice".into()));
    for alignment in [3u32, 6, 33] {
        let bytes = with(|file| {
            file.set_u32("general.alignment", alignment);
        });
        assert_eq!(field(&bytes).0, "general.alignment");
    }
    for (value_type, value) in [(4, vec![0; 4]), (8, string("32")), (9, array(4, 1, &[0; 4]))] {
        let error = error_of(&with(|file| {
            file.set("general.alignment", value_type, value);
        }));
        let PresetError::InvalidConfigValue { key, .. } = &error else { panic!("{error}") };
        assert_eq!(*key, "general.alignment");
    }
    // Padding to an offset that overflows or is outside the file.
    for alignment in [1u64 << 31, 1 << 40, 1 << 63] {
        let bytes = with(|file| {
            file.set("general.alignment", 10, alignment.to_le_bytes());
        });
        assert_eq!(field(&bytes).0, "blk.0.attn_norm.bias");
    }
}

#[test]
fn tensors() {
    const NAME: &str = "token_embd.weight";
    let tensor = |change: fn(&mut Entry)| field(&with(|file| change(file.tensor(NAME)))).0;
    assert_eq!(tensor(|tensor| tensor.1 = vec![1; 5]), NAME);
    assert_eq!(tensor(|tensor| tensor.1 = vec![1 << 32, 1 << 32]), NAME);
    assert_eq!(tensor(|tensor| tensor.1 = vec![u64::MAX]), NAME);
    assert_eq!(tensor(|tensor| tensor.1 = vec![1 << 62]), NAME);
    assert_eq!(tensor(|tensor| tensor.2 = 4), NAME);
    assert_eq!(tensor(|tensor| tensor.2 = u32::MAX), NAME);
    // Blocks of 32 elements do not fill a row of 4.
    assert_eq!(tensor(|tensor| tensor.2 = 8), NAME);
    assert_eq!(tensor(|tensor| tensor.0 = "output_norm.bias".to_owned()), "output_norm.bias");

    let file = tiny_file();
    let last = file.tensors.len() - 1;
    assert_eq!(file.tensors[last].0, NAME);
    let expected = file.offsets()[last];
    // An overlap, a gap, a misaligned offset, an offset outside the file, and ones that overflow.
    for offset in [0, expected - 32, expected + 32, expected + 1, 1 << 40, u64::MAX, 1 << 63] {
        let mut offsets = file.offsets();
        offsets[last] = offset;
        let (name, detail) = field(&file.bytes_with(&offsets));
        assert_eq!(name, NAME, "{offset}");
        assert!(detail.starts_with(&format!("expected offset {expected}, found")), "{detail}");
    }
    let mut short = file.bytes();
    short.pop();
    assert_eq!(field(&short).0, NAME);
    // More elements than the file holds.
    assert_eq!(tensor(|tensor| tensor.1 = vec![4, 60_000]), NAME);
}

#[test]
fn types_that_are_not_read_say_what_to_do() {
    let mut file = tiny_file();
    file.tensor("output_norm.weight").2 = 26;
    let error = error_of(&file.bytes());
    assert!(
        matches!(&error, PresetError::UnsupportedElementType { tensor, found, expected }
            if tensor == "output_norm.weight" && found == "I32"
                && expected.starts_with("F32, F16, BF16, Q8_0, Q4_0, Q6_K")),
        "{error}"
    );
    assert!(error.to_string().contains("llama-quantize --allow-requantize IN OUT F16"), "{error}");
}

#[test]
fn models_that_are_no_gpt2() {
    let error = error_of(&with(|file| {
        file.set_text("general.architecture", "llama");
    }));
    assert!(
        matches!(&error, PresetError::UnsupportedClass { expected: "gpt2", found, .. }
            if found == "llama"),
        "{error}"
    );
    for key in [
        "gpt2.block_count",
        "gpt2.context_length",
        "gpt2.embedding_length",
        "gpt2.feed_forward_length",
        "gpt2.attention.head_count",
        "gpt2.attention.layer_norm_epsilon",
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
    ] {
        for bytes in [
            with(|file| {
                file.remove(key);
            }),
            with(|file| {
                file.set(key, 7, [1]);
            }),
            with(|file| {
                file.set(key, 9, array(0, 1, &[1]));
            }),
            with(|file| {
                file.set(key, 8, string("\u{1F600}"));
            }),
        ] {
            let error = error_of(&bytes);
            let PresetError::InvalidConfigValue { key: found, .. } = &error else {
                panic!("{key}: {error}")
            };
            assert_eq!(*found, key);
        }
    }
    for (key, value) in [
        ("gpt2.attention.head_count", 0),
        ("gpt2.attention.head_count_kv", 1),
        ("gpt2.attention.key_length", 3),
        ("gpt2.attention.value_length", 3),
        ("split.count", 2),
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", 1),
    ] {
        let error = error_of(&with(|file| {
            file.set_u32(key, value);
        }));
        let PresetError::InvalidConfigValue { key: found, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, key);
    }
    for (key, value) in [
        ("gpt2.block_count", u32::MAX),
        ("gpt2.context_length", u32::MAX),
        ("gpt2.embedding_length", u32::MAX),
        ("gpt2.attention.head_count", 3),
    ] {
        let error = error_of(&with(|file| {
            file.set_u32(key, value);
        }));
        let known = matches!(
            error,
            PresetError::Backbone(_)
                | PresetError::TensorShape { .. }
                | PresetError::IncompleteWeights { .. }
        );
        assert!(known, "{error}");
    }
}

#[test]
fn tokenizers_that_are_none() {
    let pre = error_of(&with(|file| {
        file.set_text("tokenizer.ggml.pre", "llama-bpe");
    }));
    let types = error_of(&with(|file| {
        file.set_i32s("tokenizer.ggml.token_type", &[1]);
    }));
    for (error, expected) in [(pre, "tokenizer.ggml.pre"), (types, "tokenizer.ggml.token_type")] {
        let PresetError::InvalidConfigValue { key, .. } = &error else { panic!("{error}") };
        assert_eq!(*key, expected);
    }
    for (key, texts) in [
        ("tokenizer.ggml.tokens", &["a", "b", "b", "<|endoftext|>", "", ""][..]),
        ("tokenizer.ggml.tokens", &["a", "b", "ab", "end", "c", "d"]),
        ("tokenizer.ggml.merges", &["ab"]),
        ("tokenizer.ggml.merges", &["b a"]),
    ] {
        let error = error_of(&with(|file| {
            file.set_texts(key, texts);
        }));
        assert!(matches!(error, PresetError::Tokenizer(_)), "{error}");
    }
    let many: Vec<_> =
        (0..7).map(|id| if id == 6 { "<|endoftext|>".into() } else { id.to_string() }).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let error = error_of(&with(|file| {
        file.set_texts("tokenizer.ggml.tokens", &many).remove("tokenizer.ggml.token_type");
        file.set_texts("tokenizer.ggml.merges", &[]).set_u32("tokenizer.ggml.bos_token_id", 6);
        file.set_u32("tokenizer.ggml.eos_token_id", 6);
    }));
    assert!(matches!(error, PresetError::VocabularyTooLarge { max_token_id: 6, .. }), "{error}");
    // The last token has the type "unused", and no row either.
    let error = error_of(&with(|file| {
        file.set_texts("tokenizer.ggml.tokens", &["a", "b", "ab", "<|endoftext|>", "c", "d", "e"]);
        file.set_i32s("tokenizer.ggml.token_type", &[1, 1, 1, 3, 1, 1, 5]);
    }));
    assert!(matches!(error, PresetError::VocabularyTooLarge { max_token_id: 6, .. }), "{error}");
}

/// A large file of empty strings: the header must not take much more memory than the file.
#[test]
fn millions_of_empty_strings() {
    let mut file = tiny_file();
    file.metadata.insert(0, ("x".to_owned(), 9, array(8, 4_000_000, &vec![0; 32_000_000])));
    let bytes = file.bytes();
    let expected = load_bytes(&tiny_file().bytes()).unwrap().0;
    let found = within_seconds(20, move || load_bytes(&bytes).unwrap().0);
    assert!(found == expected);
    // And one string above the limit.
    file.metadata[0] = ("x".to_owned(), 8, string(&" ".repeat(65 * 1024 * 1024)));
    assert_eq!(field(&file.bytes()).0, "x");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = tiny_file().bytes();
    within_seconds(120, move || {
        for length in 0..bytes.len() {
            let error = load_bytes(&bytes[..length]).map(|(tensors, _)| tensors.len()).unwrap_err();
            assert!(
                matches!(error, PresetError::Malformed { format: "GGUF file", .. }),
                "{length}: {error}"
            );
        }
    });
}

#[test]
fn random_damage_is_an_error_or_a_load() {
    let long = is_long();
    let (rounds, seconds) = if long { (10_000, 600) } else { (1_000, 60) };
    let bytes = tiny_file().bytes();
    let header =
        bytes.len() - tiny_file().tensors.iter().map(|tensor| tensor.3.len()).sum::<usize>();
    let (loaded, refused) = within_seconds(seconds, move || {
        let (mut loaded, mut refused) = (0, 0);
        for seed in 0..rounds {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut bytes = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..header);
                bytes[place] = match random.random_range(0..3) {
                    0 => random.random_range(0..=255),
                    1 => 0xff,
                    _ => bytes[place] ^ 1 << random.random_range(0..8),
                };
            }
            match load_bytes(&bytes) {
                Ok((tensors, _)) => {
                    assert_eq!(tensors.len(), 4 + 2 * 16);
                    loaded += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        (loaded, refused)
    });
    println!("{loaded} of {rounds} damaged files loaded, {refused} were refused");
    assert!(loaded > 0 && refused > 0);
}
