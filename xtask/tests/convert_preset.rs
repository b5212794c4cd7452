//! `cargo xtask convert-preset` as a command: files that appear, and files that stay.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;

use crate::support::{golden, refusal, success, xtask};

fn convert(source: &Path, destination: &Path, more: &[&str]) -> std::process::Output {
    xtask("convert-preset").arg(source).arg(destination).args(more).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn there_and_back_computes_what_keras_hub_computes() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("transformers"), folder.path().join("keras"));
    success(convert(&golden("air_small/keras"), &there, &["--verify"]));
    assert!(there.join("model.safetensors").exists());
    success(convert(&there, &back, &["--verify"]));
    assert!(back.join("model.weights.h5").exists());
    assert_eq!(names(folder.path()), ["keras", "transformers"], "nothing else is left behind");
    for preset in [&there, &back] {
        let reference = golden("air_small/expected.safetensors");
        xtask("verify-preset").arg(preset).arg("--reference").arg(reference).assert().success();
    }
}

#[test]
fn sixteen_bits_halve_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let written = |to: &str, file: &str, dtype: &str| {
        let destination = folder.path().join(to).join(dtype);
        let arguments = ["--to", to, "--dtype", dtype, "--verify", "--force"];
        let output = convert(&golden("air_small/keras"), &destination, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(destination.join(file)).unwrap()
    };
    let weights = |dtype| {
        let file = written("transformers", "model.safetensors", dtype);
        let tensors = SafeTensors::deserialize(&file).unwrap();
        tensors.iter().map(|(_, tensor)| tensor.data().len()).sum::<usize>()
    };
    let full = weights("f32");
    for dtype in ["f16", "float16", "bf16", "bfloat16"] {
        assert_eq!(2 * weights(dtype), full, "{dtype}");
    }
    // HDF5 files have more than weights, and bfloat16 has an attribute on each dataset.
    let size = |dtype| written("keras", "model.weights.h5", dtype).len();
    assert!(size("f16") < size("f32"));
    size("bf16");
}

#[test]
fn weights_are_split_and_progress_stays_off_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("split");
    let source = golden("air_small/keras");
    // The model has 7,000 bytes of weights.
    let more = ["--max-shard-size", "0.000002", "--verify"];
    let output = convert(&source, &destination, &more);
    assert_eq!(output.stderr, b"");
    let printed = success(output);
    assert!(printed.contains("differ by 0"), "{printed}");
    assert!(destination.join("model.safetensors.index.json").exists());
    assert!(!destination.join("model.safetensors").exists());
    for wrong in ["0", "-1", "nan", "5GB"] {
        let output = convert(&source, &folder.path().join("x"), &["--max-shard-size", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn a_gguf_is_a_file_and_computes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in ["f32", "f16", "bf16"] {
        let file = folder.path().join("model.gguf");
        let more = ["--to", "gguf", "--dtype", dtype, "--verify", "--force"];
        success(convert(&golden("air_small/keras"), &file, &more));
        assert!(file.is_file());
        let back = folder.path().join("back");
        success(convert(&file, &back, &["--to", "keras", "--verify", "--force"]));
        assert_eq!(names(folder.path()), ["back", "model.gguf"]);
    }
    let file = folder.path().join("split.gguf");
    let more = ["--to", "gguf", "--max-shard-size", "1"];
    let message = refusal(convert(&golden("air_small/keras"), &file, &more));
    assert!(message.contains("--max-shard-size"), "{message}");
}

#[test]
fn a_gguf_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model", "model.keras", "model.bin"] {
        let file = folder.path().join(name);
        success(convert(&golden("air_small/keras"), &file, &["--to", "gguf", "--verify"]));
        assert_eq!(fs::read(&file).unwrap()[..4], *b"GGUF");
    }
}

#[test]
fn a_backbone_alone_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in ["config.json", "model.weights.h5"] {
        fs::copy(golden("air_small/keras").join(name), source.join(name)).unwrap();
    }
    let destination = folder.path().join("new");
    success(convert(&source, &destination, &["--verify"]));
    assert_eq!(names(&destination), ["config.json", "generation_config.json", "model.safetensors"]);
}

#[test]
fn an_existing_destination_is_replaced_by_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("preset");
    fs::create_dir(&destination).unwrap();
    let source = golden("air_small/keras");
    let refused = || {
        let message = refusal(convert(&source, &destination, &[]));
        assert!(message.contains("--force"), "{message}");
    };
    refused();
    assert!(names(&destination).is_empty());

    // An empty folder, a preset, and another format's preset.
    let replace = |to| {
        success(convert(&source, &destination, &["--force", "--to", to]));
        assert_eq!(names(folder.path()), ["preset"]);
        refused();
    };
    replace("keras");
    replace("transformers");
    assert!(destination.join("model.safetensors").exists());
    assert!(!destination.join("model.weights.h5").exists());

    // Not a file of the user's among the preset's, and neither a folder by a file nor the reverse.
    let kept = |to, expected: &str| {
        let message = refusal(convert(&source, &destination, &["--force", "--to", to]));
        assert!(message.contains(expected), "{message}");
    };
    fs::write(destination.join("mine.txt"), "mine").unwrap();
    kept("keras", "`mine.txt`");
    assert_eq!(fs::read(destination.join("mine.txt")).unwrap(), b"mine");
    fs::remove_file(destination.join("mine.txt")).unwrap();
    kept("gguf", "cannot replace");
    fs::remove_dir_all(&destination).unwrap();
    fs::write(&destination, "mine").unwrap();
    kept("gguf", "cannot replace");
    kept("keras", "cannot replace");
    assert_eq!(fs::read(&destination).unwrap(), b"mine");
    fs::remove_file(&destination).unwrap();
    success(convert(&source, &destination, &["--to", "gguf"]));
    replace("gguf");
    assert_eq!(fs::read(&destination).unwrap()[..4], *b"GGUF");
}

#[test]
fn force_replaces_no_folder_that_is_no_preset() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("mine.txt"), "mine").unwrap();
    let refused = |expected: &[&str]| {
        // The source is not even opened.
        for to in ["keras", "transformers", "gguf"] {
            let message =
                refusal(convert(Path::new("no/such/source"), &home, &["--force", "--to", to]));
            assert!(message.contains("cannot replace"), "{message}");
            assert_eq!(names(&home), expected);
            assert_eq!(names(folder.path()), ["home"]);
        }
    };
    refused(&["mine.txt"]);
    // Many programs have a file of that name.
    fs::write(home.join("config.json"), r#"{"editor": "vi"}"#).unwrap();
    refused(&["config.json", "mine.txt"]);
    // A folder for downloads.
    fs::remove_file(home.join("config.json")).unwrap();
    fs::write(home.join("model.gguf"), "GGUF").unwrap();
    refused(&["mine.txt", "model.gguf"]);
}

#[test]
fn what_is_refused_is_refused_before_the_source_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new("no/such/source");
    let refused = |destination: &str, more: &[&str], expected: &str| {
        let message = refusal(convert(source, &folder.path().join(destination), more));
        assert!(message.contains(expected), "{message}");
    };
    fs::write(folder.path().join("file"), "mine").unwrap();
    refused("file", &[], "--force");
    refused("new", &["--to", "gguf", "--max-shard-size", "1"], "--max-shard-size");
    refused("new/..", &[], "pass a name");
    // Nothing is created if the source does not exist.
    refused("deep/new", &[], "no/such/source");
    assert_eq!(names(folder.path()), ["file"]);
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn what_killed_conversions_left_is_removed_and_gets_into_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let leave = |name: &str| {
        let partial = folder.path().join(name);
        fs::create_dir_all(partial.join("preset")).unwrap();
        fs::write(partial.join("preset/stale.txt"), "stale").unwrap();
    };
    leave(".preset.1-0.partial");
    leave(".preset.4194304-17.partial");
    let kept =
        [".other.1-0.partial", ".preset.1-0.old", ".preset.1-1.partial", ".preset.a-0.partial"];
    kept.iter().for_each(|name| leave(name));
    // Another process is writing to this file.
    let lock = fs::File::open(folder.path().join(".preset.1-1.partial")).unwrap();
    lock.try_lock().unwrap();
    let destination = folder.path().join("preset");
    success(convert(&golden("air_small/keras"), &destination, &[]));
    assert!(!destination.join("stale.txt").exists());
    assert_eq!(names(folder.path()), [&kept[..], &["preset"]].concat());
}

#[test]
fn what_the_format_cannot_express_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    let original = golden("air_small/transformers");
    for name in names(&original) {
        fs::copy(original.join(&name), source.join(&name)).unwrap();
    }
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["layer_norm_epsilon"] = 1e-3.into();
    fs::write(source.join("config.json"), config.to_string()).unwrap();

    let message = refusal(convert(&source, &folder.path().join("keras"), &[]));
    assert!(message.contains("layer_norm_epsilon"), "{message}");
    assert_eq!(names(folder.path()), ["source"]);
}
