//! Texts that users may pass as a preset.

use std::fs;

use gpt2_backbone::BackboneError;
use gpt2_presets::{FileError, FromPreset, Preset, PresetError, PresetFormat, Save};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::support::*;

const BUNDLED: &str = "gpt2_tiny_shakespeare";

#[test]
fn an_unknown_name_lists_the_known_ones() {
    for name in ["gpt3", "nowhere", "s3://bucket/gpt2", ""] {
        let error = Preset::open(name).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("Unknown preset identifier `{name}`: expected")),
            "{text}"
        );
        assert!(text.contains(BUNDLED) && text.contains("gpt2_extra_large_en"));
        assert!(text.contains("hf://OWNER/MODEL") && text.contains("GGUF"), "{text}");
        assert!(!text.contains("did you mean"), "{text}");
    }
}

#[test]
fn the_name_that_is_meant_is_suggested() {
    for (name, meant) in [
        ("gpt2", "gpt2_base_en"),
        ("gpt2_bas", "gpt2_base_en"),
        ("GPT2-medium", "gpt2_medium_en"),
        ("gpt2_xl", "gpt2_extra_large_en"),
        ("openai-community/gpt2", "hf://openai-community/gpt2"),
        ("https://huggingface.co/openai-community/gpt2", "hf://openai-community/gpt2"),
    ] {
        let text = Preset::open(name).unwrap_err().to_string();
        assert!(text.ends_with(&format!("did you mean `{meant}`?")), "{name}: {text}");
    }
}

#[test]
fn a_path_without_a_file_is_called_so() {
    for path in ["./nowhere", "/no/such/folder", "x.gguf", "a/b/c", "file://nowhere", "~/gpt2"] {
        let error = Preset::open(path).unwrap_err();
        assert!(matches!(error, PresetError::MissingPath { .. }), "{path}: {error}");
        assert!(error.to_string().contains("no such file or folder"), "{error}");
    }
}

#[test]
fn a_path_that_cannot_be_looked_up_is_no_unknown_name() {
    let folder = keras_folder(&tiny());
    // Two parts, as a model's name on a hub has.
    let through_a_file = folder.path().join("config.json").join("gpt2");
    let too_long = "a".repeat(300);
    for path in [through_a_file.to_str().unwrap(), &too_long] {
        let error = Preset::open(path).unwrap_err();
        assert!(
            matches!(&error, PresetError::File(FileError::Read { path: found, .. }) if found.as_os_str() == path),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_searched_is_no_unknown_name() {
    use std::os::unix::fs::PermissionsExt;

    let folder = keras_folder(&tiny());
    let set = |mode| {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o600);
    if fs::metadata(folder.path().join("config.json")).is_ok() {
        let name = "handles::a_folder_that_may_not_be_searched_is_no_unknown_name";
        gpt2_test_support::as_nobody(name);
    } else {
        for path in [folder.path(), &folder.path().join("inner")] {
            let error = Preset::open(path).unwrap_err();
            assert!(matches!(error, PresetError::File(FileError::Read { .. })), "{error}");
            assert!(chain(&error).contains("denied"), "{error}");
        }
    }
    set(0o700);
}

#[test]
fn an_unfinished_training_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let last = folder.path().join("training").join("last");
    fs::create_dir_all(&last).unwrap();
    fs::write(folder.path().join("training/training.checkpoint.safetensors"), "").unwrap();
    let error = open(&folder).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("is an unfinished training"), "{text}");
    assert!(text.contains(last.to_str().unwrap()) && text.contains("`gpt2 train`"), "{text}");
    fs::remove_dir(&last).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(&error, PresetError::UnfinishedTraining { last: None, .. }), "{error}");
    let error = Gpt2Tokenizer::from_preset(folder.path()).unwrap_err();
    assert!(matches!(error, PresetError::UnfinishedTraining { .. }), "{error}");
    // A completed preset that is trained again is opened.
    let preset = keras_folder(&tiny());
    fs::rename(folder.path().join("training"), preset.path().join("training")).unwrap();
    open(&preset).unwrap();
}

#[test]
fn a_tokenizer_alone_is_called_so() {
    let tokenizer = open(&transformers_folder(&tiny())).unwrap().tokenizer().unwrap();
    for format in ["keras", "transformers", "assets"] {
        let folder = tempfile::tempdir().unwrap();
        match format {
            "keras" => tokenizer.save_to_preset(folder.path()).unwrap(),
            "transformers" => tokenizer.export_to_transformers(folder.path()).unwrap(),
            _ => tokenizer.save_assets(folder.path()).unwrap(),
        }
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, PresetError::TokenizerAlone { .. }), "{format}: {error}");
        assert!(error.to_string().contains("is a tokenizer, not a model"), "{error}");
    }
}

#[cfg(not(feature = "hub"))]
#[test]
fn hubs_ask_for_their_feature() {
    let handles = [
        "kaggle://keras/gpt2/keras/gpt2_base_en/3",
        "hf://openai-community/gpt2",
        "modelscope://a/b",
        "HF://a/b",
    ];
    let names = gpt2_presets::presets()
        .iter()
        .filter(|info| !info.sources.is_empty())
        .map(|info| info.name);
    for handle in names.chain(handles) {
        let error = Preset::open(handle).unwrap_err();
        assert!(matches!(&error, PresetError::HubDisabled { preset, .. } if preset == handle));
        assert!(error.to_string().contains("--features hub"), "{error}");
    }
}

#[test]
fn a_malformed_handle_says_how_one_looks() {
    for (handle, start) in [
        ("kaggle://keras/gpt2", "Unexpected Kaggle preset. Kaggle model handles should have the"),
        ("hf://a/b/c", "Unexpected Hugging Face preset. Hugging Face model handles should have"),
        ("modelscope://a", "ModelScope handles should follow the format 'modelscope://{org}/"),
    ] {
        let text = Preset::open(handle).unwrap_err().to_string();
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with(&format!("Received: preset={handle}")), "{text}");
    }
}

#[test]
fn folders_open_by_path_and_by_url() {
    let folder = keras_folder(&tiny());
    let path = folder.path().to_str().unwrap();
    for handle in [path.to_owned(), format!("{path}/"), format!("file://{path}")] {
        let preset = Preset::open(&handle).unwrap();
        assert_eq!((preset.format(), preset.config()), (PresetFormat::Keras, &tiny()));
        assert_eq!(preset.name(), handle);
    }
    let file = folder.path().join("config.json");
    let error = Preset::open(file.to_str().unwrap()).unwrap_err();
    assert!(matches!(&error, PresetError::NotADirectory { path } if *path == file));
    fs::remove_file(file).unwrap();
    fs::write(folder.path().join("model.weights.h5"), "").unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(&error, PresetError::MissingFile { file, .. } if file == "config.json"));
}

#[cfg(all(unix, feature = "bundled"))]
#[test]
fn a_path_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use gpt2_backbone::Gpt2Backbone;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    let bundled = Preset::open(BUNDLED).unwrap();
    bundled.save_to_preset(&path).unwrap();
    let preset = Preset::open(&path).unwrap();
    assert_eq!(preset.config(), bundled.config());
    assert!(preset.name().ends_with("caf\u{fffd}"));
    Gpt2Backbone::from_preset(&path).unwrap();
    let missing = path.join("nothing");
    assert!(matches!(Preset::open(missing), Err(PresetError::MissingPath { .. })));
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_opened() {
    for name in ["config.json", "model.safetensors", "vocab.json"] {
        let folder = transformers_folder(&tiny());
        let path = folder.path().join(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = within_seconds(10, move || match name {
            "vocab.json" => open(&folder).unwrap().tokenizer().unwrap_err(),
            _ => load(&folder).unwrap_err(),
        });
        assert!(
            matches!(&error, PresetError::File(FileError::NotAFile { path: found }) if *found == path)
        );
    }
    let folder = keras_folder(&tiny());
    let path = folder.path().join("model.weights.h5");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = within_seconds(10, move || load(&folder).unwrap_err());
    assert!(matches!(error, PresetError::File(FileError::NotAFile { .. })));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named() {
    let folder = keras_folder(&tiny());
    let path = folder.path().join("config.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(&folder), Err(PresetError::File(FileError::NotAFile { .. }))));
    // A loop of links exists by name, but cannot be followed.
    fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    assert!(
        matches!(open(&folder), Err(PresetError::File(FileError::Read { path: found, .. })) if found == path)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn errors_of_the_operating_system_name_the_file() {
    let folder = keras_folder(&tiny());
    let path = folder.path().join("config.json");
    fs::remove_file(&path).unwrap();
    let weights = folder.path().join("model.weights.h5");
    // Regular files by their type, whose first page cannot be read.
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &weights).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(&error, PresetError::File(FileError::Read { path: found, .. }) if *found == path),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    write_json(folder.path(), "config.json", &keras_config(&tiny()));
    let error = load(&folder).unwrap_err();
    assert!(
        matches!(&error, PresetError::File(FileError::Read { path: found, .. }) if *found == weights),
        "{error}"
    );
}

#[cfg(not(feature = "bundled"))]
#[test]
fn the_bundled_preset_asks_for_its_feature() {
    assert!(matches!(Preset::open(BUNDLED), Err(PresetError::NotBundled { .. })));
}

#[test]
fn errors_of_the_backbone_pass_through() {
    let folder = keras_folder(&tiny().with_num_heads(3));
    let error = open(&folder).unwrap_err();
    let inner = BackboneError::HeadsDoNotDivideHidden { hidden_dim: 4, num_heads: 3 };
    assert_eq!(error.to_string(), inner.to_string());
    assert!(matches!(error, PresetError::Backbone(found) if found == inner));
}
