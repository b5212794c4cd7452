//! KerasHub and transformers load saved models and compute the same. Needs their Pythons.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{
    Activation, Gpt2Backbone, Gpt2BackboneConfig, Initializer, LoraConfig, ParameterSource,
    ParameterSpec, update_parameters,
};
use gpt2_presets::{
    FromPreset, LoraWeights, ModelWeights, Preset, PresetError, Save, SaveOptions, WeightDtype,
};
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{GenerateOptions, Gpt2CausalLm, Gpt2CausalLmPreprocessor, TokenBatch};
use gpt2_test_support::needs;
use serde_json::json;

use crate::lora::ALL;
use crate::support::{Stored, device, parameters, rounded};

pub const BUNDLED: &str = "gpt2_tiny_shakespeare";

/// Saves models, and has a library's Python check the folders. `variable` names that Python.
fn check(
    library: &str,
    variable: &str,
    models: impl FnOnce() -> Vec<(&'static str, Gpt2CausalLm)>,
    save: impl Fn(&Gpt2CausalLm, &Path),
) {
    let name = if library == "keras" { "KerasHub" } else { library };
    let Some(python) = needs(variable, &format!("Python with {name}")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = script(python, "check_interop.py");
    command.arg(library);
    for (name, mut model) in models() {
        let preset = folder.path().join(name);
        save(&model, &preset);
        let expected = expectations(&mut model).to_string();
        fs::write(folder.path().join(format!("{name}.json")), expected).unwrap();
        command.arg(preset);
    }
    run(&mut command);
}

/// A script in `tests/interop`, to be run by a Python.
pub fn script(python: impl AsRef<OsStr>, name: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
    let mut command = Command::new(python);
    command.arg(script);
    command
}

/// Runs a command that must succeed, and prints its output.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    print!("{}", text(&output.stdout));
}

fn expectations(model: &mut Gpt2CausalLm) -> serde_json::Value {
    let text = "What, art thou mad?\nIs not the truth the truth?";
    let (prompt, max_length) = ("ROMEO:", 24);
    let tokenizer = model.preprocessor().unwrap().tokenizer().clone();
    let text_ids = tokenizer.tokenize(text).unwrap();
    let batch = TokenBatch::unpadded(vec![text_ids.clone()]).unwrap();
    let logits = model.score_logits(&batch).unwrap();
    let vocabulary_size = model.backbone().config().vocabulary_size;
    let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
    let logits: Vec<_> = logits.chunks(vocabulary_size).collect();
    model.compile(GreedySampler::new()).unwrap();
    let options = GenerateOptions::new().with_max_length(max_length);
    let generated = model.generate(prompt, &options).unwrap();
    json!({
        "text": text,
        "text_ids": text_ids,
        "token_ids": [text_ids],
        "logits": [logits],
        "end_token_id": tokenizer.end_token_id(),
        "sequence_length": model.preprocessor().unwrap().sequence_length(),
        "prompt": prompt,
        "max_length": max_length,
        "generated": generated,
    })
}

pub fn bundled() -> Gpt2CausalLm {
    Gpt2CausalLm::from_preset_with(BUNDLED, &device()).unwrap()
}

/// Gives every parameter distinct values, of both signs and far from zero.
struct Waves {
    count: usize,
}

impl ParameterSource for Waves {
    type Error = PresetError;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, PresetError> {
        let start = self.count;
        self.count += parameter.shape.iter().product::<usize>();
        let values: Vec<_> =
            (start..self.count).map(|index| (index as f32 * 0.37).sin() * 0.5).collect();
        Ok(TensorData::new(values, parameter.shape.to_vec()))
    }
}

pub fn with_config(config: &Gpt2BackboneConfig) -> Gpt2CausalLm {
    let backbone = Gpt2Backbone::from_source(config, &mut Waves { count: 0 }, &device()).unwrap();
    let preprocessor = Gpt2CausalLmPreprocessor::from_preset(BUNDLED).unwrap();
    Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap()
}

pub fn small() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig::new(1024, 2, 2, 8, 12).with_max_sequence_length(128)
}

#[test]
fn keras_hub_loads_what_is_saved() {
    let models = || vec![("bundled", bundled()), ("small", with_config(&small()))];
    check("keras", "GPT2_KERAS_PYTHON", models, |model, folder| {
        model.save_to_preset(folder).unwrap();
    });
    let models = || vec![("split", bundled())];
    let options = SaveOptions::keras().with_max_shard_size(1_000_000);
    check("keras", "GPT2_KERAS_PYTHON", models, |model, folder| {
        model.save(folder, &options).unwrap();
        assert!(folder.join("model_00003.weights.h5").exists());
    });
}

/// The small model with a LoRA that changes its output.
fn adapted(targets: &[&str]) -> Gpt2CausalLm {
    let mut backbone = with_config(&small()).into_backbone();
    backbone.enable_lora(LoraConfig::new(3).with_target_layer_names(targets).with_seed(1)).unwrap();
    let mut waves = Waves { count: 0 };
    let backbone = update_parameters(backbone, |path, shape, old| {
        if !path.contains("lora") {
            // The biases too, which the file does not store.
            return old;
        }
        let initializer = Initializer::Zeros;
        let data = waves.parameter(&ParameterSpec { path, shape, initializer }).unwrap();
        Tensor::from_data(
            TensorData::new(data.try_into_vec::<f32>().unwrap(), old.dims()),
            &device(),
        )
    });
    let preprocessor = Gpt2CausalLmPreprocessor::from_preset(BUNDLED).unwrap();
    Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap()
}

#[test]
fn keras_hub_loads_a_lora() {
    for (name, targets) in [("lora", &["query", "value"][..]), ("lora_all", &ALL)] {
        let models = || vec![(name, adapted(targets))];
        check("keras", "GPT2_KERAS_PYTHON", models, |model, folder| {
            with_config(&small()).save_to_preset(folder).unwrap();
            model.save_lora_weights(folder.with_extension("lora.h5")).unwrap();
            let targets = json!({"rank": 3, "targets": targets}).to_string();
            fs::write(folder.with_extension("lora.json"), targets).unwrap();
        });
        // And with the LoRA merged into the kernels.
        let models = || vec![("merged", adapted(targets))];
        check("keras", "GPT2_KERAS_PYTHON", models, |model, folder| {
            model.save_to_preset(folder).unwrap();
        });
    }
}

const DTYPES: [(&str, WeightDtype); 3] =
    [("float32", WeightDtype::F32), ("float16", WeightDtype::F16), ("bfloat16", WeightDtype::Bf16)];

#[test]
fn keras_hub_loads_floats_of_16_bits() {
    for (name, dtype) in DTYPES {
        let options = SaveOptions::keras().with_dtype(dtype);
        let models = || {
            // Rounded as on the other side.
            let folder = tempfile::tempdir().unwrap();
            with_config(&small()).save(folder.path(), &options).unwrap();
            let path = folder.path().to_str().unwrap();
            vec![(name, Gpt2CausalLm::from_preset_with(path, &device()).unwrap())]
        };
        check("keras", "GPT2_KERAS_PYTHON", models, |model, folder| {
            model.save(folder, &options).unwrap();
        });
    }
}

#[test]
fn keras_hub_has_the_same_files_of_weights() {
    let Some(python) = needs("GPT2_KERAS_PYTHON", "Python with KerasHub") else { return };
    let (folder, model) = (tempfile::tempdir().unwrap(), with_config(&small()));
    let path = folder.path();
    for (name, dtype) in DTYPES {
        let options = SaveOptions::keras().with_dtype(dtype);
        model.save(path.join(name), &options).unwrap();
    }
    model.save_weights(path.join("task.weights.h5")).unwrap();
    model.backbone().save_weights(path.join("backbone.weights.h5")).unwrap();
    let split = SaveOptions::keras().with_max_shard_size(10_000);
    model.save_weights_with(path.join("task.weights.json"), &split).unwrap();
    run(script(python, "check_keras_files.py").arg(path));

    let mut read = 0;
    for entry in fs::read_dir(path.join("theirs")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        let stored = match name {
            _ if file.is_dir() || name.contains("_0") => continue,
            // The type of the computation.
            _ if name.contains("_mixed") => Stored::F32,
            _ if name.contains("_float16") => Stored::F16,
            _ if name.contains("_bfloat16") => Stored::Bf16,
            _ => Stored::F32,
        };
        let expected = rounded(&parameters(model.backbone()), stored);
        let mut loaded = Gpt2Backbone::new(&small(), 1, &device()).unwrap();
        loaded.load_weights(&file).unwrap();
        assert!(parameters(&loaded) == expected, "{name}");
        if name.ends_with(".keras") {
            let preset = file.to_str().unwrap();
            let backbone = Gpt2Backbone::from_preset_with(preset, &device()).unwrap();
            assert!(parameters(&backbone) == expected, "{name}");
            if !name.starts_with("backbone") {
                let task = Gpt2CausalLm::from_preset_with(preset, &device()).unwrap();
                let preprocessor = task.preprocessor().unwrap();
                assert_eq!(preprocessor.config(), model.preprocessor().unwrap().config());
            }
        }
        read += 1;
    }
    // Two of each of four types, three trained ones, and two of weights alone.
    assert_eq!(read, 13);
}

#[test]
fn transformers_loads_floats_of_16_bits() {
    for (name, dtype) in [("float16", WeightDtype::F16), ("bfloat16", WeightDtype::Bf16)] {
        let options = SaveOptions::transformers().with_dtype(dtype);
        let models = || {
            // Rounded as on the other side.
            let folder = tempfile::tempdir().unwrap();
            with_config(&small()).save(folder.path(), &options).unwrap();
            let path = folder.path().to_str().unwrap();
            let rounded = Gpt2Backbone::from_preset_with(path, &device()).unwrap();
            let preprocessor = Gpt2CausalLmPreprocessor::from_preset(BUNDLED).unwrap();
            vec![(name, Gpt2CausalLm::new(rounded, Some(preprocessor)).unwrap())]
        };
        check("transformers", "GPT2_TRANSFORMERS_PYTHON", models, |model, folder| {
            model.save(folder, &options).unwrap();
        });
    }
}

#[test]
fn transformers_loads_what_is_exported() {
    let models = || {
        let variants = [
            ("small", small()),
            ("untied", Gpt2BackboneConfig { tie_weights: false, ..small() }),
            ("relu", Gpt2BackboneConfig { activation: Activation::Relu, ..small() }),
            ("gelu", Gpt2BackboneConfig { activation: Activation::Gelu, ..small() }),
            ("silu", Gpt2BackboneConfig { activation: Activation::Silu, ..small() }),
            ("tanh", Gpt2BackboneConfig { activation: Activation::Tanh, ..small() }),
            ("epsilon", Gpt2BackboneConfig { layer_norm_epsilon: 0.1, ..small() }),
            ("unscaled", Gpt2BackboneConfig { scale_attention: false, ..small() }),
            ("by_layer", Gpt2BackboneConfig { scale_attention_by_layer: true, ..small() }),
        ];
        let variants = variants.map(|(name, config)| (name, with_config(&config)));
        [("bundled", bundled())].into_iter().chain(variants).collect()
    };
    check("transformers", "GPT2_TRANSFORMERS_PYTHON", models, |model, folder| {
        model.export_to_transformers(folder).unwrap();
    });
    let models = || vec![("split", bundled())];
    let options = SaveOptions::transformers().with_max_shard_size(1_000_000);
    check("transformers", "GPT2_TRANSFORMERS_PYTHON", models, |model, folder| {
        model.save(folder, &options).unwrap();
        assert!(folder.join("model.safetensors.index.json").exists());
    });
}

#[test]
fn both_libraries_load_what_is_converted() {
    let models = || vec![("converted", bundled())];
    check("keras", "GPT2_KERAS_PYTHON", models, |_, folder| {
        Preset::open(BUNDLED).unwrap().save_to_preset(folder).unwrap();
    });
    check("transformers", "GPT2_TRANSFORMERS_PYTHON", models, |_, folder| {
        let keras = folder.with_extension("keras");
        Preset::open(BUNDLED).unwrap().save_to_preset(&keras).unwrap();
        Preset::open(keras.to_str().unwrap()).unwrap().export_to_transformers(folder).unwrap();
    });
}
