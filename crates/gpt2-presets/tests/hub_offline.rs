//! Caches filled by the hubs' own clients, without a hub for the files that they lack.

use std::fs;
use std::path::Path;

use gpt2_hub::{HubError, RequestErrorKind as Kind};
use gpt2_presets::{HubOptions, Preset, PresetError, Save, SaveOptions};
use serde_json::json;

use crate::fakes::hugging_face::{COMMIT, Hub, etag};
use crate::fakes::kaggle::{self, Kaggle};
use crate::fakes::model_scope::{self, ModelScope};
use crate::fakes::server::{Response, impatient_options};
use crate::fakes::{Files, clients, files_of};
use crate::hub_loading::{keras_preset, load_with, transformers_preset};
use crate::saving;
use crate::support::*;

/// Presets in all layouts of a whole model, without their optional files.
fn layouts() -> Vec<(Files, Tensors)> {
    let model = saving::model(&tiny());
    let parameters = parameters(model.backbone());
    let folder = || tempfile::tempdir().unwrap();
    let (keras, transformers) = (folder(), folder());
    model.save(keras.path(), SaveOptions::keras().with_max_shard_size(800)).unwrap();
    let split = SaveOptions::transformers().with_max_shard_size(400);
    model.save(transformers.path(), &split).unwrap();
    let mut sharded = [files_of(keras.path()), files_of(transformers.path())];
    assert!(sharded[0].contains_key("model.weights.json"), "{:?}", sharded[0].keys());
    assert!(sharded[1].contains_key("model.safetensors.index.json"));
    for files in &mut sharded {
        for name in ["task.json", "preprocessor.json", "tokenizer_config.json"] {
            files.remove(name);
        }
    }
    // It replaces the other two.
    sharded[1].remove("tokenizer.json");
    let sharded = sharded.map(|files| (files, parameters.clone()));
    [keras_preset(), transformers_preset()].into_iter().chain(sharded).collect()
}

/// Writes the cache of `snapshot_download`, which does not record absent files.
fn write_snapshot(cache: &Path, files: &Files) {
    let folder = cache.join("models--a--b");
    let snapshot = folder.join("snapshots").join(COMMIT);
    for (name, bytes) in files {
        let path = snapshot.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
}

fn offline(cache: &Path) -> HubOptions {
    impatient_options().with_hugging_face_cache(cache).with_offline(true)
}

#[test]
fn whole_snapshots_need_no_hub() {
    for (files, model) in layouts() {
        let cache = tempfile::tempdir().unwrap();
        write_snapshot(cache.path(), &files);
        assert_eq!(load_with("hf://a/b", &offline(cache.path())), model);
        assert_eq!(load_with(&format!("hf://a/b@{COMMIT}"), &offline(cache.path())), model);
        // The same without the offline option.
        let nowhere = offline(cache.path()).with_offline(false);
        let nowhere = nowhere.with_hugging_face_endpoint("http://127.0.0.1:9");
        assert_eq!(load_with("hf://a/b", &nowhere), model);
    }
}

#[test]
fn a_file_that_the_model_needs_is_never_taken_to_be_absent() {
    for (files, _) in layouts() {
        for missing in files.keys() {
            let cache = tempfile::tempdir().unwrap();
            let mut files = files.clone();
            files.remove(missing);
            write_snapshot(cache.path(), &files);
            let preset = Preset::open_with("hf://a/b", &offline(cache.path()));
            let result = preset.and_then(|preset| preset.causal_lm(&device()));
            if ["metadata.json", "generation_config.json"].contains(&&missing[..]) {
                result.unwrap();
                continue;
            }
            // If any of several files is enough, the error names the first. Without the weights,
            // optional files are requested too, before the weights.
            let named = match &missing[..] {
                "model.weights.h5" => "task.json",
                "model.safetensors" => "tokenizer_config.json",
                "model.weights.json" => "model.weights.h5",
                "model.safetensors.index.json" => "model.safetensors",
                name => name,
            };
            let expected = format!("hf://a/b/{named}");
            match result.map(drop) {
                Err(PresetError::Hub(HubError::Offline { file, .. })) if file == expected => {}
                other => panic!("{missing}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_optional_is_only_absent_beside_the_weights() {
    let (mut files, _) = keras_preset();
    files.remove("model.weights.h5");
    let cache = tempfile::tempdir().unwrap();
    write_snapshot(cache.path(), &files);
    let preset = Preset::open_with("hf://a/b", &offline(cache.path())).unwrap();
    let error = preset.preprocessor().unwrap_err();
    let expected = "hf://a/b/preprocessor.json";
    assert!(
        matches!(&error, PresetError::Hub(HubError::Offline { file, .. }) if file == expected),
        "{error}"
    );
}

#[test]
fn a_tokenizer_in_another_file_will_do() {
    let tokenizer = json!({"model": {"type": "BPE",
        "vocab": {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}, "merges": ["a b"]},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}});
    let (mut files, model) = transformers_preset();
    // One of the two files of the other choice.
    files.remove("merges.txt");
    files.insert("tokenizer.json".to_owned(), tokenizer.to_string().into());
    let cache = tempfile::tempdir().unwrap();
    write_snapshot(cache.path(), &files);
    assert_eq!(load_with("hf://a/b", &offline(cache.path())), model);
}

#[test]
fn single_files_of_kagglehub_and_folders_of_modelscope_need_no_hub_either() {
    for (files, model) in layouts() {
        let (kaggle_hub, scope) = (Kaggle::new(Files::new()), ModelScope::new(Files::new()));
        for (name, bytes) in &files {
            let marker = kaggle_hub.path(&format!(".complete/3/{name}.complete"));
            let file = kaggle_hub.path(&format!("3/{name}"));
            let other = scope.path(&format!("master/{name}"));
            for (path, bytes) in [(marker, &b""[..]), (file, bytes), (other, bytes)] {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        let options = kaggle_hub.options().with_offline(true);
        assert_eq!(load_with(kaggle::PINNED, &options), model);
        let handle = model_scope::HANDLE;
        let options = scope.options();
        assert_eq!(load_with(handle, &options.clone().with_offline(true)), model);
        let nowhere = options.with_model_scope_endpoint("http://127.0.0.1:9");
        assert_eq!(load_with(handle, &nowhere), model);
        // An interrupted download is not part of the model.
        let weights = files.keys().find(|name| name.ends_with(".h5") || name.contains("00001-of"));
        let weights = weights.or(files.keys().find(|name| name.ends_with(".safetensors"))).unwrap();
        let path = scope.path(&format!("master/{weights}"));
        fs::rename(&path, path.with_extension("h5.parallel_tmp")).unwrap();
        let error = Preset::open_with(handle, &nowhere).unwrap().backbone(&device()).unwrap_err();
        let PresetError::Hub(HubError::Request { file, host, kind: Kind::Connection { .. } }) =
            &error
        else {
            panic!("{error}")
        };
        assert!(file.starts_with(&format!("{handle}/model")) && host == "127.0.0.1:9", "{error}");
    }
}

#[test]
fn real_snapshots_need_no_hub() {
    for (files, model) in layouts() {
        let siblings: Vec<_> = files.keys().map(|name| json!({"rfilename": name})).collect();
        let info = json!({"_id": "1", "id": "a/b", "modelId": "a/b", "sha": COMMIT,
            "siblings": siblings});
        let tree = files.iter().map(|(name, bytes)| {
            let (oid, size) = (etag(name, bytes), bytes.len());
            let lfs =
                (oid.len() == 64).then(|| json!({"oid": oid, "size": size, "pointerSize": 1}));
            json!({"type": "file", "path": name, "size": size, "oid": oid, "lfs": lfs})
        });
        let tree: serde_json::Value = tree.collect();
        let hub = Hub::with_faults(files, move |request, response, _| {
            match request.path.strip_prefix("/api/models/a/b/") {
                Some(path) if path.starts_with("revision/") => Response::json(&info),
                Some(_) => Response::json(&tree),
                None => response,
            }
        });
        let Some(_) = clients::hugging_face(&hub, hub.cache.path(), false, &["*"]) else { return };
        hub.server.take_log();
        assert_eq!(load_with("hf://a/b", &hub.options().with_offline(true)), model);
        assert!(hub.server.take_log().is_empty());
    }
}
