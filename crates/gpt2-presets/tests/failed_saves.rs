//! A failed save names the cause and changes nothing.

use std::fs;
use std::path::Path;

use gpt2_presets::{FileError, PresetError, PresetFormat, Save, SaveOptions, check_replaceable};
use gpt2_tokenizer::{Gpt2TokenizerConfig, SpecialText, SplitPattern, UnknownBytes};

use crate::saving::{KERAS_FILES, TRANSFORMERS_FILES, files, model, names, older, save, saved};
use crate::support::*;

#[test]
fn options_of_a_tokenizer_that_no_file_holds_are_refused() {
    let tokenizer = open(&transformers_folder(&tiny())).unwrap().tokenizer().unwrap();
    let new = Gpt2TokenizerConfig::new;
    let folder = tempfile::tempdir().unwrap();
    let refused = |result: Result<(), PresetError>, setting: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, PresetError::Inexpressible { setting: found, .. } if *found == setting),
            "{error}"
        );
        assert!(names(&folder).is_empty());
    };
    for (setting, config) in [
        ("split", new().with_split(SplitPattern::KerasHub)),
        ("special_text", new().with_special_text(SpecialText::Error)),
        ("unknown", new().with_unknown(UnknownBytes::Drop)),
    ] {
        let tokenizer = tokenizer.with_config(config).unwrap();
        refused(tokenizer.save_to_preset(folder.path()), setting);
        refused(tokenizer.export_to_transformers(folder.path()), setting);
    }
    for (setting, config) in [
        ("sequence_length", new().with_sequence_length(3)),
        ("unsplittable_tokens", new().with_unsplittable_tokens(["ab"])),
    ] {
        let tokenizer = tokenizer.with_config(config).unwrap();
        refused(tokenizer.export_to_transformers(folder.path()), setting);
    }
}

#[test]
fn a_save_that_fails_changes_nothing() {
    let (older, model) = (older(), model(&tiny()));
    for (format, names) in [
        (PresetFormat::Keras, &KERAS_FILES[..]),
        (PresetFormat::Transformers, &TRANSFORMERS_FILES[..]),
    ] {
        for name in names {
            // A folder has the name of one file; all other files exist, and are older.
            let folder = saved(&older, format);
            let path = folder.path().join(name);
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            let before = files(folder.path());
            let error = save(&model, format, folder.path()).unwrap_err();
            assert!(
                matches!(&error, PresetError::File(FileError::Write { path: found, .. }) if *found == path)
            );
            assert!(chain(&error).contains("is a directory"), "{error}");
            assert!(files(folder.path()) == before, "{name}");
        }
    }
}

#[test]
fn a_file_in_place_of_a_folder_is_an_error() {
    let model = model(&tiny());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let error = model.save_to_preset(&file).unwrap_err();
    assert!(chain(&error).contains("not a directory"), "{error}");
    assert!(matches!(
        model.export_to_transformers(file.join("in")),
        Err(PresetError::File(FileError::Write { .. }))
    ));
    fs::write(folder.path().join("assets"), "mine").unwrap();
    let error = model.save_to_preset(folder.path()).unwrap_err();
    assert!(
        matches!(&error, PresetError::File(FileError::Write { path, .. }) if path.ends_with("assets/tokenizer"))
    );
    assert_eq!(names(&folder), ["assets", "file"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_is_an_error() {
    let folder = saved(&older(), PresetFormat::Keras);
    let before = files(folder.path());
    let name = "failed_saves::a_folder_that_may_not_be_written_is_an_error";
    while_read_only(folder.path(), name, || {
        let error = model(&tiny()).save_to_preset(folder.path()).unwrap_err();
        assert!(matches!(&error, PresetError::File(FileError::Write { .. })), "{error}");
        assert!(files(folder.path()) == before);
    });
}

/// Text of the reason why a path must not be replaced.
fn kept(path: &Path, format: PresetFormat) -> String {
    match check_replaceable(path, format).unwrap_err() {
        FileError::Precious { path: found, why } if found == path => why,
        error => panic!("{error}"),
    }
}

#[test]
fn a_preset_of_any_format_may_be_replaced() {
    let model = model(&tiny());
    for options in [
        SaveOptions::keras(),
        SaveOptions::transformers(),
        SaveOptions::keras().with_max_shard_size(100),
        SaveOptions::transformers().with_max_shard_size(100),
    ] {
        let folder = tempfile::tempdir().unwrap();
        check_replaceable(folder.path(), PresetFormat::Keras).unwrap();
        model.save(folder.path(), options).unwrap();
        check_replaceable(folder.path(), PresetFormat::Keras).unwrap();
        check_replaceable(folder.path(), PresetFormat::Transformers).unwrap();
        let why = kept(folder.path(), PresetFormat::Gguf);
        assert!(why.contains("it is a folder"), "{why}");
    }
    check_replaceable(Path::new("no such folder"), PresetFormat::Keras).unwrap();
}

#[test]
fn a_folder_with_anything_else_is_kept() {
    for name in ["notes/a.txt", "training/log.jsonl", "README.md", "assets/b.txt", "a.gguf"] {
        let folder = saved(&older(), PresetFormat::Keras);
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
        let why = kept(folder.path(), PresetFormat::Transformers);
        let first = if name.starts_with("assets") { name } else { name.split('/').next().unwrap() };
        assert_eq!(why, format!("it holds `{first}`, which is no part of a preset"));
    }
    let folder = saved(&older(), PresetFormat::Transformers);
    fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    assert_eq!(kept(folder.path(), PresetFormat::Keras), "it is no preset of GPT-2");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert_eq!(kept(folder.path(), PresetFormat::Keras), "it is no preset of GPT-2");
    let file = folder.path().join("vocab.json");
    assert!(kept(&file, PresetFormat::Keras).contains("it is a file"));
}
