//! Options, reports, and the errors for wrong checkpoints.

use std::fs;
use std::sync::{Arc, Mutex};

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{LoadOptions, PresetError};

use crate::support::*;

fn error_of(change: impl FnOnce(&mut Tensors)) -> PresetError {
    let mut tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    change(&mut tensors);
    load_safetensors(&safetensors(&tensors, Stored::F32)).unwrap_err()
}

#[test]
fn missing_and_unused_tensors_are_all_listed() {
    let error = error_of(|tensors| {
        let tensor = tensors.remove("transformer.h.1.ln_1.bias").unwrap();
        tensors.insert("transformer.h.1.ln_1.beta".into(), tensor.clone());
        tensors.insert("score.weight".into(), tensor);
        tensors.remove("transformer.h.0.attn.c_attn.weight");
    });
    let PresetError::IncompleteWeights { missing, unused } = &error else { panic!("{error}") };
    assert_eq!(missing, &["h.0.attn.c_attn.weight", "h.1.ln_1.bias"]);
    assert_eq!(unused, &["transformer.h.1.ln_1.beta", "score.weight"]);
    assert!(error.to_string().contains("tensors missing: 2 (h.0.attn.c_attn.weight, "), "{error}");
}

#[test]
fn a_copy_of_the_tied_head_is_not_called_unused() {
    let folder = transformers_folder(&tiny());
    let mut tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    let embedding = tensors["transformer.wte.weight"].clone();
    tensors.insert("lm_head.weight".to_owned(), embedding);
    tensors.remove("transformer.ln_f.bias").unwrap();
    fs::write(folder.path().join("model.safetensors"), safetensors(&tensors, Stored::F32)).unwrap();
    let error = load(&folder).unwrap_err();
    assert!(matches!(&error, PresetError::IncompleteWeights { missing, unused }
        if missing.len() == 1 && unused.is_empty()));
}

#[test]
fn an_unused_tensor_alone_is_an_error() {
    let error = error_of(|tensors| {
        tensors.insert("transformer.h.2.ln_1.bias".into(), (vec![4], vec![0.0; 4]));
    });
    assert!(matches!(&error, PresetError::IncompleteWeights { missing, unused }
        if missing.is_empty() && unused.len() == 1));
}

#[test]
fn one_tensor_under_two_names_is_an_error() {
    let error = error_of(|tensors| {
        let tensor = tensors["transformer.wte.weight"].clone();
        tensors.insert("wte.weight".into(), tensor);
    });
    assert!(
        matches!(&error, PresetError::DuplicateTensor { tensor, .. } if tensor == "wte.weight")
    );
}

#[test]
fn a_wrong_shape_is_named() {
    let error = error_of(|tensors| {
        tensors.insert("transformer.wte.weight".into(), (vec![7, 4], vec![0.0; 28]));
    });
    let PresetError::TensorShape { tensor, expected, found } = &error else { panic!("{error}") };
    assert_eq!(tensor, "transformer.wte.weight");
    assert_eq!((expected, found), (&vec![6, 4], &vec![7, 4]));
    // A transposed rectangle is noticed, a square is not: `c_proj` of the attention.
    let error = error_of(|tensors| {
        tensors.get_mut("transformer.h.0.mlp.c_fc.weight").unwrap().0.reverse();
    });
    assert!(matches!(error, PresetError::TensorShape { .. }));
}

#[test]
fn a_weight_that_is_no_number_is_found_where_it_is() {
    for (name, index, value) in [
        ("transformer.h.1.mlp.c_fc.weight", 17, f32::NAN),
        ("transformer.h.0.attn.c_attn.weight", 4 * 3 * 2 + 9, f32::INFINITY),
        ("transformer.h.0.attn.c_attn.bias", 11, f32::NEG_INFINITY),
    ] {
        let mut tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
        tensors.get_mut(name).unwrap().1[index] = value;
        let bytes = safetensors(&tensors, Stored::F32);
        let error = load_safetensors(&bytes).unwrap_err();
        assert!(
            matches!(&error, PresetError::NonFiniteWeight { tensor, index: found, .. }
                if tensor == name && *found == index),
            "{error}"
        );
        let folder = transformers_folder(&tiny());
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        let unchecked = LoadOptions::new(&device()).with_check_finite(false);
        open(&folder).unwrap().backbone(unchecked).unwrap();
    }
}

#[test]
fn a_bad_number_in_an_untied_head_is_found_before_the_transposition() {
    let config = Gpt2BackboneConfig { tie_weights: false, ..tiny() };
    let folder = transformers_folder(&config);
    let mut tensors = transformers_tensors(&config, &tiny_model(&config));
    tensors.get_mut("lm_head.weight").unwrap().1[13] = f32::NAN;
    let bytes = safetensors(&tensors, Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let error = load(&folder).unwrap_err();
    assert!(matches!(error, PresetError::NonFiniteWeight { index: 13, .. }), "{error}");
}

#[test]
fn more_layers_than_the_file_has_cost_no_time() {
    let open_with = |num_layers| {
        let config = Gpt2BackboneConfig { num_layers, num_heads: 1, ..small() };
        let folder = transformers_folder(&config);
        let bytes =
            safetensors(&transformers_tensors(&small(), &tiny_model(&small())), Stored::F32);
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        load(&folder).unwrap_err()
    };
    let error = within_seconds(10, move || open_with(10_000));
    assert!(
        matches!(&error, PresetError::IncompleteWeights { missing, .. } if missing.len() == 1000)
    );
    let error = within_seconds(10, move || open_with(1_000_000_000));
    assert!(matches!(error, PresetError::Backbone(_)), "{error}");
}

fn small() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig::new(1, 1, 1, 1, 1).with_max_sequence_length(1)
}

#[test]
fn without_weights_no_file_is_needed_and_the_seed_decides() {
    let folder = keras_folder(&tiny());
    let preset = open(&folder).unwrap();
    let model = |seed| {
        let options = LoadOptions::new(&device()).with_load_weights(false).with_seed(seed);
        parameters(&preset.backbone(options).unwrap())
    };
    assert_eq!(model(1), model(1));
    assert_ne!(model(1), model(2));
    assert!(matches!(preset.backbone(&device()), Err(PresetError::MissingFile { .. })));
}

#[test]
fn progress_ends_at_the_total() {
    let folder = transformers_folder(&tiny());
    let bytes = safetensors(&transformers_tensors(&tiny(), &tiny_model(&tiny())), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let options = LoadOptions::new(&device())
        .with_on_progress(move |done, total| seen.lock().unwrap().push((done, total)));
    open(&folder).unwrap().backbone(options).unwrap();
    let calls = calls.lock().unwrap();
    assert!(calls.is_sorted());
    let total = 4 * tiny().parameter_count() as u64;
    assert_eq!(calls.last(), Some(&(total, total)));
}
