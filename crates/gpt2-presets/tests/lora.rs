//! LoRA weights: KerasHub's files, this library's, and models that are saved with a LoRA.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Int, Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig, update_parameters};
use gpt2_presets::{FileError, FromPreset, LoraWeights, PresetError, Save};
use gpt2_task::Gpt2CausalLm;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_hdf5::{DatatypeMessage, H5File, StorageLayout};
use safetensors::SafeTensors;
use tempfile::TempDir;

use crate::support::*;

/// All dense layers, by Keras' names.
pub const ALL: [&str; 6] = [
    "query",
    "key",
    "value",
    "attention_output",
    "feedforward_intermediate_dense",
    "feedforward_output_dense",
];

/// A file that KerasHub made; `tests/golden/training/README.md` describes it.
fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file)
}

/// Tensors with a prefix, as 32-bit floats; integers keep their bits.
fn golden_tensors(prefix: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(golden("training/expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let named = tensors.iter().filter_map(|(name, tensor)| {
        let values = bytemuck::pod_collect_to_vec(tensor.data());
        Some((name.strip_prefix(prefix)?.to_owned(), (tensor.shape().to_vec(), values)))
    });
    named.collect()
}

/// The model to which KerasHub added the LoRA.
fn start() -> Gpt2Backbone {
    let folder = golden("air_small/keras");
    Gpt2Backbone::from_preset_with(folder.to_str().unwrap(), &device()).unwrap()
}

fn golden_logits(backbone: &Gpt2Backbone) -> Vec<f32> {
    let all = golden_tensors("");
    let ints = |name: &str| {
        let (shape, bits) = &all[name];
        let ints: Vec<i32> = bits.iter().map(|bits| bits.to_bits() as i32).collect();
        TensorData::new(ints, shape.clone())
    };
    let ids = Tensor::<2, Int>::from_data(ints("token_ids"), &device());
    let mask: Tensor<2, Bool> =
        Tensor::<2, Int>::from_data(ints("padding_mask"), &device()).equal_elem(1);
    let hidden = backbone.forward(ids, Some(mask)).unwrap();
    backbone.logits(hidden).try_into_vec_as().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let difference = |(a, b): (&f32, &f32)| (a - b).abs();
    let largest = found.iter().zip(expected).map(difference).fold(0.0, f32::max);
    assert!(largest <= tolerance, "the largest difference is {largest:e}");
}

/// A model with a LoRA that changes its output, and with changed biases.
pub fn adapted(config: &Gpt2BackboneConfig, rank: usize, targets: &[&str]) -> Gpt2Backbone {
    let mut backbone = Gpt2Backbone::new(config, 7, &device()).unwrap();
    backbone
        .enable_lora(LoraConfig::new(rank).with_target_layer_names(targets).with_seed(1))
        .unwrap();
    update_parameters(backbone, |path, _, old| {
        if path.ends_with("kernel") || path.contains("embedding") {
            return old;
        }
        let count = old.dims()[0];
        let values = (0..count).map(|index| ((index + path.len()) as f32 * 0.37).sin());
        let values: Vec<_> = values.map(|value| value * 0.7).collect();
        Tensor::from_data(TensorData::new(values, [count]), &device())
    })
}

fn plain() -> Gpt2Backbone {
    Gpt2Backbone::new(&tiny(), 7, &device()).unwrap()
}

#[test]
fn files_of_keras_hub_load() {
    for (key, file, rank) in [("lora", "adapter", 4), ("lora_all", "adapter_all", 2)] {
        let mut backbone = start();
        backbone.load_lora_weights(golden(&format!("training/{file}.lora.h5"))).unwrap();
        assert_eq!(backbone.lora_rank(), Some(rank));
        let expected = &golden_tensors(&format!("{key}/adapter_only_logits"))[""].1;
        assert_close(&golden_logits(&backbone), expected, 2e-5);

        // With the biases, which only this library's file stores, the model equals the trained one.
        let trained = golden_tensors(&format!("{key}/final/"));
        let backbone = update_parameters(backbone, |path, _, old| match trained.get(path) {
            Some((_, bias)) if path.ends_with(".bias") => {
                Tensor::from_data(TensorData::new(bias.clone(), old.dims()), &device())
            }
            _ => old,
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.safetensors");
        backbone.save_lora_weights(&path).unwrap();
        let mut again = start();
        again.load_lora_weights(&path).unwrap();
        assert_eq!(again.trainable_parameters(), backbone.trainable_parameters());
        let expected = &golden_tensors(&format!("{key}/logits"))[""].1;
        assert_close(&golden_logits(&again), expected, 2e-5);
    }
}

/// Shape and values of every dataset, and the rank.
fn tree(path: &Path) -> (Tensors, i64) {
    let file = H5File::options().no_locking().open(path).unwrap();
    let rank = file.dataset("lora/vars/rank").unwrap();
    assert_eq!(rank.datatype().unwrap(), DatatypeMessage::i64_type());
    assert_eq!(rank.shape(), [0; 0]);
    let names = file.dataset_names().into_iter().filter(|name| name != "lora/vars/rank");
    let tensors = names.map(|name| {
        let dataset = file.dataset(&name).unwrap();
        assert_eq!(dataset.storage_layout().unwrap(), StorageLayout::Contiguous);
        (name, (dataset.shape(), dataset.read_raw::<f32>().unwrap()))
    });
    (tensors.collect(), rank.read_raw::<i64>().unwrap()[0])
}

#[test]
fn a_file_that_is_saved_is_the_one_that_keras_hub_wrote() {
    for file in ["adapter.lora.h5", "adapter_all.lora.h5"] {
        let theirs = golden("training").join(file);
        let mut backbone = start();
        backbone.load_lora_weights(&theirs).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join(file);
        backbone.save_lora_weights(&ours).unwrap();
        assert!(tree(&ours) == tree(&theirs), "{file}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}

#[test]
fn what_is_loaded_is_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    for targets in [&["query", "value"][..], &["attention_output"], &ALL] {
        let trained = adapted(&tiny(), 3, targets);
        for (name, keeps_biases) in [("mine.safetensors", true), ("mine.lora.h5", false)] {
            let path = folder.path().join(name);
            trained.save_lora_weights(&path).unwrap();
            let mut same_lora = plain();
            same_lora
                .enable_lora(LoraConfig::new(3).with_target_layer_names(targets).with_seed(5))
                .unwrap();
            for mut model in [plain(), same_lora] {
                model.load_lora_weights(&path).unwrap();
                assert_eq!(model.trainable_parameters(), trained.trainable_parameters());
                let (found, before) = (parameters(&model), parameters(&plain()));
                for parameter in trained.trainable_parameters() {
                    let kept = keeps_biases || !parameter.ends_with("bias");
                    let expected = if kept { &parameters(&trained) } else { &before };
                    assert!(found[&parameter] == expected[&parameter], "{name}: {parameter}");
                }
            }
        }
    }
}

#[test]
fn a_task_saves_and_loads_as_its_backbone_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    let trained = Gpt2CausalLm::new(adapted(&tiny(), 2, &ALL), None).unwrap();
    trained.save_lora_weights(&path).unwrap();
    let mut model = Gpt2CausalLm::new(plain(), None).unwrap();
    model.load_lora_weights(&path).unwrap();
    let backbone = trained.backbone();
    for path in backbone.trainable_parameters() {
        assert!(parameters(model.backbone())[&path] == parameters(backbone)[&path], "{path}");
    }
}

/// Loads into a model that must then be unchanged.
fn refused(model: &mut Gpt2Backbone, path: &Path) -> PresetError {
    let before = (parameters(model), model.trainable_parameters());
    let error = model.load_lora_weights(path).unwrap_err();
    assert!((parameters(model), model.trainable_parameters()) == before);
    error
}

#[test]
fn a_lora_must_have_the_files_rank_and_layers() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mine.lora.h5", "mine.safetensors"] {
        let path = folder.path().join(name);
        adapted(&tiny(), 3, &["query", "key"]).save_lora_weights(&path).unwrap();
        let mut model = adapted(&tiny(), 2, &["query", "key"]);
        let expected = format!(
            "The Lora rank expected by file '{}' is rank=3, but the model was called with \
             `.enable_lora(rank=2)`. Both ranks must match.",
            path.display()
        );
        assert_eq!(refused(&mut model, &path).to_string(), expected);
        let error = refused(&mut adapted(&tiny(), 3, &["query", "value"]), &path);
        let PresetError::LoraLayerMismatch { in_file, in_model, .. } = &error else {
            panic!("{error}")
        };
        assert!(in_file.iter().all(|layer| layer.ends_with("key_dense")) && in_file.len() == 2);
        assert!(in_model.iter().all(|layer| layer.ends_with("value_dense")) && in_model.len() == 2);
    }
}

#[test]
fn there_must_be_a_lora_and_a_known_end_of_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.lora.h5");
    let error = plain().save_lora_weights(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        "There are no lora-enabled layers in this model. Make sure to call `.enable_lora(rank)` first."
    );
    let mine = folder.path().join("mine.h5");
    let error = adapted(&tiny(), 2, &ALL).save_lora_weights(&mine).unwrap_err();
    assert!(matches!(error, PresetError::LoraFileName { .. }), "{error}");
    assert!(matches!(refused(&mut plain(), &mine), PresetError::LoraFileName { .. }));
    assert!(matches!(refused(&mut plain(), &path), PresetError::File(FileError::Read { .. })));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// A file in Keras' format with a LoRA of rank 2 in all layers, after `change`.
fn keras_file(rank: i64, change: impl Fn(&mut Tensors)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.lora.h5");
    adapted(&tiny(), 2, &ALL).save_lora_weights(&path).unwrap();
    let (mut tensors, _) = tree(&path);
    change(&mut tensors);
    let file = H5File::create(&path).unwrap();
    let (group, name) = group_of(&file, "lora/vars/rank");
    group.new_dataset::<i64>().scalar().create(name).unwrap().write_raw(&[rank]).unwrap();
    write_datasets(&file, &tensors, Stored::F32);
    file.close().unwrap();
    (folder, path)
}

#[test]
fn a_file_of_another_model_is_refused() {
    const QUERY: &str = "lora/11/vars/lora_kernel_a";
    let move_to = |tensors: &mut Tensors, name: &str| {
        let tensor = tensors.remove(QUERY).unwrap();
        tensors.insert(name.to_owned(), tensor);
    };
    let refused = |rank, change: &dyn Fn(&mut Tensors), object: &str, found: &str| {
        let (_folder, path) = keras_file(rank, change);
        let error = refused(&mut plain(), &path);
        let PresetError::Malformed { format: LORA, object: at, detail, .. } = &error else {
            panic!("{error}")
        };
        let (_, actual) = detail.rsplit_once(", found ").unwrap();
        assert_eq!(at, object, "{error}");
        assert!(actual.contains(found), "{error}");
    };
    for rank in [0, -1, 5, i64::MAX] {
        refused(rank, &|_| {}, "rank", &rank.to_string());
    }
    // A normalisation, a layer of a larger model, and an unrelated name.
    for name in ["lora/6/vars/lora_kernel_a", "lora/31/vars/lora_kernel_a", "vars/more"] {
        refused(2, &|tensors| move_to(tensors, name), name, "something else");
    }
    refused(2, &|tensors| tensors.clear(), "/", "none");
    refused(2, &|tensors| drop(tensors.remove(QUERY)), QUERY, "nothing");
    refused(2, &|tensors| tensors.get_mut(QUERY).unwrap().0 = vec![4, 4], QUERY, "[4, 4]");
    let spoil = |tensors: &mut Tensors| tensors.get_mut(QUERY).unwrap().1[5] = f32::NAN;
    refused(2, &spoil, QUERY, "NaN at element 5");
    // The file's rank differs from its tensors'.
    refused(3, &|_| {}, "lora/11/vars/lora_kernel_a", "[4, 2, 2]");
    let (_folder, path) = keras_file(2, |_| {});
    plain().load_lora_weights(&path).expect("the unchanged file is valid");
}

#[test]
fn a_rank_that_is_no_integer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.lora.h5");
    for shape in [&[][..], &[1]] {
        let file = H5File::create(&path).unwrap();
        let (group, name) = group_of(&file, "lora/vars/rank");
        if shape.is_empty() {
            group.new_dataset::<f32>().scalar().create(name).unwrap().write_raw(&[2f32]).unwrap();
        } else {
            let dataset = group.new_dataset::<i64>().shape(shape).create(name).unwrap();
            dataset.write_raw(&[2i64]).unwrap();
        }
        file.close().unwrap();
        let error = refused(&mut plain(), &path).to_string();
        assert!(error.contains("lora/vars/rank`: expected one integer"), "{error}");
    }
    fs::write(&path, "no HDF5").unwrap();
    assert!(matches!(
        refused(&mut plain(), &path),
        PresetError::Malformed { format: KERAS_WEIGHTS, .. }
    ));
}

#[test]
fn files_with_damage_give_an_error_or_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let trained = adapted(&tiny(), 2, &ALL);
    let factors = |model: &Gpt2Backbone| -> Tensors {
        parameters(model).into_iter().filter(|(path, _)| path.contains("lora")).collect()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    for name in ["mine.lora.h5", "mine.safetensors"] {
        let path = folder.path().join(name);
        trained.save_lora_weights(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            let mut model = plain();
            // The end of an HDF5 file may be unused.
            if model.load_lora_weights(&path).is_ok() {
                assert!(factors(&model) == factors(&trained), "{name}, {length} bytes");
            }
        }
        for _ in 0..300 {
            let mut bytes = whole.clone();
            bytes[rng.random_range(0..whole.len())] ^= 1 << rng.random_range(0..8);
            fs::write(&path, bytes).unwrap();
            let mut model = plain();
            if model.load_lora_weights(&path).is_ok() {
                let finite = |(_, values): &(_, Vec<f32>)| values.iter().all(|v| v.is_finite());
                assert!(parameters(&model).values().all(finite));
            }
        }
    }
}

#[test]
fn other_safetensors_files_are_no_lora() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    for (metadata, object) in [
        (r#"{"format": "pt"}"#, "format"),
        (r#"{"format": "gpt2_lora"}"#, "rank"),
        (r#"{"format": "gpt2_lora", "rank": "two"}"#, "rank"),
        (r#"{"format": "gpt2_lora", "rank": "2"}"#, "/"),
    ] {
        let header = format!(r#"{{"__metadata__": {metadata}}}"#);
        fs::write(&path, with_header(&header, b"")).unwrap();
        let error = refused(&mut plain(), &path);
        assert!(
            matches!(&error, PresetError::Malformed { format: LORA, object: found, .. } if found == object),
            "{error}"
        );
    }
    let header = r#"{"__metadata__": {"format": 1}}"#;
    fs::write(&path, with_header(header, b"")).unwrap();
    assert!(matches!(
        refused(&mut plain(), &path),
        PresetError::Malformed { format: SAFETENSORS, .. }
    ));
}

#[test]
fn a_model_is_saved_with_its_lora_in_the_kernels() {
    for targets in [&["query", "value"][..], &ALL] {
        let model = adapted(&tiny(), 2, targets);
        let (before, expected) = (parameters(&model), logits(&model));
        let folder = tempfile::tempdir().unwrap();
        let (keras, transformers) = (folder.path().join("keras"), folder.path().join("theirs"));
        model.save_to_preset(&keras).unwrap();
        model.export_to_transformers(&transformers).unwrap();
        for folder in [keras, transformers] {
            let saved = folder.to_str().unwrap();
            let again = Gpt2Backbone::from_preset_with(saved, &device()).unwrap();
            assert_eq!(again.lora_rank(), None);
            assert_close(&logits(&again), &expected, 2e-5);
        }
        assert!(parameters(&model) == before, "saving changes nothing");
        assert_eq!(model.lora_rank(), Some(2));
        let without =
            update_parameters(
                model,
                |path, _, old| {
                    if path.contains("lora") { old.zeros_like() } else { old }
                },
            );
        let change =
            logits(&without).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(change > 1e-3, "the LoRA makes a difference");
    }
}
