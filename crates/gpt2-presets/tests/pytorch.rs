//! Checkpoints from PyTorch, in `fixtures/pytorch`, and malicious ones.

use std::fs;
use std::io::{Cursor, Read, Write};

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{LoadReport, PresetError};
use gpt2_test_support::is_long;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::support::*;

fn config() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig { num_layers: 1, ..tiny() }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures("pytorch").join(name)).unwrap()
}

fn folder_with(bytes: &[u8]) -> TempDir {
    let folder = transformers_folder(&config());
    fs::write(folder.path().join("pytorch_model.bin"), bytes).unwrap();
    folder
}

/// Kind of file, for messages.
const PYTORCH: &str = "checkpoint of PyTorch that can be read without running code";

fn load_bin(bytes: &[u8]) -> Result<(Tensors, LoadReport), PresetError> {
    load(&folder_with(bytes))
}

/// Text of the error, which must concern the checkpoint as a whole.
fn refusal(bytes: &[u8]) -> String {
    match load_bin(bytes).unwrap_err() {
        PresetError::Malformed { format: PYTORCH, file, object, detail, .. } => {
            assert!(file.ends_with("pytorch_model.bin") && object.is_empty(), "{file}");
            detail
        }
        error => panic!("{error}"),
    }
}

/// The archive with another pickle.
fn with_pickle(
    bytes: &[u8],
    compression: CompressionMethod,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    let mut change = Some(change);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let (name, mut content) = (member.name().unwrap().into_owned(), Vec::new());
        member.read_to_end(&mut content).unwrap();
        if name.ends_with("/data.pkl") {
            content = change.take().unwrap()(content);
        }
        let options = SimpleFileOptions::default().compression_method(compression);
        out.start_file(name, options).unwrap();
        out.write_all(&content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// The bytes with the first `old` replaced by `new`.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("it is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
fn every_container_and_float_type_gives_the_same_parameters() {
    let model = numbered_model(&config());
    let buffers = ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"];
    for (file, stored, skipped) in [
        ("whole.bin", Stored::F32, [&["lm_head.weight"], &buffers[..]].concat()),
        ("legacy.bin", Stored::F32, [&["lm_head.weight"], &buffers[..]].concat()),
        ("float16.bin", Stored::F16, vec!["h.0.attn.masked_bias"]),
        ("bfloat16.bin", Stored::Bf16, vec!["h.0.attn.masked_bias"]),
        ("strided.bin", Stored::F32, vec!["h.0.attn.bias", "h.0.attn.masked_bias"]),
    ] {
        let (loaded, report) = load_bin(&fixture(file)).unwrap();
        assert_eq!(loaded, rounded(&model, stored), "{file}");
        let mut found = report.skipped;
        found.sort();
        assert_eq!(found, skipped, "{file}");
        assert_eq!(report.applied.len(), 16);
    }
}

#[test]
fn shards_are_joined_and_safetensors_are_preferred() {
    let folder = transformers_folder(&config());
    for entry in fs::read_dir(fixtures("pytorch")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name.to_str().unwrap().starts_with("pytorch_model") {
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    assert_eq!(load(&folder).unwrap().0, numbered_model(&config()));
    // The single file takes precedence over the shards.
    fs::write(folder.path().join("pytorch_model.bin"), fixture("float16.bin")).unwrap();
    assert_eq!(load(&folder).unwrap().0, rounded(&numbered_model(&config()), Stored::F16));
    let other = tiny_model(&config());
    let bytes = safetensors(&transformers_tensors(&config(), &other), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    assert_eq!(load(&folder).unwrap().0, other);
}

#[test]
fn the_configs_shapes_and_an_untied_head_hold() {
    let folder = folder_with(&fixture("whole.bin"));
    let untied = Gpt2BackboneConfig { tie_weights: false, ..config() };
    write_json(folder.path(), "config.json", &transformers_config(&untied));
    let (loaded, report) = load(&folder).unwrap();
    let embedding = &numbered_model(&config())["token_embedding.embeddings"].1;
    let head = &loaded["token_embedding.reverse_embeddings"];
    assert_eq!(head.0, [4, 6]);
    assert!((0..24).all(|index| head.1[index % 4 * 6 + index / 4] == embedding[index]));
    assert_eq!(report.applied.len(), 17);

    let two = Gpt2BackboneConfig { num_layers: 2, ..config() };
    write_json(folder.path(), "config.json", &transformers_config(&two));
    assert!(matches!(load(&folder).unwrap_err(), PresetError::IncompleteWeights { missing, .. }
        if missing.len() == 12));
    let longer = config().with_max_sequence_length(6);
    write_json(folder.path(), "config.json", &transformers_config(&longer));
    assert!(matches!(load(&folder).unwrap_err(), PresetError::TensorShape { tensor, .. }
        if tensor == "transformer.wpe.weight"));
}

#[test]
fn a_pickle_that_calls_a_program_is_refused_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    let command = format!("touch '{}'", proof.display());
    let call = |function: &str| {
        let text = [&(command.len() as u32).to_le_bytes(), command.as_bytes()].concat();
        [b"c", function.as_bytes(), b"\n(X", &text, b"tR0"].concat()
    };
    for (function, named) in [
        ("os\nsystem", "`os.system`"),
        ("builtins\neval", "`builtins.eval`"),
        ("torch\nload", "`torch.load`"),
    ] {
        // At the very beginning, and at the end, where the tensors are known.
        let first = |pickle: Vec<u8>| [&pickle[..2], &call(function), &pickle[2..]].concat();
        let last = |pickle: Vec<u8>| {
            let end = pickle.len() - 1;
            [&pickle[..end], &call(function), &pickle[end..]].concat()
        };
        let whole = fixture("whole.bin");
        let legacy = fixture("legacy.bin");
        for bytes in [
            with_pickle(&whole, CompressionMethod::Stored, first),
            with_pickle(&whole, CompressionMethod::Stored, last),
            replaced(&legacy, b"ccollections", &[&call(function), &b"ccollections"[..]].concat()),
            first(legacy.clone()),
            [&b"\x80\x02"[..], &call(function), b"N."].concat(),
        ] {
            let detail = refusal(&bytes);
            assert!(detail.contains(named), "{detail}");
        }
    }
    assert!(!proof.exists());
    let error = load_bin(b"\x80\x02c__builtin__\neval\n.").unwrap_err().to_string();
    assert!(error.contains("safe_serialization=True"), "{error}");
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let whole = fixture("whole.bin");
    let dicts = |count| move |_| [&b"\x80\x02"[..], &vec![b'}'; count], b"."].concat();
    let detail = refusal(&with_pickle(&whole, CompressionMethod::Stored, dicts(2 << 20)));
    assert!(detail.contains("bytes of pickle"), "{detail}");
    let detail = refusal(&with_pickle(&whole, CompressionMethod::Deflated, |pickle| pickle));
    assert!(detail.contains("compressed"), "{detail}");
    let detail = refusal(&with_pickle(&whole, CompressionMethod::Deflated, dicts(8 << 20)));
    assert!(detail.contains("data.pkl"), "{detail}");
    let legacy = fixture("legacy.bin");
    let bomb =
        replaced(&legacy, b"ccollections", &[&vec![b'}'; 2 << 20], &b"ccollections"[..]].concat());
    let detail = refusal(&bomb);
    assert!(detail.contains("too long"), "{detail}");

    let folder = folder_with(&fixture("expanded.bin"));
    let large = Gpt2BackboneConfig { vocabulary_size: 1_000_000, ..config() };
    write_json(folder.path(), "config.json", &transformers_config(&large));
    let error = load(&folder).unwrap_err().to_string();
    assert!(
        error.contains("`wte.weight`") && error.contains("more than the file holds"),
        "{error}"
    );
}

#[test]
fn other_elements_and_other_files_are_named() {
    let integers =
        |pickle: Vec<u8>| replaced(&pickle, b"ctorch\nFloatStorage\n", b"ctorch\nIntStorage\n");
    let bytes = with_pickle(&fixture("whole.bin"), CompressionMethod::Stored, integers);
    assert!(
        matches!(load_bin(&bytes).unwrap_err(), PresetError::UnsupportedElementType { found, .. }
        if found == "I32")
    );
    let tensors = transformers_tensors(&config(), &tiny_model(&config()));
    let safetensors = safetensors(&tensors, Stored::F32);
    for bytes in
        [&b""[..], b"PK\x03\x04", b"version https://git-lfs.github.com/spec/v1\n", &safetensors]
    {
        refusal(bytes);
    }
    // Pickles that the reader takes for a single one, and ignores what follows.
    let detail = refusal(b"}.N.N.N.N.");
    assert!(detail.contains("magic number"), "{detail}");
}

/// The checkpoint gives an error or a model of the config, without a panic or a long wait.
fn survives(bytes: Vec<u8>, what: &str) {
    let result = within_seconds(10, move || load_bin(&bytes).map(|_| ()));
    match result {
        Ok(())
        | Err(
            PresetError::Malformed { format: PYTORCH, .. }
            | PresetError::IncompleteWeights { .. }
            | PresetError::TensorShape { .. }
            | PresetError::UnsupportedElementType { .. }
            | PresetError::NonFiniteWeight { .. }
            | PresetError::ConflictingHead { .. }
            | PresetError::DuplicateTensor { .. },
        ) => {}
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn truncated_checkpoints_are_errors() {
    for file in ["whole.bin", "legacy.bin"] {
        let bytes = fixture(file);
        for end in (0..bytes.len()).step_by(61).chain([bytes.len() - 1]) {
            assert!(load_bin(&bytes[..end]).is_err(), "{file}, {end}");
        }
    }
}

#[test]
fn damaged_checkpoints_do_no_harm() {
    let rounds = if is_long() { 5_000 } else { 300 };
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for file in ["whole.bin", "legacy.bin"] {
        let bytes = fixture(file);
        for round in 0..rounds {
            let mut bytes = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] ^= 1 << random.random_range(0..8),
                    1 => bytes[at] = random.random(),
                    _ => {
                        let from = random.random_range(0..bytes.len());
                        let count = random.random_range(1..16).min(bytes.len() - at.max(from));
                        bytes.copy_within(from..from + count, at);
                    }
                }
            }
            survives(bytes, &format!("{file}, {round}"));
        }
    }
}
