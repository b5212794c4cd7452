//! Models whose weights are in a mapped file.

use std::fs;
#[cfg(unix)]
use std::io::Write;
use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use gpt2_backbone::Gpt2Backbone;
use gpt2_presets::LoadOptions;
use tempfile::TempDir;

use crate::support::*;

/// A preset of each format that is mapped, and its weights file.
fn presets() -> [(TempDir, PathBuf); 2] {
    let (config, model) = (tiny(), tiny_model(&tiny()));
    let transformers = transformers_folder(&config);
    let safetensors_file = transformers.path().join("model.safetensors");
    let bytes = safetensors(&transformers_tensors(&config, &model), Stored::F32);
    fs::write(&safetensors_file, bytes).unwrap();
    let keras = keras_folder(&config);
    let hdf5_file = keras.path().join("model.weights.h5");
    write_hdf5(&hdf5_file, &keras_tensors(&config, &model), Stored::F32);
    [(transformers, safetensors_file), (keras, hdf5_file)]
}

fn mapped(folder: &TempDir) -> Gpt2Backbone {
    open(folder).unwrap().backbone(&device()).unwrap()
}

#[test]
fn it_computes_what_a_copy_computes() {
    for (folder, _) in presets() {
        let options = LoadOptions::new(&device()).with_memory_map(false);
        let copied = open(&folder).unwrap().backbone(options).unwrap();
        assert_eq!(logits(&mapped(&folder)), logits(&copied));
        assert!(logits(&copied).iter().all(|logit| logit.is_finite()));
    }
}

/// Writes to the file in place, which the documentation forbids. The change shows through the map:
/// the weights are not a copy.
#[cfg(unix)]
#[test]
fn the_weights_lie_in_the_file() {
    for (folder, file) in presets() {
        let backbone = mapped(&folder);
        let before = logits(&backbone);
        let mut bytes = fs::read(&file).unwrap();
        let weight = parameters(&backbone)["layer_norm.beta"].1[0];
        let at = bytes.windows(4).position(|bytes| bytes == weight.to_le_bytes()).unwrap();
        bytes[at..at + 4].copy_from_slice(&(weight + 1.0).to_le_bytes());
        let mut open = fs::OpenOptions::new().write(true).open(&file).unwrap();
        open.write_all(&bytes).unwrap();
        assert_ne!(logits(&backbone), before, "{}", file.display());
    }
}

#[test]
fn replacing_the_file_by_renaming_is_safe() {
    for (folder, file) in presets() {
        let backbone = mapped(&folder);
        let before = logits(&backbone);
        let new = folder.path().join("new");
        fs::write(&new, b"").unwrap();
        fs::rename(new, file).unwrap();
        assert_eq!(logits(&backbone), before);
        drop(folder);
        assert_eq!(logits(&backbone), before);
    }
}

/// The map is read-only: a backend that wrote to it would be killed by a signal.
#[test]
fn changing_the_weights_leaves_the_file_as_it_was() {
    struct Halve;
    impl ModuleMapper for Halve {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.mul_scalar(0.5))
        }
    }
    for (folder, file) in presets() {
        let backbone = mapped(&folder);
        let bytes = fs::read(&file).unwrap();
        let halved = parameters(&backbone.map(&mut Halve));
        for (path, (_, values)) in tiny_model(&tiny()) {
            let expected: Vec<f32> = values.iter().map(|value| value * 0.5).collect();
            assert_eq!(halved[&path].1, expected);
        }
        assert_eq!(fs::read(file).unwrap(), bytes);
    }
}
