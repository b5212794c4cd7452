//! Downloads from servers that play Kaggle and the storage to which it redirects.

use std::fs;

use gpt2_hub::{HubError, HubOptions, ModelErrorKind};
use serde_json::{Value, json};

use crate::fakes::kaggle::*;
use crate::support::*;

#[test]
fn whole_presets_are_downloaded_once_to_where_kagglehub_has_them() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    assert_eq!(load_with(PINNED, &hub.options()), model);
    for (name, bytes) in &files {
        let asked = hub.path(&format!("3/{name}"));
        assert_eq!(&fs::read(asked).unwrap(), bytes);
        let marker = hub.path(&format!(".complete/3/{name}.complete"));
        assert_eq!(fs::metadata(marker).unwrap().len(), 0);
    }
    let question: Value = serde_json::from_slice(&hub.server.requests()[0].body).unwrap();
    assert_eq!(
        question,
        json!({"ownerSlug": "keras", "modelSlug": "gpt2", "instanceSlug": "gpt2_base_en",
        "framework": "MODEL_FRAMEWORK_KERAS", "versionNumber": 3, "path": "config.json"})
    );
    hub.take_log();
    // Absent files are not requested again either.
    assert_eq!(load_with(PINNED, &hub.options()), model);
    assert_eq!(load_with(PINNED, &hub.options().with_offline(true)), model);
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn the_token_goes_to_kaggle_and_not_to_its_storage() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let options = hub.options().with_kaggle_token(Some(" token-secret\n"));
    assert!(!format!("{options:?}").contains("token-secret"));
    load_with(PINNED, &options);
    let (asked, stored) = (hub.server.requests(), hub.storage.requests());
    assert!(asked.iter().all(|it| it.header("authorization") == Some("Bearer token-secret")));
    assert!(!stored.is_empty() && stored.iter().all(|it| it.header("authorization").is_none()));
    assert!(stored.iter().all(|it| it.body.is_empty() && it.header("content-type").is_none()));
}

#[test]
fn without_a_version_the_newest_is_taken_and_all_files_are_of_one() {
    let (old, old_model) = keras_preset();
    let hub = Kaggle::new(old.clone());
    assert_eq!(load_with(UNPINNED, &hub.options()), old_model);
    let opened = open(UNPINNED, &hub.options()).unwrap();
    let mut new = old;
    let mut config: Value = serde_json::from_slice(&new["config.json"]).unwrap();
    config["config"]["dropout"] = json!(0.25);
    new.insert("config.json".to_owned(), config.to_string().into());
    hub.model.lock().unwrap().versions.insert(12, new);
    // An open folder keeps its version.
    assert_eq!(everything(&*opened).unwrap(), old_model);
    assert!(!hub.path("12").exists());
    let newest = |options: &HubOptions| {
        config_of(&*open(UNPINNED, options).unwrap())["config"]["dropout"].clone()
    };
    assert_eq!(newest(&hub.options()), 0.25);
    assert!(hub.path("12/config.json").exists());
    // If Kaggle does not answer, the newest cached version is used. Version 9 is incomplete.
    fs::create_dir_all(hub.path("9")).unwrap();
    fs::write(hub.path("9/config.json"), "{").unwrap();
    hub.model.lock().unwrap().versions.insert(13, Files::new());
    hub.answer_kaggle(|_| Some(failure(503, "Down")));
    assert_eq!(newest(&hub.options()), 0.25);
    hub.take_log();
    assert_eq!(newest(&hub.options().with_offline(true)), 0.25);
    assert_eq!(hub.take_log(), [""; 0]);
    fs::remove_dir_all(hub.path("12")).unwrap();
    assert_eq!(newest(&hub.options()), 0.1);
    // Kaggle's own answer takes precedence over the cache.
    hub.answer_kaggle(|_| Some(failure(404, "Gone")));
    let error = open(UNPINNED, &hub.options()).unwrap_err();
    assert!(
        matches!(&error, HubError::Model { model, kind: ModelErrorKind::NotFound { .. } } if model == UNPINNED)
    );
}

#[test]
fn offline_what_is_missing_is_named() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let offline = hub.options().with_offline(true);
    for (handle, file) in
        [(PINNED, format!("{PINNED}/config.json")), (UNPINNED, UNPINNED.to_owned())]
    {
        let error = open(handle, &offline).unwrap_err();
        assert!(
            matches!(&error, HubError::Offline { file: found, .. } if *found == file),
            "{error}"
        );
    }
    open(PINNED, &hub.options()).unwrap();
    hub.take_log();
    let opened = open(PINNED, &offline).unwrap();
    let error = opened.fetch("model.weights.h5").unwrap_err();
    assert!(matches!(&error, HubError::Offline { .. }), "{error}");
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn what_has_no_marker_may_be_half_a_file_and_is_replaced() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    fs::create_dir_all(hub.path("3")).unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| !name.contains('/')) {
        fs::write(hub.path(&format!("3/{name}")), &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(load_with(PINNED, &hub.options()), model);
    // A marker without its file is ignored.
    fs::remove_file(hub.path("3/config.json")).unwrap();
    assert_eq!(load_with(PINNED, &hub.options()), model);
}

#[test]
fn a_whole_download_of_kagglehub_needs_no_question_about_what_it_lacks() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    for (name, bytes) in &files {
        let path = hub.path(&format!("3/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(hub.path("3.complete"), "").unwrap();
    assert_eq!(load_with(PINNED, &hub.options()), model);
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn two_at_once_download_each_file_once() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files);
    hub.answer_storage(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        None
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| load_with(PINNED, &hub.options()))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), model);
        }
    });
    let mut stored = hub.storage.take_log();
    let count = stored.len();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), count, "{stored:?}");
}

#[test]
fn pinned_digests_hold_for_files_of_the_cache_too() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let pinned = hub.options().with_sha256("config.json", &"0".repeat(64));
    for _ in 0..2 {
        let error = open(PINNED, &pinned).unwrap_err();
        let expected = matches!(&error, HubError::ChecksumMismatch { algorithm: "SHA-256", .. });
        assert!(expected, "{error}");
        open(PINNED, &hub.options()).unwrap();
    }
}
