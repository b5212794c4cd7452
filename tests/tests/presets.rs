//! Presets: all stored forms of a model load as the same model.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use gpt2_backbone::{Gpt2Backbone, visit_parameters};
use gpt2_presets::{FromPreset, LoadOptions, Preset, PresetFormat};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::json;

use crate::golden::{
    CASES, Case, Tensors, backbone, check_bits, check_close, device, id_tensor, mask_tensor, path,
    preset, values,
};

/// Hidden states and logits of `token_ids` with `padding_mask` in the golden tensors.
fn outputs(backbone: &Gpt2Backbone, golden: &Tensors) -> (Vec<f32>, Vec<f32>) {
    let token_ids = id_tensor(&golden.ids("token_ids"));
    let mask = mask_tensor(&golden.mask("padding_mask"));
    let hidden: Tensor<3> = backbone.forward(token_ids, Some(mask)).unwrap();
    (values(hidden.clone()), values(backbone.logits(hidden)))
}

/// All parameters by their paths.
fn parameters(backbone: &Gpt2Backbone) -> BTreeMap<String, Vec<f32>> {
    let mut parameters = BTreeMap::new();
    visit_parameters(backbone, |path, data| {
        let values = data.convert::<f32>().try_into_vec::<f32>().unwrap();
        assert!(parameters.insert(path.to_owned(), values).is_none(), "{path} is unique");
    })
    .unwrap();
    parameters
}

fn check_same(label: &str, found: &Gpt2Backbone, expected: &Gpt2Backbone) {
    assert_eq!(found.config(), expected.config(), "{label}");
    let (found, expected) = (parameters(found), parameters(expected));
    assert!(found.keys().eq(expected.keys()), "{label}: names");
    for (path, expected) in &expected {
        check_bits(&format!("{label}: {path}"), &found[path], expected);
    }
}

#[test]
fn shards_give_the_model_of_the_single_file() {
    check_same("sharded", &backbone("air_small/sharded"), &backbone("air_small/keras"));
}

#[test]
fn both_formats_give_the_same_parameters() {
    for name in CASES {
        let [keras, transformers] =
            ["keras", "transformers"].map(|format| preset(&format!("{name}/{format}")));
        assert_eq!(keras.format(), PresetFormat::Keras);
        assert_eq!(transformers.format(), PresetFormat::Transformers);
        let load = |preset: &Preset| preset.backbone(&device()).unwrap();
        check_same(name, &load(&keras), &load(&transformers));
    }
}

#[test]
fn half_precision_checkpoints_give_the_rounded_weights() {
    let golden = Tensors::read("air_small/expected.safetensors");
    let full = parameters(&backbone("air_small/keras"));
    for (dtype, unit) in [("float16", 2f32.powi(-11)), ("bfloat16", 2f32.powi(-8))] {
        let backbone = backbone(&format!("air_small/{dtype}"));
        let (_, logits) = outputs(&backbone, &golden);
        let expected = golden.floats(&format!("{dtype}_logits"));
        check_close(&format!("logits of {dtype} weights"), &logits, &expected.values);
        let rounded = parameters(&backbone);
        assert!(rounded.keys().eq(full.keys()));
        for (path, full) in &full {
            for (full, rounded) in full.iter().zip(&rounded[path]) {
                // Half a unit in the last place, and more for subnormal numbers of float16.
                let close = (full - rounded).abs() <= unit * full.abs() + 1e-7;
                assert!(close, "{dtype}: {path} holds {rounded} for {full}");
            }
        }
    }
}

/// Settings that KerasHub's importer ignores.
#[test]
fn every_setting_of_transformers_gives_its_numbers() {
    for variant in [
        "base",
        "n_inner",
        "layer_norm_epsilon",
        "activation_gelu_new",
        "activation_gelu",
        "activation_gelu_pytorch_tanh",
        "activation_relu",
        "activation_silu",
        "activation_tanh",
        "no_attention_scale",
        "inverse_layer_scale",
        "reorder_and_upcast",
        "all_attention_flags",
        "untied_head",
        "original_layout",
        "separate_dropouts",
    ] {
        let folder = format!("transformers_variants/{variant}");
        let golden = Tensors::read(&format!("{folder}/expected.safetensors"));
        let (hidden, logits) = outputs(&backbone(&folder), &golden);
        check_close(&format!("hidden, {variant}"), &hidden, &golden.floats("hidden").values);
        check_close(&format!("logits, {variant}"), &logits, &golden.floats("logits").values);
    }
    let folders = std::fs::read_dir(path("transformers_variants")).unwrap();
    assert_eq!(folders.count(), 16, "every variant is in the list");
}

#[test]
fn a_preset_loads_the_same_model_in_every_way() {
    for name in CASES {
        let case = Case::read(name);
        for format in ["keras", "transformers"] {
            let place = format!("{name}/{format}");
            let first = case.backbone(format);
            check_same(&place, &case.backbone(format), &first);
            let folder = path(&place).to_str().unwrap().to_owned();
            let copied = LoadOptions::new(&device()).with_memory_map(false);
            let backbone = Gpt2Backbone::from_preset_with(&folder, copied).unwrap();
            check_same(&format!("{place}, copied"), &backbone, &first);
            let url = format!("file://{folder}");
            let model = Gpt2CausalLm::from_preset_with(&url, &device()).unwrap();
            check_same(&format!("{place}, by URL"), model.backbone(), &first);

            let preprocessor = Gpt2CausalLmPreprocessor::from_preset(&folder).unwrap();
            let tokenizer = Gpt2Tokenizer::from_preset(&folder).unwrap();
            for text in case.prompts() {
                let ids = tokenizer.tokenize(&text).unwrap();
                assert_eq!(preprocessor.tokenizer().tokenize(&text).unwrap(), ids);
                let whole = model.preprocessor().unwrap().tokenizer();
                assert_eq!(whole.tokenize(&text).unwrap(), ids);
            }
            assert_eq!(model.preprocessor().unwrap().config(), preprocessor.config());
        }
    }
}

#[test]
fn the_config_is_the_golden_one_and_every_tensor_is_accounted_for() {
    for name in CASES {
        let case = Case::read(name);
        for format in ["keras", "transformers"] {
            let preset = preset(&format!("{name}/{format}"));
            let config = serde_json::to_value(preset.config()).unwrap();
            assert_eq!(config, case.json["config"], "{name}/{format}");
            let (backbone, report) = preset.backbone_with_report(&device()).unwrap();
            let count: usize = parameters(&backbone).values().map(Vec::len).sum();
            assert_eq!(count as u128, preset.config().parameter_count(), "{name}/{format}");
            // transformers joins queries, keys and values in one kernel and one bias.
            let layers = preset.config().num_layers;
            let applied = if format == "keras" { 4 + 16 * layers } else { 4 + 12 * layers };
            assert_eq!(report.applied.len(), applied, "{name}/{format}: {report:?}");
            // KerasHub's export has a copy of the tied output layer, which the real vocabulary's
            // golden case omits.
            let skipped = report.skipped.iter().any(|tensor| tensor == "lm_head.weight");
            let exported = format == "transformers" && name != "gpt2_vocabulary";
            assert_eq!(skipped, exported, "{name}/{format}: {report:?}");
        }
    }
}

/// Number, mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2));
    (count, mean, (squares.sum::<f64>() / count).sqrt())
}

/// A preset with only a config, large enough to distinguish distributions.
fn config_alone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "registered_name": "keras_hub>GPT2Backbone",
        "config": {
            "vocabulary_size": 2000,
            "num_layers": 4,
            "num_heads": 4,
            "hidden_dim": 64,
            "intermediate_dim": 256,
            "max_sequence_length": 1000,
        },
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn without_weights_parameters_have_keras_hubs_initial_distributions() {
    let folder = config_alone();
    let seeded = |seed| {
        let options = LoadOptions::new(&device()).with_load_weights(false).with_seed(seed);
        Gpt2Backbone::from_preset_with(folder.path().to_str().unwrap(), options).unwrap()
    };
    let backbone = seeded(7);
    check_same("the same seed", &seeded(7), &backbone);
    let other = parameters(&seeded(8));
    let mut by_kind: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for (path, values) in parameters(&backbone) {
        let kind = path.rsplit('.').next().unwrap().to_owned();
        let constant = ["beta", "bias", "gamma"].contains(&kind.as_str());
        assert_eq!(other[&path] == values, constant, "{path} under another seed");
        by_kind.entry(kind).or_default().extend(values);
    }
    let kinds: Vec<&str> = by_kind.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["beta", "bias", "embeddings", "gamma", "kernel", "position_embeddings"]);
    for (kind, values) in &by_kind {
        let stddev = match kind.as_str() {
            "embeddings" => 0.01,
            "kernel" | "position_embeddings" => 0.02,
            constant => {
                let expected = if constant == "gamma" { 1.0 } else { 0.0 };
                assert!(values.iter().all(|&value| value == expected), "{kind}");
                continue;
            }
        };
        let (count, mean, found) = moments(values);
        println!("{kind}: {count} values, mean {mean:.2e}, standard deviation {found:.5}");
        // Five standard errors: exceeded once in two million runs of a correct initialiser.
        assert!(mean.abs() < 5.0 * stddev / count.sqrt(), "{kind}: mean {mean}");
        let error = 5.0 * stddev / (2.0 * count).sqrt();
        assert!((found - stddev).abs() < error, "{kind}: standard deviation {found}");
        // Normal, not uniform or truncated: 0.27% are more than three standard deviations away.
        let far = values.iter().filter(|value| f64::from(value.abs()) > 3.0 * stddev).count();
        let expected = 0.0027 * count;
        assert!((far as f64 - expected).abs() < 5.0 * expected.sqrt(), "{kind}: {far} far out");
    }
}
