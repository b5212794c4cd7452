//! Indexes that name invalid shards.

use std::fs;

use gpt2_presets::PresetError;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

fn indexed(shard: Value) -> [TempDir; 2] {
    let folders = [transformers_folder(&tiny()), keras_folder(&tiny())];
    let index = json!({"weight_map": {"wte.weight": shard}});
    write_json(folders[0].path(), "model.safetensors.index.json", &index);
    write_json(folders[1].path(), "model.weights.json", &index);
    folders
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in
        ["../x", "../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", "x\0y"]
    {
        for shard in [json!(name), json!([name])] {
            for folder in indexed(shard) {
                let error = load(&folder).unwrap_err();
                assert!(
                    matches!(&error, PresetError::UnsafeShardName { name: found, .. } if found == name),
                    "{error}"
                );
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_folder_are_refused() {
    for folder in indexed(json!("shard")) {
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("shard")).unwrap();
        let error = load(&folder).unwrap_err();
        assert!(matches!(error, PresetError::UnsafeShardName { .. }), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn the_cache_of_hugging_face_works() {
    use std::os::unix::fs::symlink;
    let cache = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshots/abc"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    let model = tiny_model(&tiny());
    let weights = safetensors(&transformers_tensors(&tiny(), &model), Stored::F32);
    let index = json!({"weight_map": {"wte.weight": "one.safetensors"}}).to_string();
    let config = transformers_config(&tiny()).to_string();
    for (name, content) in [
        ("config.json", config.as_bytes()),
        ("one.safetensors", &weights),
        ("model.safetensors.index.json", index.as_bytes()),
    ] {
        fs::write(blobs.join(format!("blob-{name}")), content).unwrap();
        symlink(format!("../../blobs/blob-{name}"), snapshot.join(name)).unwrap();
    }
    let preset = gpt2_presets::Preset::open(snapshot.to_str().unwrap()).unwrap();
    assert_eq!(parameters(&preset.backbone(&device()).unwrap()), model);
}

#[test]
fn malformed_indexes_and_missing_shards_are_errors() {
    for shard in [json!(1), json!(null), json!([1]), json!({}), json!([])] {
        for folder in indexed(shard) {
            assert!(matches!(load(&folder), Err(PresetError::Malformed { format: JSON, .. })));
        }
    }
    for folder in indexed(json!("model.safetensors.index.json.absent")) {
        let error = load(&folder).unwrap_err();
        assert!(
            matches!(&error, PresetError::MissingFile { file, .. } if file.ends_with("absent"))
        );
    }
    let folder = transformers_folder(&tiny());
    write_json(folder.path(), "model.safetensors.index.json", &json!({"weight_map": []}));
    assert!(matches!(load(&folder), Err(PresetError::Malformed { format: JSON, .. })));
    // The index as its own shard: read as weights, and rejected as such.
    for folder in indexed(json!("config.json")) {
        let error = load(&folder).unwrap_err();
        assert!(matches!(
            error,
            PresetError::Malformed { format: SAFETENSORS | KERAS_WEIGHTS, .. }
        ));
    }
}
