//! Conversion of a preset to another format, without a model in between.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{Preset, PresetError, PresetFormat, Save, SaveOptions};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::Gpt2TokenizerConfig;
use serde_json::Value;
use tempfile::TempDir;

use crate::saving::{
    BOTH, KERAS_FILES, TRANSFORMERS_FILES, assert_same, files, json_of, model, names, saved,
};
use crate::support::*;

fn convert(preset: &Preset, format: PresetFormat, folder: &Path) -> Result<(), PresetError> {
    match format {
        PresetFormat::Keras => preset.save_to_preset(folder),
        PresetFormat::Transformers => preset.export_to_transformers(folder),
        PresetFormat::Gguf => preset.export_to_gguf(folder.join("model.gguf")),
        other => panic!("{other:?} has no test yet"),
    }
}

fn converted(source: &TempDir, format: PresetFormat) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    convert(&open(source).unwrap(), format, folder.path()).unwrap();
    folder
}

/// Asserts that two folders have equal files, except for the time in one and the order of an HDF5
/// file's groups.
fn assert_same_files(found: &TempDir, expected: &TempDir) {
    let (mut found, mut expected) = (files(found.path()), files(expected.path()));
    for files in [&mut found, &mut expected] {
        if let Some(bytes) = files.get_mut("metadata.json") {
            let mut json: Value = serde_json::from_slice(bytes).unwrap();
            json["date_saved"] = Value::Null;
            *bytes = json.to_string().into_bytes();
        }
        if let Some(bytes) = files.get_mut("model.weights.h5") {
            bytes.clear();
        }
    }
    for (name, bytes) in &expected {
        assert!(found.get(name) == Some(bytes), "{name}");
    }
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
}

#[test]
fn a_converted_preset_is_what_its_model_saves() {
    let narrow = Gpt2BackboneConfig { intermediate_dim: 3, dropout: 0.25, ..tiny() };
    let untied = Gpt2BackboneConfig { tie_weights: false, ..tiny() };
    let all = [PresetFormat::Keras, PresetFormat::Transformers, PresetFormat::Gguf];
    for (config, formats) in
        [(tiny(), &all[..]), (narrow, &BOTH), (untied, &[PresetFormat::Transformers])]
    {
        let model = model(&config);
        for first in formats {
            let source = saved(&model, *first);
            let loaded = open(&source).unwrap().causal_lm(&device()).unwrap();
            for second in formats {
                let folder = converted(&source, *second);
                assert_same_files(&folder, &saved(&loaded, *second));
                // And in the other direction.
                for folder in [converted(&folder, *first), folder] {
                    let again = open(&folder).unwrap().causal_lm(&device()).unwrap();
                    assert_same(&again, &model, "ab<|endoftext|>ba");
                }
            }
        }
    }
}

#[cfg(feature = "bundled")]
#[test]
fn the_bundled_preset_is_converted() {
    let preset = Preset::open("gpt2_tiny_shakespeare").unwrap();
    let model = preset.causal_lm(&device()).unwrap();
    for format in BOTH {
        let folder = tempfile::tempdir().unwrap();
        convert(&preset, format, folder.path()).unwrap();
        assert_same_files(&folder, &saved(&model, format));
        let again = open(&folder).unwrap().causal_lm(&device()).unwrap();
        assert_same(&again, &model, "What, art thou mad?");
    }
}

#[test]
fn settings_of_preprocessor_and_tokenizer_are_kept() {
    let backbone = model(&tiny()).into_backbone();
    let config = Gpt2TokenizerConfig::new()
        .with_sequence_length(7)
        .with_unsplittable_tokens(["ab", "<|endoftext|>"]);
    let tokenizer = open(&transformers_folder(&tiny())).unwrap().tokenizer().unwrap();
    let tokenizer = tokenizer.with_config(config.clone()).unwrap();
    let settings = PreprocessorConfig::new()
        .with_sequence_length(3)
        .with_add_start_token(false)
        .with_add_end_token(true);
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, settings.clone()).unwrap();
    let task = saved(
        &Gpt2CausalLm::new(backbone.clone(), Some(preprocessor.clone())).unwrap(),
        PresetFormat::Keras,
    );
    // Separate saves write no `task.json`.
    let parts = tempfile::tempdir().unwrap();
    backbone.save_to_preset(parts.path()).unwrap();
    preprocessor.save_to_preset(parts.path()).unwrap();
    for source in [&task, &parts] {
        let folder = converted(source, PresetFormat::Keras);
        assert_eq!(names(&folder), KERAS_FILES);
        let again = open(&folder).unwrap().causal_lm(&device()).unwrap();
        let again = again.preprocessor().unwrap();
        assert_eq!((again.config(), again.tokenizer().config()), (&settings, &config));
    }
    // Settings that transformers does not support are an error, as for a model.
    let folder = tempfile::tempdir().unwrap();
    let error = open(&task).unwrap().export_to_transformers(folder.path()).unwrap_err();
    assert!(matches!(error, PresetError::Inexpressible { setting: "sequence_length", .. }));
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_backbone_alone_and_a_task_without_preprocessor_stay_what_they_are() {
    let backbone = model(&tiny()).into_backbone();
    let weights = parameters(&backbone);
    let alone = tempfile::tempdir().unwrap();
    backbone.save_to_preset(alone.path()).unwrap();
    let task = saved(&Gpt2CausalLm::new(backbone, None).unwrap(), PresetFormat::Keras);
    let keras_files = |source| names(&converted(source, PresetFormat::Keras));
    assert_eq!(keras_files(&alone), ["config.json", "metadata.json", "model.weights.h5"]);
    assert_eq!(
        keras_files(&task),
        ["config.json", "metadata.json", "model.weights.h5", "task.json"]
    );
    let task_json = json_of(&converted(&task, PresetFormat::Keras), "task.json");
    assert_eq!(task_json["config"]["preprocessor"], Value::Null);
    for source in [&alone, &task] {
        let file = converted(source, PresetFormat::Gguf);
        assert_eq!(parameters(&open(&file).unwrap().backbone(&device()).unwrap()), weights);
        assert_eq!(
            names(&converted(&file, PresetFormat::Keras)),
            ["config.json", "metadata.json", "model.weights.h5"]
        );
        let folder = converted(source, PresetFormat::Transformers);
        let expected = ["config.json", "generation_config.json", "model.safetensors"];
        assert_eq!(names(&folder), expected);
        assert_eq!(parameters(&open(&folder).unwrap().backbone(&device()).unwrap()), weights);
        assert_eq!(names(&converted(&folder, PresetFormat::Transformers)), expected);
    }
    // Half a tokenizer is an error.
    for format in BOTH {
        let source = saved(&model(&tiny()), format);
        let removed = match format {
            PresetFormat::Keras => {
                fs::remove_file(source.path().join("task.json")).unwrap();
                &["assets/tokenizer/merges.txt", "tokenizer.json"][..]
            }
            _ => &["merges.txt", "tokenizer.json"],
        };
        removed.iter().for_each(|name| fs::remove_file(source.path().join(name)).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let error = convert(&open(&source).unwrap(), format, folder.path()).unwrap_err();
        assert!(matches!(error, PresetError::MissingFile { .. }), "{error}");
        assert_eq!(names(&folder), [""; 0]);
    }
}

#[test]
fn sixteen_bit_sources_of_either_format_give_their_rounded_values() {
    let config = tiny();
    for stored in [Stored::F16, Stored::Bf16] {
        let mut expected = tiny_model(&config);
        for (_, values) in expected.values_mut() {
            values.iter_mut().for_each(|value| *value = stored.round(*value));
        }
        let transformers = transformers_folder(&config);
        let tensors = transformers_tensors(&config, &tiny_model(&config));
        let path = transformers.path().join("model.safetensors");
        fs::write(path, safetensors(&tensors, stored)).unwrap();
        let keras = keras_folder(&config);
        let tensors = keras_tensors(&config, &tiny_model(&config));
        write_hdf5(&keras.path().join("model.weights.h5"), &tensors, stored);
        for source in [transformers, keras] {
            for format in BOTH {
                let folder = converted(&source, format);
                let again = open(&folder).unwrap().backbone(&device()).unwrap();
                assert!(parameters(&again) == expected, "{stored:?} to {format:?}");
            }
        }
    }
}

#[test]
fn a_bad_weight_stops_the_conversion_and_old_files_stay() {
    let (config, model) = (tiny(), model(&tiny()));
    let tensor = "h.1.attn.c_attn.weight";
    let name = format!("transformer.{tensor}");
    let mut infinite = transformers_tensors(&config, &tiny_model(&config));
    // Row 1, column 5: the keys' second.
    infinite.get_mut(&name).unwrap().1[12 + 5] = f32::INFINITY;
    let mut missing = transformers_tensors(&config, &tiny_model(&config));
    missing.remove(&name);
    for (tensors, is_missing) in [(infinite, false), (missing, true)] {
        let source = transformers_folder(&config);
        let path = source.path().join("model.safetensors");
        fs::write(path, safetensors(&tensors, Stored::F32)).unwrap();
        for format in BOTH {
            let folder = saved(&model, format);
            let before = files(folder.path());
            let error = convert(&open(&source).unwrap(), format, folder.path()).unwrap_err();
            assert!(error.to_string().contains(tensor), "{error}");
            match error {
                PresetError::NonFiniteWeight { index, .. } => assert_eq!(index, 17),
                other => {
                    assert!(is_missing && matches!(other, PresetError::IncompleteWeights { .. }));
                }
            }
            assert!(files(folder.path()) == before);
        }
    }
}

#[test]
fn a_preset_may_be_converted_in_its_own_folder() {
    let model = model(&tiny());
    for first in BOTH {
        for second in BOTH {
            let folder = saved(&model, first);
            convert(&open(&folder).unwrap(), second, folder.path()).unwrap();
            assert_eq!(open(&folder).unwrap().format(), second);
            assert_same(&open(&folder).unwrap().causal_lm(&device()).unwrap(), &model, "ab");
        }
    }
}

#[test]
fn progress_counts_every_byte_once_over_all_files() {
    let total = 4 * tiny().parameter_count() as u64;
    let source = saved(&model(&tiny()), PresetFormat::Transformers);
    let preset = open(&source).unwrap();
    let model = preset.causal_lm(&device()).unwrap();
    for max_shard_size in [400, u64::MAX] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = || {
            let seen = seen.clone();
            move |done, total| seen.lock().unwrap().push((done, total))
        };
        let save =
            SaveOptions::keras().with_max_shard_size(max_shard_size).with_on_progress(note());
        let export = SaveOptions::transformers()
            .with_max_shard_size(max_shard_size)
            .with_on_progress(note());
        let folder = tempfile::tempdir().unwrap();
        let check = || {
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            assert_eq!(seen.len(), 36, "one call for each parameter");
            assert!(seen.is_sorted() && seen.iter().all(|(_, all)| *all == total));
            assert_eq!(seen.last(), Some(&(total, total)));
        };
        preset.save(folder.path(), &save).unwrap();
        check();
        preset.save(folder.path(), &export).unwrap();
        check();
        model.save(folder.path(), &save).unwrap();
        check();
        model.save(folder.path(), &export).unwrap();
        check();
    }
    assert_eq!(names(&source), TRANSFORMERS_FILES);
}
