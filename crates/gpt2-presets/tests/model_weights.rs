//! Files of weights alone, and their float types.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, update_parameters};
use gpt2_presets::{
    FileError, FromPreset, ModelWeights, Preset, PresetError, Save, SaveOptions, WeightDtype,
};
use gpt2_task::Gpt2CausalLm;
use rust_hdf5::H5File;
use serde_json::json;

use crate::keras_files::{config, weights};
use crate::saving::{files, json_of, model, names};
use crate::support::*;

const DTYPES: [(WeightDtype, Stored, &str); 3] = [
    (WeightDtype::F32, Stored::F32, "float32"),
    (WeightDtype::F16, Stored::F16, "float16"),
    (WeightDtype::Bf16, Stored::Bf16, "bfloat16"),
];

#[derive(PartialEq)]
struct Dataset {
    datatype: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
    /// Attribute that marks a type which HDF5 does not have.
    mark: String,
    /// Layer name of the group.
    layer: String,
}

/// All datasets of a file.
fn datasets(path: &Path) -> BTreeMap<String, Dataset> {
    let file = H5File::open(path).unwrap();
    let dataset = |name: String| {
        let dataset = file.dataset(&name).unwrap();
        let group = file.root_group().group(name.rsplit_once('/').unwrap().0).unwrap();
        let found = Dataset {
            datatype: dataset.datatype().unwrap().to_string(),
            shape: dataset.shape(),
            bytes: dataset.read_raw_bytes().unwrap(),
            mark: dataset.attr("dtype").and_then(|mark| mark.read_string()).unwrap_or_default(),
            layer: group.attr_string("name").unwrap(),
        };
        (name, found)
    };
    file.dataset_names().into_iter().map(dataset).collect()
}

fn numbered() -> Gpt2CausalLm {
    let path = fixtures("keras").join("fitted.keras");
    Gpt2CausalLm::from_preset_with(path.to_str().unwrap(), &device()).unwrap()
}

/// Another model of this config.
fn other(config: &Gpt2BackboneConfig) -> Gpt2CausalLm {
    Gpt2CausalLm::new(Gpt2Backbone::new(config, 3, &device()).unwrap(), None).unwrap()
}

#[test]
fn the_files_are_those_of_keras() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours.weights.h5"), folder.path().join("theirs.h5"));
    for (fixture, dtype) in [
        ("fitted.keras", WeightDtype::F32),
        ("float16.keras", WeightDtype::F16),
        ("backbone_bfloat16.keras", WeightDtype::Bf16),
    ] {
        let options = SaveOptions::keras().with_dtype(dtype);
        if fixture.starts_with("backbone") {
            numbered().backbone().save_weights_with(&ours, &options).unwrap();
        } else {
            numbered().save_weights_with(&ours, &options).unwrap();
        }
        fs::write(&theirs, weights(fixture)).unwrap();
        let mut expected = datasets(&theirs);
        expected.retain(|name, _| !name.starts_with("optimizer/"));
        assert_eq!(expected.len(), 20);
        assert!(datasets(&ours) == expected, "{fixture}");
    }
}

#[test]
fn weights_go_from_a_model_to_its_like() {
    let (task, model) = (model(&tiny()), tiny_model(&tiny()));
    let folder = tempfile::tempdir().unwrap();
    for (dtype, stored, _) in DTYPES {
        let options = SaveOptions::keras().with_dtype(dtype).with_max_shard_size(300);
        for name in ["task.weights.h5", "task.weights.json", "x.weights.h5", "x.weights.json"] {
            let path = folder.path().join(name);
            if name.starts_with("task") {
                task.save_weights_with(&path, &options).unwrap();
            } else {
                task.backbone().save_weights_with(&path, &options).unwrap();
            }
            let mut loaded = other(&tiny());
            loaded.load_weights(&path).unwrap();
            assert_eq!(parameters(loaded.backbone()), rounded(&model, stored), "{name}");
            let mut backbone = other(&tiny()).into_backbone();
            backbone.load_weights(&path).unwrap();
            assert_eq!(parameters(&backbone), rounded(&model, stored), "{name}");
        }
    }
    let index = json_of(&folder, "task.weights.json");
    let file = &index["weight_map"]["/layers/gpt2_backbone/layers/layer_normalization/vars"];
    assert!(file.as_str().unwrap().starts_with("task_000"), "{file}");
    assert_eq!(index["metadata"]["total_size"], json!(1584 / 2));
}

#[test]
fn a_preset_is_rounded_to_the_type_that_its_config_names() {
    let model = model(&tiny());
    for (dtype, stored, name) in DTYPES {
        for max_shard_size in [u64::MAX, 500] {
            let options =
                SaveOptions::keras().with_dtype(dtype).with_max_shard_size(max_shard_size);
            let folder = tempfile::tempdir().unwrap();
            model.save(folder.path(), &options).unwrap();
            let (loaded, _) = load(&folder).unwrap();
            assert_eq!(loaded, rounded(&tiny_model(&tiny()), stored), "{name}");
            let policy =
                |json: &serde_json::Value| json["config"]["dtype"]["config"]["name"].clone();
            assert_eq!(policy(&json_of(&folder, "config.json")), json!(name));
            let task = json_of(&folder, "task.json");
            assert_eq!(policy(&task["config"]["backbone"]), json!(name));
            assert_eq!(policy(&task["config"]["preprocessor"]), json!("float32"));
            if max_shard_size == 500 {
                let size = json!(1584 / if dtype == WeightDtype::F32 { 1 } else { 2 });
                let index = json_of(&folder, "model.weights.json");
                assert_eq!(index["metadata"]["total_size"], size);
            }
        }
    }
}

/// The model with a number that only 32-bit floats can represent.
fn with_large(value: f32) -> Gpt2CausalLm {
    let mut model = model(&tiny());
    let backbone = update_parameters(model.backbone().clone(), |path, _, old| {
        if path != "layer_norm.beta" {
            return old;
        }
        Tensor::from_data(TensorData::new(vec![0.0, 1.0, value, 2.0], [4]), &device())
    });
    model.set_backbone(backbone).unwrap();
    model
}

#[test]
fn a_value_that_would_become_infinite_is_refused() {
    for (dtype, large) in [(WeightDtype::F16, -65520.0), (WeightDtype::Bf16, f32::MAX)] {
        let options = SaveOptions::keras().with_dtype(dtype);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.weights.h5");
        model(&tiny()).save(folder.path(), &options).unwrap();
        let before = files(folder.path());
        let large_model = with_large(large);
        for error in [
            large_model.save(folder.path(), &options).unwrap_err(),
            large_model.save_weights_with(&path, &options).unwrap_err(),
        ] {
            assert!(
                matches!(&error, PresetError::Overflow { tensor, index: 2, value, .. }
                if tensor == "layers/layer_normalization/vars/1" && *value == large),
                "{error}"
            );
        }
        assert!(files(folder.path()) == before);
        large_model.save_weights(&path).expect("32 bits hold it");
    }
}

#[test]
fn names_of_other_files_are_refused() {
    let mut model = model(&tiny());
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.h5", "weights.h5", "model.weights.hdf5", "model.keras", "model"] {
        let path = folder.path().join(name);
        for error in
            [model.save_weights(&path).unwrap_err(), model.load_weights(&path).unwrap_err()]
        {
            assert!(matches!(&error, PresetError::WeightsFileName { .. }), "{error}");
            let expected = format!(
                "The filename must end in `.weights.h5`. Received: filepath={}",
                path.display()
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_load_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.weights.h5");
    let mut target = model(&tiny());
    let before = parameters(target.backbone());
    let mut fails = |expected: fn(&PresetError) -> bool| {
        let error = target.load_weights(&path).unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(parameters(target.backbone()), before);
    };
    fails(|error| matches!(error, PresetError::File(FileError::Read { .. })));
    other(&tiny().with_max_sequence_length(4)).save_weights(&path).unwrap();
    fails(|error| matches!(error, PresetError::TensorShape { .. }));
    other(&Gpt2BackboneConfig { num_layers: 3, ..tiny() }).save_weights(&path).unwrap();
    fails(
        |error| matches!(error, PresetError::IncompleteWeights { unused, .. } if unused.len() == 16),
    );
    // The last parameter that is read.
    with_large(f32::NAN).save_weights(&path).unwrap();
    fails(|error| matches!(error, PresetError::NonFiniteWeight { index: 2, .. }));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(|error| matches!(error, PresetError::Malformed { format: KERAS_WEIGHTS, .. }));
    let index = folder.path().join("a.weights.json");
    for (map, expected) in [
        (json!({"/a": "../other.weights.h5"}), "plain file name"),
        (json!({"/a": "absent.weights.h5"}), "all shards"),
        (json!({}), "names no file"),
    ] {
        fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
        let error = target.load_weights(&index).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(parameters(target.backbone()), before);
}

#[test]
fn older_names_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.weights.h5");
    let inside = |name: &str| {
        format!("_layer_checkpoint_dependencies/gpt2_backbone/{}", older_keras_name(name))
    };
    let renamings: [&dyn Fn(&str) -> String; 2] = [&older_keras_name, &inside];
    for rename in renamings {
        let tensors = keras_tensors(&tiny(), &tiny_model(&tiny())).into_iter();
        let tensors = tensors.map(|(name, tensor)| (rename(&name), tensor)).collect();
        write_hdf5(&path, &tensors, Stored::F32);
        let mut model = other(&tiny());
        model.load_weights(&path).unwrap();
        assert_eq!(parameters(model.backbone()), tiny_model(&tiny()));
    }
    let path = folder.path().join("fitted.weights.h5");
    fs::write(&path, weights("fitted.keras")).unwrap();
    let mut model = other(&config());
    model.load_weights(&path).unwrap();
    assert_eq!(parameters(model.backbone()), numbered_model(&config()));
}

#[test]
fn a_preset_of_keras_nlp_is_loaded() {
    let folder = keras_folder(&tiny());
    for file in ["config.json", "tokenizer.json"] {
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let older =
            text.replace("keras_hub>", "keras_nlp>").replace("keras_hub.src", "keras_nlp.src");
        assert_ne!(text, older);
        fs::write(&path, older).unwrap();
    }
    let tensors = keras_tensors(&tiny(), &tiny_model(&tiny())).into_iter();
    let older = |name: String| name.replacen("layers/", "_layer_checkpoint_dependencies/", 1);
    let tensors = tensors.map(|(name, tensor)| (older(name), tensor)).collect();
    write_hdf5(&folder.path().join("model.weights.h5"), &tensors, Stored::F32);
    let model = open(&folder).unwrap().causal_lm(&device()).unwrap();
    assert_eq!(parameters(model.backbone()), tiny_model(&tiny()));
    assert!(model.preprocessor().is_some());
}

#[test]
fn a_lora_is_saved_in_the_kernels_and_begins_anew_when_weights_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.weights.h5");
    let adapted = crate::lora::adapted(&tiny(), 2, &["query"]);
    let mut merged = adapted.clone();
    merged.merge_lora();
    adapted.save_weights(&path).unwrap();
    let mut plain = other(&tiny()).into_backbone();
    plain.load_weights(&path).unwrap();
    assert_eq!(parameters(&plain), parameters(&merged));

    let mut again = adapted.clone();
    again.load_weights(&path).unwrap();
    assert_eq!(again.lora_rank(), Some(2));
    assert_eq!(again.trainable_parameters(), adapted.trainable_parameters());
    let kernels = |model: &Gpt2Backbone| {
        let mut kernels = parameters(model);
        kernels.retain(|name, _| name.ends_with("lora_kernel_a"));
        kernels
    };
    assert_eq!(kernels(&again), kernels(&adapted));
    again.merge_lora();
    assert_eq!(parameters(&again), parameters(&merged));
}

#[test]
fn a_bare_file_name_is_in_the_working_folder() {
    let error = model(&tiny()).load_weights("there_is_no_such.weights.h5").unwrap_err();
    assert!(matches!(&error, PresetError::File(FileError::Read { .. })), "{error}");
    assert!(Preset::open("there_is_no_such.keras").is_err());
}
