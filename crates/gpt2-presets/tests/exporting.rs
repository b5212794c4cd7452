//! Models exported as 16-bit floats.

use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, update_parameters};
use gpt2_presets::{FromPreset, PresetError, Save, SaveOptions, WeightDtype};
use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::saving::{files, json_of, model, names};
use crate::support::*;

/// The tiny model, with these first values in one parameter.
fn with_values(parameter: &str, first: &[f32]) -> Gpt2Backbone {
    let mut found = false;
    let backbone = update_parameters(model(&tiny()).into_backbone(), |path, _, old| {
        if path != parameter {
            return old;
        }
        found = true;
        let mut values: Vec<f32> = old.into_data().try_into_vec().unwrap();
        values[..first.len()].copy_from_slice(first);
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &device())
    });
    assert!(found);
    backbone
}

fn export(backbone: &Gpt2Backbone, dtype: WeightDtype, folder: &Path) -> Result<(), PresetError> {
    backbone.save(folder, SaveOptions::transformers().with_dtype(dtype))
}

#[test]
fn every_value_is_rounded_to_the_nearest() {
    let model = model(&tiny());
    for (dtype, stored, format, name) in [
        (WeightDtype::F32, Stored::F32, Dtype::F32, "float32"),
        (WeightDtype::F16, Stored::F16, Dtype::F16, "float16"),
        (WeightDtype::Bf16, Stored::Bf16, Dtype::BF16, "bfloat16"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        export(model.backbone(), dtype, folder.path()).unwrap();
        assert_eq!(json_of(&folder, "config.json")["dtype"], json!(name));
        let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        assert!(tensors.tensors().iter().all(|(_, tensor)| tensor.dtype() == format));
        let mut expected = parameters(model.backbone());
        let values = expected.values_mut().flat_map(|(_, values)| values);
        values.for_each(|value| *value = stored.round(*value));
        let again =
            Gpt2Backbone::from_preset_with(folder.path().to_str().unwrap(), &device()).unwrap();
        assert!(parameters(&again) == expected, "{name}");
    }
}

#[test]
fn ties_go_to_even_and_the_largest_number_is_kept() {
    let gamma = |dtype, values: [f32; 4]| {
        let folder = tempfile::tempdir().unwrap();
        export(&with_values("layer_norm.gamma", &values), dtype, folder.path()).unwrap();
        let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let gamma = tensors.tensor("transformer.ln_f.weight").unwrap();
        bytemuck::pod_collect_to_vec::<u8, u16>(gamma.data())
    };
    // Halfway between two neighbours: below the even one, and above it.
    let (below, above) = (1.0 + 1.0 / 2048.0, 1.0 + 3.0 / 2048.0);
    let found = gamma(WeightDtype::F16, [below, above, 65519.0, 6e-8]);
    assert_eq!(found, [0x3c00, 0x3c02, 0x7bff, 0x0001]);
    let (below, above) = (1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0);
    let found = gamma(WeightDtype::Bf16, [below, above, -3.3895e38, 0.0]);
    assert_eq!(found, [0x3f80, 0x3f82, 0xff7f, 0]);
}

#[test]
fn a_value_that_would_become_infinite_is_refused() {
    let key = "transformer_layers.1.self_attention_layer.key_dense.kernel";
    for (dtype, large, name) in [
        (WeightDtype::F16, 65520.0, "float16"),
        (WeightDtype::F16, f32::MIN, "float16"),
        (WeightDtype::Bf16, f32::MAX, "bfloat16"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        export(model(&tiny()).backbone(), dtype, folder.path()).unwrap();
        let before = files(folder.path());
        // Row 1, column 1 of the keys, after four columns of queries.
        let backbone = with_values(key, &[0.0, 0.0, 0.0, 0.0, 0.0, large]);
        let error = export(&backbone, dtype, folder.path()).unwrap_err();
        let PresetError::Overflow { tensor, index, value, dtype } = &error else {
            panic!("{error}")
        };
        assert_eq!(tensor, "transformer.h.1.attn.c_attn.weight");
        assert_eq!((*index, *value, *dtype), (12 + 4 + 1, large, name));
        assert!(files(folder.path()) == before);
        export(&backbone, WeightDtype::F32, folder.path()).expect("32 bits hold it");
    }
}

#[test]
fn a_lora_is_merged_before_it_is_rounded() {
    let backbone = crate::lora::adapted(&tiny(), 2, &["query"]);
    let mut merged = backbone.clone();
    merged.merge_lora();
    let folder = tempfile::tempdir().unwrap();
    export(&backbone, WeightDtype::F16, folder.path()).unwrap();
    let again = Gpt2Backbone::from_preset_with(folder.path().to_str().unwrap(), &device()).unwrap();
    let path = "transformer_layers.0.self_attention_layer.query_dense.kernel";
    let expected: Vec<_> =
        parameters(&merged)[path].1.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
    assert_eq!(parameters(&again)[path].1, expected);
    assert_eq!(names(&folder), ["config.json", "generation_config.json", "model.safetensors"]);
}
