//! Saved models load again unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gpt2_backbone::{Activation, Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FileError, FromPreset, Preset, PresetError, PresetFormat, Save, SaveOptions};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

pub const KERAS_FILES: [&str; 8] = [
    "assets/tokenizer/merges.txt",
    "assets/tokenizer/vocabulary.json",
    "config.json",
    "metadata.json",
    "model.weights.h5",
    "preprocessor.json",
    "task.json",
    "tokenizer.json",
];
pub const TRANSFORMERS_FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

/// All files in a folder, by their relative paths.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inner = self::files(&path).into_iter();
            files.extend(inner.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

pub fn names(folder: &TempDir) -> Vec<String> {
    files(folder.path()).into_keys().collect()
}

pub fn json_of(folder: &TempDir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
}

/// A model with distinct parameters, loaded from a folder in transformers' format.
pub fn model(config: &Gpt2BackboneConfig) -> Gpt2CausalLm {
    let folder = transformers_folder(config);
    let tensors = transformers_tensors(config, &tiny_model(config));
    let bytes = safetensors(&tensors, Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let mut json = transformers_config(config);
    json["activation_function"] = json!(config.activation);
    json["resid_pdrop"] = json!(config.dropout);
    json["layer_norm_epsilon"] = json!(config.layer_norm_epsilon);
    json["scale_attn_weights"] = json!(config.scale_attention);
    json["scale_attn_by_inverse_layer_idx"] = json!(config.scale_attention_by_layer);
    write_json(folder.path(), "config.json", &json);
    let model = open(&folder).unwrap().causal_lm(&device()).unwrap();
    assert_eq!(model.backbone().config(), config);
    model
}

/// A model with other shapes.
pub fn older() -> Gpt2CausalLm {
    model(&tiny().with_max_sequence_length(4))
}

pub fn save(model: &Gpt2CausalLm, format: PresetFormat, folder: &Path) -> Result<(), PresetError> {
    match format {
        PresetFormat::Keras => model.save_to_preset(folder),
        PresetFormat::Transformers => model.export_to_transformers(folder),
        PresetFormat::Gguf => model.export_to_gguf(folder.join("model.gguf")),
        other => panic!("{other:?} has no test yet"),
    }
}

pub fn saved(model: &Gpt2CausalLm, format: PresetFormat) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(model, format, folder.path()).unwrap();
    assert_eq!(open(&folder).unwrap().format(), format);
    folder
}

pub fn assert_same(again: &Gpt2CausalLm, model: &Gpt2CausalLm, text: &str) {
    assert_eq!(again.backbone().config(), model.backbone().config());
    let bits = |model: &Gpt2CausalLm| -> Vec<_> {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let tensors = parameters(model.backbone()).into_iter();
        tensors.map(|(name, (shape, values))| (name, shape, bits(values))).collect()
    };
    assert!(bits(again) == bits(model), "the parameters differ");
    let tokenizer = |model: &Gpt2CausalLm| model.preprocessor().unwrap().tokenizer().clone();
    let (again, model) = (tokenizer(again), tokenizer(model));
    assert_eq!(again.vocabulary(), model.vocabulary());
    assert_eq!(again.merges().to_text(), model.merges().to_text());
    assert_eq!(again.tokenize(text).unwrap(), model.tokenize(text).unwrap());
}

/// Saves from each format to each format, twice.
pub fn assert_round_trips(model: &Gpt2CausalLm, formats: &[PresetFormat], text: &str) {
    for first in formats {
        let folder = saved(model, *first);
        let again = open(&folder).unwrap().causal_lm(&device()).unwrap();
        assert_same(&again, model, text);
        for second in formats {
            let folder = saved(&again, *second);
            assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), model, text);
        }
    }
}

pub const BOTH: [PresetFormat; 2] = [PresetFormat::Keras, PresetFormat::Transformers];

#[test]
fn both_formats_round_trip() {
    let text = "ab<|endoftext|>ba";
    assert_round_trips(&model(&tiny()), &BOTH, text);
    let narrow = Gpt2BackboneConfig { intermediate_dim: 3, dropout: 0.25, ..tiny() };
    assert_round_trips(&model(&narrow), &BOTH, text);
}

#[cfg(feature = "bundled")]
#[test]
fn the_bundled_preset_round_trips() {
    let model = Gpt2CausalLm::from_preset_with("gpt2_tiny_shakespeare", &device()).unwrap();
    assert_round_trips(&model, &BOTH, "What, art thou mad?\n\nNo.<|endoftext|> Well…");
}

/// Configs that only transformers supports, each with the setting that KerasHub lacks.
fn variants() -> [(&'static str, Gpt2BackboneConfig); 5] {
    [
        ("tie_weights", Gpt2BackboneConfig { tie_weights: false, ..tiny() }),
        ("activation", Gpt2BackboneConfig { activation: Activation::Relu, ..tiny() }),
        ("layer_norm_epsilon", Gpt2BackboneConfig { layer_norm_epsilon: 1e-6, ..tiny() }),
        ("scale_attention", Gpt2BackboneConfig { scale_attention: false, ..tiny() }),
        (
            "scale_attention_by_layer",
            Gpt2BackboneConfig { scale_attention_by_layer: true, ..tiny() },
        ),
    ]
}

#[test]
fn variants_round_trip_in_transformers_format_and_are_refused_in_keras() {
    for (setting, config) in variants() {
        let model = model(&config);
        assert_round_trips(&model, &[PresetFormat::Transformers], "abba");
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("new");
        for error in [model.save_to_preset(&inside), model.backbone().save_to_preset(&inside)] {
            let error = error.unwrap_err();
            assert!(
                matches!(&error, PresetError::Inexpressible { setting: found, .. } if *found == setting)
            );
            let text = error.to_string();
            assert!(text.contains(setting) && text.contains("`export_to_transformers`"), "{text}");
        }
        assert!(!inside.exists());
    }
}

#[test]
fn tokenizers_and_preprocessors_keep_their_settings() {
    let new = Gpt2TokenizerConfig::new;
    let tokenizer = open(&transformers_folder(&tiny())).unwrap().tokenizer().unwrap();
    let config = new()
        .with_sequence_length(7)
        .with_add_prefix_space(true)
        .with_unsplittable_tokens(["ab", "<|endoftext|>"]);
    for config in [new(), config] {
        let folder = keras_folder(&tiny());
        let tokenizer = tokenizer.with_config(config.clone()).unwrap();
        tokenizer.save_to_preset(folder.path()).unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(Gpt2Tokenizer::from_preset(path).unwrap().config(), &config);
        let settings = PreprocessorConfig::new()
            .with_sequence_length(3)
            .with_add_start_token(false)
            .with_add_end_token(true);
        let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, settings.clone()).unwrap();
        preprocessor.save_to_preset(folder.path()).unwrap();
        let again = Gpt2CausalLmPreprocessor::from_preset(path).unwrap();
        assert_eq!((again.config(), again.tokenizer().config()), (&settings, &config));
    }
    // KerasHub keeps only listed tokens whole, so that the special token must be listed.
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer.with_config(new().with_unsplittable_tokens(["ab"])).unwrap();
    tokenizer.save_to_preset(folder.path()).unwrap();
    let listed = &json_of(&folder, "tokenizer.json")["config"]["unsplittable_tokens"];
    assert_eq!(listed, &json!(["ab", "<|endoftext|>"]));
    let prefixed = tokenizer.with_config(new().with_add_prefix_space(true)).unwrap();
    prefixed.export_to_transformers(folder.path()).unwrap();
    write_json(folder.path(), "config.json", &transformers_config(&tiny()));
    assert!(open(&folder).unwrap().tokenizer().unwrap().config().add_prefix_space);
    fs::remove_file(folder.path().join("vocab.json")).unwrap();
    assert!(open(&folder).unwrap().tokenizer().unwrap().config().add_prefix_space);
}

#[test]
fn the_files_are_those_of_keras_hub_and_of_transformers() {
    let model = model(&tiny());
    let folder = saved(&model, PresetFormat::Keras);
    assert_eq!(names(&folder), KERAS_FILES);
    let metadata = json_of(&folder, "metadata.json");
    let count = json!(model.backbone().config().parameter_count() as u64);
    assert_eq!((&metadata["parameter_count"], &metadata["tasks"]), (&count, &json!(["CausalLM"])));
    let keys = ["module", "class_name", "config", "registered_name"];
    for (file, class) in [
        ("config.json", "GPT2Backbone"),
        ("tokenizer.json", "GPT2Tokenizer"),
        ("preprocessor.json", "GPT2CausalLMPreprocessor"),
        ("task.json", "GPT2CausalLM"),
    ] {
        let json = json_of(&folder, file);
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
        assert_eq!(json["registered_name"], json!(format!("keras_hub>{class}")));
    }
    let merges = fs::read_to_string(folder.path().join("assets/tokenizer/merges.txt")).unwrap();
    assert_eq!(merges, "a b\n");

    let folder = saved(&model, PresetFormat::Transformers);
    assert_eq!(names(&folder), TRANSFORMERS_FILES);
    assert_eq!(fs::read_to_string(folder.path().join("merges.txt")).unwrap(), MERGES);
    let config = json_of(&folder, "config.json");
    assert_eq!((&config["bos_token_id"], &config["eos_token_id"]), (&json!(3), &json!(3)));
    assert_eq!(json_of(&folder, "generation_config.json")["eos_token_id"], json!(3));
    // Tied: the output layer is not written again.
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.len(), 28);
    assert!(tensors.names().iter().all(|name| name.starts_with("transformer.")));
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn groups_of_variables_carry_the_names_of_their_layers() {
    let folder = saved(&model(&tiny()), PresetFormat::Keras);
    let file = rust_hdf5::H5File::open(folder.path().join("model.weights.h5")).unwrap();
    for (group, name) in [
        ("layers/reversible_embedding/vars", "token_embedding"),
        ("layers/layer_normalization/vars", "layer_norm"),
        ("layers/transformer_decoder/_self_attention_layer/key_dense/vars", "key"),
        (
            "layers/transformer_decoder_1/_self_attention_layer/output_dense/vars",
            "attention_output",
        ),
        ("layers/transformer_decoder_1/_feedforward_layer_norm/vars", "feedforward_layer_norm"),
    ] {
        assert_eq!(file.root_group().group(group).unwrap().attr_string("name").unwrap(), name);
    }
}

#[test]
fn models_without_preprocessor_and_backbones_are_saved() {
    let Ok(model) = Gpt2CausalLm::new(model(&tiny()).into_backbone(), None) else { panic!() };
    let folder = saved(&model, PresetFormat::Keras);
    assert_eq!(json_of(&folder, "task.json")["config"]["preprocessor"], Value::Null);
    assert!(open(&folder).unwrap().causal_lm(&device()).unwrap().preprocessor().is_none());
    let folder = saved(&model, PresetFormat::Transformers);
    assert_eq!(names(&folder), ["config.json", "generation_config.json", "model.safetensors"]);
    assert_eq!(json_of(&folder, "config.json")["eos_token_id"], Value::Null);

    let backbone = model.into_backbone();
    let (keras, transformers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    backbone.save_to_preset(keras.path()).unwrap();
    backbone.export_to_transformers(transformers.path()).unwrap();
    assert_eq!(names(&keras), ["config.json", "metadata.json", "model.weights.h5"]);
    for folder in [keras, transformers] {
        let path = folder.path().to_str().unwrap();
        let again = Gpt2Backbone::from_preset_with(path, &device()).unwrap();
        assert_eq!(parameters(&again), parameters(&backbone));
    }
}

#[test]
fn an_older_preset_is_replaced_and_other_files_stay() {
    let (older, model) = (older(), model(&tiny()));
    for format in BOTH {
        let folder = saved(&older, format);
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        // The model's weights may be in the file to be replaced.
        let mapped = open(&folder).unwrap().causal_lm(&device()).unwrap();
        save(&model, format, folder.path()).unwrap();
        assert_eq!(parameters(mapped.backbone()), parameters(older.backbone()));
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &model, "ab");
        assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
        // A mapped model may be saved to its own file.
        save(&mapped, format, folder.path()).unwrap();
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &older, "ab");
    }
}

#[test]
fn large_weights_are_split_and_replace_whole_ones() {
    let (older, model) = (older(), model(&tiny()));
    let folder = saved(&older, PresetFormat::Keras);
    let path = folder.path();
    let options = SaveOptions::keras().with_max_shard_size(1000);
    model.save(path, &options).unwrap();
    let names = names(&folder);
    let weights: Vec<_> = names.iter().filter(|name| name.starts_with("model")).collect();
    // The model has 1,584 bytes of parameters.
    assert_eq!(weights, ["model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"]);
    assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &model, "ab");
    let index = json_of(&folder, "model.weights.json");
    assert_eq!(index["metadata"]["total_size"], json!(1584));
    let first = &index["weight_map"]["/layers/reversible_embedding/vars"];
    assert_eq!(first, &json!("model_00000.weights.h5"));
    // In fewer files, and in a single one: nothing of the older save stays.
    let fewer = SaveOptions::keras().with_max_shard_size(1500);
    for (options, expected) in
        [(SaveOptions::keras().with_max_shard_size(1), 20), (fewer, 3), (SaveOptions::keras(), 1)]
    {
        older.save(path, &options).unwrap();
        assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &older, "ab");
        let left = self::names(&folder);
        assert_eq!(left.iter().filter(|name| name.starts_with("model")).count(), expected);
    }
    // A folder that the save must not touch has the name of the single file.
    fs::remove_file(path.join("model.weights.h5")).unwrap();
    fs::create_dir(path.join("model.weights.h5")).unwrap();
    let before = files(path);
    let error = model.save(path, &options).unwrap_err();
    assert!(
        matches!(&error, PresetError::File(FileError::Write { path, .. }) if path.ends_with("model.weights.h5"))
    );
    assert!(files(path) == before);
}

#[cfg(unix)]
#[test]
fn files_have_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = saved(&model(&tiny()), PresetFormat::Transformers);
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    fs::write(folder.path().join("any"), "").unwrap();
    for name in TRANSFORMERS_FILES {
        assert_eq!(mode(name), mode("any"), "{name}");
    }
}

#[test]
fn a_saved_preset_opens_under_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a/b");
    model(&tiny()).save_to_preset(&inside).unwrap();
    assert_eq!(Preset::open(inside.to_str().unwrap()).unwrap().config(), &tiny());
}

#[cfg(feature = "bundled")]
#[test]
fn what_a_format_does_not_hold_is_refused_before_anything_is_written() {
    use gpt2_presets::ModelWeights;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let preset = Preset::open("gpt2_tiny_shakespeare").unwrap();
    let refused = |result: Result<(), PresetError>, what: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, PresetError::CannotSave { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(what), "{message}");
        assert_eq!(names(&folder), [""; 0]);
    };
    let split = SaveOptions::gguf().with_max_shard_size(1000);
    refused(preset.save(&path, split), "`max_shard_size`");
    let tokenizer = preset.tokenizer().unwrap();
    refused(tokenizer.export_to_gguf(&path), "a tokenizer without a model in the format `gguf`");
    let weights = folder.path().join("model.weights.h5");
    let backbone = Gpt2Backbone::from_preset("gpt2_tiny_shakespeare").unwrap();
    let transformers = SaveOptions::transformers();
    refused(backbone.save_weights_with(weights, transformers), "`SaveOptions::keras()`");
}
