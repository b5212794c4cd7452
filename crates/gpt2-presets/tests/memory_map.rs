//! A model whose weights are in a mapped file.

use std::fs;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Int, Tensor};
use gpt2_backbone::Gpt2Backbone;

use crate::support::*;

fn mapped(folder: &tempfile::TempDir) -> Gpt2Backbone {
    let bytes = safetensors(&transformers_tensors(&tiny(), &tiny_model(&tiny())), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    open(folder).unwrap().backbone(&device()).unwrap()
}

fn logits(backbone: &Gpt2Backbone) -> Vec<f32> {
    let ids = Tensor::<2, Int>::from_data([[1, 2, 3, 0]], &device());
    let hidden = backbone.forward(ids, None).unwrap();
    backbone.logits(hidden).into_data().try_to_vec().unwrap()
}

#[test]
fn it_computes_what_a_copy_computes() {
    let folder = transformers_folder(&tiny());
    let backbone = mapped(&folder);
    let keras = keras_folder(&tiny());
    let tensors = keras_tensors(&tiny(), &tiny_model(&tiny()));
    write_hdf5(&keras.path().join("model.weights.h5"), &tensors, Stored::F32);
    let copied = open(&keras).unwrap().backbone(&device()).unwrap();
    assert_eq!(logits(&backbone), logits(&copied));
    assert!(logits(&backbone).iter().all(|logit| logit.is_finite()));
}

#[test]
fn replacing_the_file_by_renaming_is_safe() {
    let folder = transformers_folder(&tiny());
    let backbone = mapped(&folder);
    let before = logits(&backbone);
    let (new, old) = (folder.path().join("new"), folder.path().join("model.safetensors"));
    fs::write(&new, b"").unwrap();
    fs::rename(new, old).unwrap();
    assert_eq!(logits(&backbone), before);
    drop(folder);
    assert_eq!(logits(&backbone), before);
}

/// The map is read only: a backend that wrote into it would be ended by a signal.
#[test]
fn changing_the_weights_leaves_the_file_as_it_was() {
    struct Halve;
    impl ModuleMapper for Halve {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.mul_scalar(0.5))
        }
    }
    let folder = transformers_folder(&tiny());
    let backbone = mapped(&folder);
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let halved = parameters(&backbone.map(&mut Halve));
    for (path, (_, values)) in tiny_model(&tiny()) {
        let expected: Vec<f32> = values.iter().map(|value| value * 0.5).collect();
        assert_eq!(halved[&path].1, expected);
    }
    assert_eq!(fs::read(folder.path().join("model.safetensors")).unwrap(), bytes);
}
