//! Both formats give the same parameters, in all layouts.

use std::fs;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{LoadOptions, PresetError};
use serde_json::json;

use crate::support::*;

#[test]
fn every_storage_in_both_formats_gives_the_same_parameters() {
    for tie_weights in [true, false] {
        let config = Gpt2BackboneConfig { tie_weights, ..tiny() };
        let model = tiny_model(&config);
        for stored in [Stored::F32, Stored::F16, Stored::Bf16] {
            let expected = rounded(&model, stored);
            let folder = transformers_folder(&config);
            let bytes = safetensors(&transformers_tensors(&config, &model), stored);
            fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
            let (loaded, report) = load(&folder).unwrap();
            assert_eq!(loaded, expected, "transformers, {stored:?}");
            assert_eq!(report.applied.len(), 28 + usize::from(!tie_weights));
            assert!(report.skipped.is_empty());

            let folder = keras_folder(&config);
            let tensors = keras_tensors(&config, &model);
            write_hdf5(&folder.path().join("model.weights.h5"), &tensors, stored);
            let (loaded, report) = load(&folder).unwrap();
            assert_eq!(loaded, expected, "Keras, {stored:?}");
            assert_eq!(report.applied, tensors.keys().cloned().collect::<Vec<_>>());
        }
    }
}

#[test]
fn float64_keras_weights_become_float32() {
    let (config, folder) = (tiny(), keras_folder(&tiny()));
    let model = tiny_model(&config);
    let file = rust_hdf5::H5File::create(folder.path().join("model.weights.h5")).unwrap();
    for (name, (shape, values)) in keras_tensors(&config, &model) {
        let (group, name) = group_of(&file, &name);
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        group.new_dataset::<f64>().shape(shape).create(name).unwrap().write_raw(&values).unwrap();
    }
    file.close().unwrap();
    assert_eq!(load(&folder).unwrap().0, model);
}

#[test]
fn prefix_buffers_and_a_repeated_head_are_known() {
    let config = tiny();
    let model = tiny_model(&config);
    let mut tensors: Tensors = transformers_tensors(&config, &model)
        .into_iter()
        .map(|(name, tensor)| (name["transformer.".len()..].to_owned(), tensor))
        .collect();
    tensors.insert("h.1.attn.bias".into(), (vec![1, 1, 2, 2], vec![1.0, 0.0, 1.0, 1.0]));
    tensors.insert("h.1.attn.masked_bias".into(), (vec![], vec![-1e4]));
    tensors.insert("lm_head.weight".into(), tensors["wte.weight"].clone());
    let (loaded, report) = load_safetensors(&safetensors(&tensors, Stored::F32)).unwrap();
    assert_eq!(loaded, model);
    assert_eq!(report.skipped, ["h.1.attn.bias", "h.1.attn.masked_bias", "lm_head.weight"]);
}

#[test]
fn a_tied_head_with_values_of_its_own_is_refused() {
    let mut tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    let mut head = tensors["transformer.wte.weight"].clone();
    head.1[5] += 1.0;
    tensors.insert("lm_head.weight".into(), head);
    let error = load_safetensors(&safetensors(&tensors, Stored::F32)).unwrap_err();
    assert!(matches!(&error, PresetError::ConflictingHead { head, embedding }
        if head == "lm_head.weight" && embedding == "transformer.wte.weight"));
}

#[test]
fn older_names_and_whole_tasks_of_keras_load() {
    let config = tiny();
    let model = tiny_model(&config);
    let task = |name: &str| format!("layers/gpt2_backbone/{name}");
    let renamings: [&dyn Fn(&str) -> String; 2] = [&older_keras_name, &task];
    for rename in renamings {
        let mut tensors: Tensors = keras_tensors(&config, &model)
            .into_iter()
            .map(|(name, tensor)| (rename(&name), tensor))
            .collect();
        let state = "layers/dropout/seed_generator/vars/0".to_owned();
        tensors.insert(state.clone(), (vec![2], vec![0.0, 1.0]));
        let folder = keras_folder(&config);
        write_hdf5(&folder.path().join("model.weights.h5"), &tensors, Stored::F32);
        let (loaded, report) = load(&folder).unwrap();
        assert_eq!(loaded, model);
        assert_eq!(report.skipped, [state]);
    }
}

#[test]
fn shards_are_joined_in_both_formats() {
    let config = tiny();
    let model = tiny_model(&config);
    let split = |tensors: Tensors| {
        let (mut shards, mut map) = ([Tensors::new(), Tensors::new()], serde_json::Map::new());
        for (index, (name, tensor)) in tensors.into_iter().enumerate() {
            map.insert(name.clone(), json!(index % 2));
            shards[index % 2].insert(name, tensor);
        }
        (shards, map)
    };
    let folder = transformers_folder(&config);
    let (shards, map) = split(transformers_tensors(&config, &model));
    for (index, shard) in shards.iter().enumerate() {
        let bytes = safetensors(shard, Stored::F32);
        fs::write(folder.path().join(format!("{index}.safetensors")), bytes).unwrap();
    }
    let map: serde_json::Map<_, _> =
        map.into_iter().map(|(k, v)| (k, json!(format!("{v}.safetensors")))).collect();
    write_json(folder.path(), "model.safetensors.index.json", &json!({"weight_map": map}));
    assert_eq!(load(&folder).unwrap().0, model);

    // Keras may split a layer's variables over two shards; here all layers are split.
    let folder = keras_folder(&config);
    let (shards, _) = split(keras_tensors(&config, &model));
    for (index, shard) in shards.iter().enumerate() {
        write_hdf5(&folder.path().join(format!("{index}.weights.h5")), shard, Stored::F32);
    }
    let map = json!({"/a/vars": ["0.weights.h5", "1.weights.h5"], "/b/vars": "1.weights.h5"});
    write_json(folder.path(), "model.weights.json", &json!({"weight_map": map}));
    assert_eq!(load(&folder).unwrap().0, model);
}

#[test]
fn unaligned_tensors_are_copied() {
    let tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    let aligned = safetensors(&tensors, Stored::F32);
    let length = u64::from_le_bytes(aligned[..8].try_into().unwrap()) as usize;
    for padding in 1..4 {
        let header = [&aligned[8..8 + length], &b"   "[..padding]].concat();
        let bytes =
            [&(header.len() as u64).to_le_bytes()[..], &header, &aligned[8 + length..]].concat();
        assert_eq!(load_safetensors(&bytes).unwrap().0, tiny_model(&tiny()));
    }
}

#[test]
fn without_a_memory_map_the_same_is_loaded() {
    let folder = transformers_folder(&tiny());
    let model = tiny_model(&tiny());
    let bytes = safetensors(&transformers_tensors(&tiny(), &model), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let options = LoadOptions::new(&device()).with_memory_map(false);
    let backbone = open(&folder).unwrap().backbone(options).unwrap();
    // Nothing is mapped, so that the file may change while the model lives.
    fs::write(folder.path().join("model.safetensors"), b"").unwrap();
    assert_eq!(parameters(&backbone), model);
}
