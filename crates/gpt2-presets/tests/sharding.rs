//! Exports that are split as by the transformers library.

use std::collections::BTreeSet;
use std::fs;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{FileError, PresetError, Save, SaveOptions, WeightDtype};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::saving::{assert_same, files, json_of, model, names, older};
use crate::support::*;

const INDEX: &str = "model.safetensors.index.json";

fn split(max_shard_size: u64) -> SaveOptions {
    SaveOptions::transformers().with_max_shard_size(max_shard_size)
}

/// Weights files in a folder.
fn weights(folder: &tempfile::TempDir) -> Vec<String> {
    names(folder).into_iter().filter(|name| name.starts_with("model")).collect()
}

#[test]
fn files_and_index_are_those_of_transformers() {
    let untied = Gpt2BackboneConfig { tie_weights: false, ..tiny() };
    for (config, max_shard_size, expected) in [
        (tiny(), 400, include_str!("sharding/tied.index.json")),
        (untied, 150, include_str!("sharding/untied.index.json")),
    ] {
        let (folder, model) = (tempfile::tempdir().unwrap(), model(&config));
        model.save(folder.path(), split(max_shard_size)).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(INDEX)).unwrap(), expected);
        // Each file has exactly the tensors in the index.
        let index: Value = serde_json::from_str(expected).unwrap();
        let map = index["weight_map"].as_object().unwrap();
        let listed: BTreeSet<_> = map.values().map(|name| name.as_str().unwrap()).collect();
        let written = weights(&folder);
        let written = written.iter().filter(|name| *name != INDEX).map(String::as_str);
        assert_eq!(written.collect::<BTreeSet<_>>(), listed);
        for file in listed {
            let bytes = fs::read(folder.path().join(file)).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let mut held = tensors.names();
            held.sort_unstable();
            let expected = map.iter().filter(|(_, name)| *name == file).map(|(tensor, _)| tensor);
            assert!(held.iter().eq(expected), "{file}");
        }
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &model, "ab");
    }
}

#[test]
fn sizes_are_those_of_the_exported_floats() {
    let (folder, model) = (tempfile::tempdir().unwrap(), model(&tiny()));
    // The model has 396 parameters.
    model.save(folder.path(), split(792).with_dtype(WeightDtype::F16)).unwrap();
    assert_eq!(weights(&folder), ["model.safetensors"]);
    model.save(folder.path(), split(791).with_dtype(WeightDtype::F16)).unwrap();
    assert_eq!(json_of(&folder, INDEX)["metadata"]["total_size"], 792);
}

#[test]
fn an_older_export_in_other_files_is_replaced() {
    let (folder, older, model) = (tempfile::tempdir().unwrap(), older(), model(&tiny()));
    let path = folder.path();
    for name in ["model-1-of-2.safetensors", "model-00001-of-00002.safetensors.bak"] {
        fs::write(path.join(name), "mine").unwrap();
    }
    let mine = weights(&folder);
    let mut last = Vec::new();
    for max_shard_size in [400, 800, u64::MAX, 400] {
        older.save(path, split(max_shard_size)).unwrap();
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &older, "ab");
        model.save(path, split(max_shard_size)).unwrap();
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &model, "ab");
        let now: Vec<_> =
            weights(&folder).into_iter().filter(|name| !mine.contains(name)).collect();
        assert!(now != last, "{now:?}");
        assert_eq!(now.contains(&INDEX.to_owned()), max_shard_size < u64::MAX);
        last = now;
    }
    assert_eq!(last.len(), 6, "five files and an index: {last:?}");
    assert!(mine.iter().all(|name| fs::read(path.join(name)).unwrap() == b"mine"));

    // A folder that the save must not touch has the name of the single file.
    fs::create_dir(path.join("model.safetensors")).unwrap();
    let before = files(path);
    let error = older.save(path, split(400)).unwrap_err();
    assert!(
        matches!(&error, PresetError::File(FileError::Write { path, .. }) if path.ends_with("model.safetensors"))
    );
    assert!(files(path) == before);
}
