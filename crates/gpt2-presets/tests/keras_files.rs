//! `.keras` files from Keras, in `fixtures/keras`, and malicious ones.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FromPreset, ModelWeights, Preset, PresetError, PresetFormat};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_test_support::{assert_passed, is_long, test_process};
use gpt2_tokenizer::Gpt2Tokenizer;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::support::*;

pub fn config() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig { num_layers: 1, dropout: 0.1, ..tiny() }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures("keras").join(name)).unwrap()
}

/// The members of an archive, in their order.
pub fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let count = archive.len();
    let member = |index| {
        let mut member = archive.by_index(index).unwrap();
        let (name, mut content) = (member.name().unwrap().into_owned(), Vec::new());
        member.read_to_end(&mut content).unwrap();
        (name, content)
    };
    (0..count).map(member).collect()
}

/// Weights of a fixture, as Keras' `save_weights` writes them.
pub fn weights(fixture: &str) -> Vec<u8> {
    let bytes = fs::read(fixtures("keras").join(fixture)).unwrap();
    let mut members = members(&bytes).into_iter();
    members.find(|(name, _)| name == "model.weights.h5").unwrap().1
}

/// A member of a malicious archive, with the properties that it declares.
struct Member {
    name: Vec<u8>,
    content: Vec<u8>,
    /// Declared size.
    size: u32,
    method: u16,
    flags: u16,
    mode: u32,
}

impl Member {
    fn new(name: &str, content: &[u8]) -> Self {
        let size = content.len() as u32;
        let (name, content) = (name.as_bytes().to_vec(), content.to_vec());
        Self { name, content, size, method: 0, flags: 0, mode: 0o100600 }
    }
}

/// A zip archive of arbitrary members.
fn archive(members: &[Member]) -> Vec<u8> {
    let (mut local, mut central) = (Vec::new(), Vec::new());
    for member in members {
        let offset = local.len() as u32;
        let mut common = Vec::new();
        let words = [20, member.flags, member.method, 0, 0x21];
        words.iter().for_each(|word| common.extend(word.to_le_bytes()));
        common.extend(crc32(&member.content).to_le_bytes());
        common.extend((member.content.len() as u32).to_le_bytes());
        common.extend(member.size.to_le_bytes());
        common.extend((member.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        local.extend([b"PK\x03\x04", &common[..], &member.name, &member.content].concat());
        let mode = (member.mode << 16).to_le_bytes();
        central.extend(b"PK\x01\x02\x14\x03");
        central.extend([&common[..], &[0; 6], &mode, &offset.to_le_bytes(), &member.name].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let sizes = [central.len() as u32, local.len() as u32].map(u32::to_le_bytes).concat();
    [&local, &central, &b"PK\x05\x06\0\0\0\0"[..], &count, &count, &sizes, &[0, 0]].concat()
}

/// Members of a valid archive.
fn good() -> Vec<Member> {
    let members = members(&fixture("fitted.keras"));
    members.iter().map(|(name, content)| Member::new(name, content)).collect()
}

/// A valid archive with one more member.
fn good_and(member: Member) -> Vec<u8> {
    archive(&good().into_iter().chain([member]).collect::<Vec<_>>())
}

/// Opens the bytes as a `.keras` file and loads the weights.
fn load_archive(bytes: &[u8]) -> Result<Gpt2Backbone, PresetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.keras");
    fs::write(&path, bytes).unwrap();
    Gpt2Backbone::from_preset_with(path.to_str().unwrap(), &device())
}

fn refusal(bytes: &[u8]) -> String {
    match load_archive(bytes).unwrap_err() {
        PresetError::Malformed { format: "Keras file", file, detail, .. } => {
            assert!(file.ends_with("model.keras"));
            detail
        }
        error => panic!("{error}"),
    }
}

#[test]
fn tasks_and_backbones_are_loaded() {
    let model = numbered_model(&config());
    let state = |count: usize| -> Vec<String> {
        (0..count).map(|index| format!("optimizer/vars/{index}")).collect()
    };
    let inner = [0, 1].map(|index| format!("optimizer/inner_optimizer/vars/{index}"));
    for (file, stored, skipped) in [
        ("fitted.keras", Stored::F32, state(2 + 2 * 20)),
        ("float16.keras", Stored::F16, state(2)),
        ("backbone_bfloat16.keras", Stored::Bf16, Vec::new()),
        ("mixed_float16.keras", Stored::F32, [inner.to_vec(), state(4)].concat()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        // As Keras writes it: uncompressed.
        let members = members(&fixture(file));
        let stored_members: Vec<_> =
            members.iter().map(|(name, content)| Member::new(name, content)).collect();
        fs::write(&path, archive(&stored_members)).unwrap();
        for path in [path, fixtures("keras").join(file)] {
            let preset = Preset::open(path.to_str().unwrap()).unwrap();
            assert_eq!((preset.format(), preset.config()), (PresetFormat::Keras, &config()));
            let (backbone, report) = preset.backbone_with_report(&device()).unwrap();
            assert_eq!(parameters(&backbone), rounded(&model, stored), "{file}");
            assert_eq!(report.applied.len(), 20);
            let (mut found, mut skipped) = (report.skipped, skipped.clone());
            found.sort();
            skipped.sort();
            assert_eq!(found, skipped, "{file}");
        }
    }
}

#[test]
fn the_tokenizer_and_the_preprocessor_are_in_the_file() {
    let path = fixtures("keras").join("fitted.keras");
    let path = path.to_str().unwrap();
    let tokenizer = Gpt2Tokenizer::from_preset(path).unwrap();
    assert_eq!(tokenizer.tokenize("abba<|endoftext|>").unwrap(), [2, 1, 0, 3]);
    let preprocessor = Gpt2CausalLmPreprocessor::from_preset(path).unwrap();
    let settings = preprocessor.config();
    assert_eq!((settings.sequence_length, settings.add_start_token), (4, false));
    let model = Gpt2CausalLm::from_preset_with(path, &device()).unwrap();
    assert_eq!(model.preprocessor().unwrap().config(), settings);

    let path = fixtures("keras").join("mixed_float16.keras");
    let model = Gpt2CausalLm::from_preset_with(path.to_str().unwrap(), &device()).unwrap();
    assert!(model.preprocessor().is_none());
    let error = Gpt2Tokenizer::from_preset(path.to_str().unwrap()).unwrap_err();
    assert!(matches!(&error, PresetError::MissingFile { file, .. } if file == "tokenizer.json"));
}

#[test]
fn weights_are_loaded_into_a_model() {
    let mut model = Gpt2Backbone::new(&config(), 1, &device()).unwrap();
    model.load_weights(fixtures("keras").join("float16.keras")).unwrap();
    assert_eq!(parameters(&model), numbered_model(&config()));
    let longer = config().with_max_sequence_length(6);
    let mut model = Gpt2Backbone::new(&longer, 1, &device()).unwrap();
    let error = model.load_weights(fixtures("keras").join("fitted.keras")).unwrap_err();
    assert!(matches!(error, PresetError::TensorShape { .. }), "{error}");
}

#[test]
fn a_class_that_is_not_gpt2s_is_not_built() {
    let error = Preset::open(fixtures("keras").join("lambda.keras").to_str().unwrap()).unwrap_err();
    assert!(
        matches!(&error, PresetError::UnsupportedClass { file, found, .. }
        if file.ends_with("lambda.keras/config.json") && found == "Sequential"),
        "{error}"
    );
    // In a task too: the layer is rejected or ignored.
    let mut members = good();
    let config = members.iter_mut().find(|member| member.name == b"config.json").unwrap();
    let text = String::from_utf8(config.content.clone()).unwrap();
    let text = text.replacen("keras_hub>GPT2Backbone", "keras>Lambda", 1);
    *config = Member::new("config.json", text.as_bytes());
    let error = load_archive(&archive(&members)).unwrap_err();
    assert!(
        matches!(&error, PresetError::UnsupportedClass { found, .. } if found == "keras>Lambda")
    );
}

#[test]
fn configs_that_are_none_are_named() {
    for (config, expected) in [
        ("", "EOF"),
        ("{", "EOF"),
        (r#"{"class_name": "GPT2CausalLM"}"#, "`backbone` of a task"),
        (r#"{"class_name": "GPT2CausalLM", "config": {"backbone": []}}"#, "`backbone` of a task"),
        (r#"{"class_name": "GPT2Backbone", "config": 1}"#, "must be an object"),
        ("[]", "map"),
    ] {
        let error = load_archive(&archive(&[Member::new("config.json", config.as_bytes())]));
        let error = error.unwrap_err();
        assert!(
            matches!(&error, PresetError::Malformed { format: JSON, file, .. } if file.ends_with("model.keras/config.json")),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
    let deep = "[".repeat(100_000);
    assert!(load_archive(&archive(&[Member::new("config.json", deep.as_bytes())])).is_err());
    for missing in ["config.json", "model.weights.h5"] {
        let mut members = good();
        members.retain(|member| member.name != missing.as_bytes());
        let error = load_archive(&archive(&members)).unwrap_err();
        assert!(
            matches!(&error, PresetError::MissingFile { file, .. } if file.contains(missing)),
            "{error}"
        );
    }
}

#[test]
fn members_that_mean_harm_are_refused() {
    load_archive(&archive(&good())).unwrap();
    load_archive(&good_and(Member::new("assets/", b""))).unwrap();
    let member = |name: &str| Member::new(name, b"harm");
    for name in
        ["../x", "/etc/x", "a/../../x", "a/./x", "a//x", "a\\..\\x", "C:x", "a\0x", "", ".."]
    {
        let detail = refusal(&good_and(member(name)));
        assert!(detail.contains("leads out"), "{name}: {detail}");
    }
    let link = Member { mode: 0o120777, ..member("link") };
    assert!(refusal(&good_and(link)).contains("a link"));
    for name in ["model.weights.h5", "other"] {
        let twice = [member(name), member(name)].into_iter().chain(good());
        assert!(refusal(&archive(&twice.collect::<Vec<_>>())).contains("twice"));
    }
    let secret = Member { flags: 1, ..member("secret") };
    assert!(refusal(&good_and(secret)).contains("encrypted"));
    for method in [1, 9, 12, 14, 93, 95, 98, 99] {
        let detail = refusal(&good_and(Member { method, ..member("odd") }));
        assert!(detail.contains("compression"), "{method}: {detail}");
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let mut zeros = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in
        [("config.json", vec![b' '; 2 << 20]), ("model.weights.h5", vec![0; 2 << 20])]
    {
        zeros.start_file(name, options).unwrap();
        zeros.write_all(&content).unwrap();
    }
    let zeros = zeros.finish().unwrap().into_inner();
    let detail = refusal(&zeros);
    assert!(zeros.len() < 10_000 && detail.contains("size of 2097152"), "{detail}");
    // Declared and actual size differ.
    for (name, size) in [("config.json", 1), ("config.json", 900_000), ("model.weights.h5", 1000)] {
        let mut members = good();
        let member = members.iter_mut().find(|member| member.name == name.as_bytes()).unwrap();
        member.size = size;
        let detail = refusal(&archive(&members));
        assert!(detail.contains(name), "{detail}");
    }
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..65_536 {
        many.start_file(index.to_string(), SimpleFileOptions::default()).unwrap();
    }
    let detail = refusal(&many.finish().unwrap().into_inner());
    assert!(detail.contains("65536 members"), "{detail}");
}

#[test]
fn other_files_are_no_archives() {
    for bytes in [&b""[..], b"PK\x03\x04", b"PK\x05\x06", b"\x89HDF\r\n\x1a\n", &[0; 100]] {
        refusal(bytes);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.h5");
    fs::write(&path, fixture("fitted.keras")).unwrap();
    let error = Preset::open(path.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("`.keras` file"), "{error}");
}

#[test]
fn truncated_and_damaged_archives_do_no_harm() {
    let bytes = fixture("fitted.keras");
    for end in (0..bytes.len()).step_by(61).chain([bytes.len() - 1]) {
        refusal(&bytes[..end]);
    }
    let rounds = if is_long() { 5_000 } else { 300 };
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for round in 0..rounds {
        let mut bytes = bytes.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = if random.random() { random.random() } else { bytes[at] ^ 1 };
        }
        let result = within_seconds(10, move || load_archive(&bytes).map(|_| ()));
        // Every member has a checksum.
        assert!(
            matches!(
                result,
                Ok(())
                    | Err(PresetError::Malformed { format: "Keras file", .. }
                        | PresetError::MissingFile { .. }
                        | PresetError::MissingPath { .. }
                        | PresetError::UnknownPreset { .. })
            ),
            "{round}: {}",
            result.unwrap_err()
        );
    }
}

/// Variable set for a process with a temporary folder of its own.
const ALONE: &str = "GPT2_TEST_TEMPORARY_FILES";

/// Loads weights in a child process of the test below.
fn copy_weights(folder: &Path) {
    let count = || fs::read_dir(folder).unwrap().count();
    let path = fixtures("keras").join("fitted.keras");
    let preset = Preset::open(path.to_str().unwrap()).unwrap();
    preset.tokenizer().unwrap();
    assert_eq!(count(), 0, "nothing has asked for the weights");
    let clone = preset.clone();
    for _ in 0..2 {
        let backbone = preset.backbone(&device()).unwrap();
        assert_eq!(parameters(&backbone), numbered_model(&config()));
        assert_eq!(count(), 1);
    }
    drop(preset);
    assert_eq!(count(), 1);
    drop(clone);
    assert_eq!(count(), 0);
    refusal_leaves_nothing(folder);
}

fn refusal_leaves_nothing(folder: &Path) {
    let mut members = good();
    let weights = members.iter_mut().find(|member| member.name == b"model.weights.h5").unwrap();
    weights.content[40_000] ^= 1;
    let mut bytes = archive(&members);
    // The checksum of the previous weights.
    let (wrong, right) = (crc32(&weights_of(&members)), crc32(&weights_of(&good())));
    while let Some(at) = bytes.windows(4).position(|window| window == wrong.to_le_bytes()) {
        bytes[at..at + 4].copy_from_slice(&right.to_le_bytes());
    }
    let path = folder.join("model.keras");
    fs::write(&path, bytes).unwrap();
    let error = Gpt2Backbone::from_preset_with(path.to_str().unwrap(), &device()).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

fn weights_of(members: &[Member]) -> Vec<u8> {
    members.iter().find(|member| member.name == b"model.weights.h5").unwrap().content.clone()
}

#[cfg(unix)]
#[test]
fn the_copy_of_the_weights_goes_with_the_preset() {
    if let Some(folder) = std::env::var_os(ALONE) {
        return copy_weights(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = test_process("keras_files::the_copy_of_the_weights_goes_with_the_preset")
        .env(ALONE, folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert_passed(&output);
}
