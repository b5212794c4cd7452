//! Training, compared with KerasHub: loss, gradients, optimizers, LoRA, `fit`.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, LoraConfig, update_parameters, visit_parameters};
use gpt2_task::optimizers::{
    Adafactor, Adam, AdamW, ExponentialMovingAverage, Lion, Optimizer, RmsProp, Sgd,
};
use gpt2_task::{CompileOptions, CosineDecay, Gpt2CausalLm, Metric, TrainingBatch};
use serde_json::Value;

use crate::golden::{self, Tensors, check_within, device, floats};

/// Absolute tolerance of a weight after ten steps. See `golden/training/README.md`: noise in the
/// seventh digit of the initial weights changes weights by up to 6e-6, the steps themselves by 2e-4
/// (`adam_default`) to 1e-2.
const WEIGHTS: f32 = 2e-5;
/// Tolerance if rounding is amplified: LoRA and the centred RMSprop, by up to 3e-5.
const AMPLIFIED: f32 = 5e-5;
/// Tolerance of losses, of size 2 to 4: noise in the seventh digit of the initial weights changes
/// them by less than 1e-5.
const LOSS: f32 = 2e-5;

pub struct Golden {
    pub json: Value,
    pub tensors: Tensors,
}

impl Golden {
    pub fn read(name: &str) -> Self {
        Self {
            json: golden::json(&format!("training/{name}.json")),
            tensors: Tensors::read(&format!("training/{name}.safetensors")),
        }
    }

    /// First or second batch.
    fn batch(&self, number: u64) -> TrainingBatch {
        let suffix = if number == 1 { "" } else { "_2" };
        let key = |name: &str| format!("{name}{suffix}");
        let x = self.tensors.batch(&key("token_ids"), &key("padding_mask"));
        let weights = self.tensors.floats(&key("sample_weight"));
        let width = x.sequence_length();
        let weights = weights.values.chunks(width);
        TrainingBatch::new(x, self.tensors.ids(&key("targets")))
            .unwrap()
            .with_sample_weight(weights)
            .unwrap()
    }

    /// Compares all weights in a key, except for the key projection's biases. Their gradient is
    /// zero in exact arithmetic, and optimizers take steps of full size from its rounding.
    pub fn check_weights(&self, key: &str, tolerance: f32, found: &BTreeMap<String, Vec<f32>>) {
        let mut compared = 0;
        for (path, found) in found {
            let name = format!("{key}/{path}");
            if !path.ends_with("key_dense.bias") && self.tensors.has(&name) {
                check_within(tolerance, 0.0, &name, found, &self.tensors.floats(&name).values);
                compared += 1;
            }
        }
        assert!(compared >= 12, "{key}: {compared} parameters were compared");
    }
}

/// Initial model of all cases, without dropout.
pub fn start() -> Gpt2CausalLm {
    let preset = golden::preset("air_small/keras");
    let mut config = preset.config().clone();
    config.dropout = 0.0;
    let loaded = preset.backbone(&device()).unwrap();
    let mut values = BTreeMap::new();
    visit_parameters(&loaded, |path, data| {
        values.insert(path.to_owned(), data);
    })
    .unwrap();
    let backbone = Gpt2Backbone::new(&config, 0, &device()).unwrap();
    let backbone = update_parameters(backbone, |path, _, old| {
        Tensor::<1>::from_data(
            TensorData::new(values[path].clone().try_into_vec::<f32>().unwrap(), old.dims()),
            &device(),
        )
    });
    Gpt2CausalLm::new(backbone, None).unwrap()
}

pub fn parameters(model: &Gpt2CausalLm) -> BTreeMap<String, Vec<f32>> {
    let mut values = BTreeMap::new();
    visit_parameters(model.backbone(), |path, data| {
        values.insert(path.replace(".lora.", "."), data.try_into_vec::<f32>().unwrap());
    })
    .unwrap();
    values
}

/// Optimizer with Keras' class and arguments.
fn optimizer(case: &Value) -> Optimizer {
    let class = case["optimizer"]["class"].as_str().unwrap();
    let arguments = case["optimizer"]["kwargs"].as_object().unwrap();
    let number = |name: &str| arguments.get(name).and_then(Value::as_f64);
    let flag = |name: &str| arguments.get(name).and_then(Value::as_bool).unwrap_or_default();
    let adam = Adam { amsgrad: flag("amsgrad"), ..Adam::default() };
    let momentum = number("momentum").unwrap_or_default();
    let rate = 0.0;
    let mut optimizer = match class {
        "Adam" => Optimizer::new(adam, rate),
        "AdamW" => Optimizer::new(AdamW(adam), rate),
        "SGD" => Optimizer::new(Sgd { momentum, nesterov: flag("nesterov") }, rate),
        "Adafactor" => Optimizer::new(Adafactor::default(), rate),
        "Lion" => Optimizer::new(Lion::default(), rate),
        "RMSprop" => {
            let rule = RmsProp { momentum, centered: flag("centered"), ..RmsProp::default() };
            Optimizer::new(rule, rate)
        }
        other => panic!("no optimizer {other}"),
    };
    optimizer = match number("learning_rate") {
        Some(rate) => optimizer.with_learning_rate(rate),
        None => {
            let schedule = &arguments["learning_rate"]["kwargs"];
            let of = |name: &str| schedule[name].as_f64().unwrap();
            let steps = |name: &str| schedule[name].as_u64().unwrap();
            optimizer.with_learning_rate(
                CosineDecay::new(of("initial_learning_rate"), steps("decay_steps"))
                    .with_warmup(of("warmup_target"), steps("warmup_steps"))
                    .with_alpha(of("alpha")),
            )
        }
    };
    if let Some(decay) = number("weight_decay") {
        optimizer = optimizer.with_weight_decay(decay);
    }
    if let Some(bound) = number("clipnorm") {
        optimizer = optimizer.with_clipnorm(bound);
    }
    if let Some(bound) = number("global_clipnorm") {
        optimizer = optimizer.with_global_clipnorm(bound);
    }
    if let Some(bound) = number("clipvalue") {
        optimizer = optimizer.with_clipvalue(bound);
    }
    if let Some(steps) = number("gradient_accumulation_steps") {
        optimizer = optimizer.with_gradient_accumulation_steps(steps as u64);
    }
    if flag("use_ema") {
        optimizer = optimizer.with_ema(ExponentialMovingAverage {
            momentum: number("ema_momentum").unwrap(),
            overwrite_frequency: number("ema_overwrite_frequency").map(|steps| steps as u64),
        });
    }
    if let Some(names) = case["exclude_var_names"].as_array() {
        let names = names.iter().map(|name| name.as_str().unwrap());
        optimizer = optimizer.excluding_from_weight_decay(names);
    }
    optimizer
}

pub fn compile(model: &mut Gpt2CausalLm, optimizer: Optimizer) {
    model.compile(CompileOptions::new().with_optimizer(optimizer)).unwrap();
}

#[test]
fn loss_metrics_and_every_gradient_are_keras_hubs() {
    let golden = Golden::read("expected");
    let mut model = start();
    let metrics = [Metric::SparseCategoricalAccuracy, Metric::Perplexity];
    for checkpointing in [false, true] {
        let options = CompileOptions::new().with_weighted_metrics(metrics);
        model.compile(options.with_gradient_checkpointing(checkpointing)).unwrap();
        let (logs, gradients) = model.gradients(&golden.batch(1)).unwrap();
        let expected = &golden.json["start"];
        for (ours, keras, tolerance) in [
            ("loss", "loss", 1e-5),
            ("sparse_categorical_accuracy", "accuracy", 1e-6),
            ("perplexity", "perplexity", 1e-3),
        ] {
            let found = logs.get(ours).unwrap() as f32;
            check_within(
                tolerance,
                0.0,
                ours,
                &[found],
                &[expected[keras].as_f64().unwrap() as f32],
            );
        }
        let found: BTreeMap<String, Vec<f32>> = gradients
            .into_iter()
            .map(|(path, gradient)| (path, gradient.try_into_vec_as().unwrap()))
            .collect();
        assert_eq!(found.len(), 36);
        // Gradients are of size 0.01 to 0.5, from 32-bit sums of some dozens of terms.
        golden.check_weights("gradient", 1e-5, &found);
        for (path, gradient) in &found {
            let largest = gradient.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let zero = path.ends_with("key_dense.bias");
            assert_eq!(zero, largest < 1e-6, "{path}: {largest}");
        }
        let same = model.test_on_batch(golden.batch(1)).unwrap();
        // burn's normalisation has another order of operations if it keeps values for gradients.
        let difference = same.get("loss").unwrap() - logs.get("loss").unwrap();
        assert!(difference.abs() < 1e-6, "{difference}");
    }
}

#[test]
fn ten_steps_of_every_optimizer_are_keras() {
    let golden = Golden::read("expected");
    for (name, case) in golden.json["steps"].as_object().unwrap() {
        let mut model = start();
        compile(&mut model, optimizer(case));
        let batches = case["batches"].as_array();
        let mut losses = Vec::new();
        let mut rates = Vec::new();
        for step in 0..10 {
            let batch = batches.map_or(1, |batches| batches[step].as_u64().unwrap());
            rates.push(model.learning_rate() as f32);
            let logs = model.train_on_batch(golden.batch(batch)).unwrap();
            losses.push(logs.get("loss").unwrap() as f32);
        }
        check_within(
            0.0,
            1e-6,
            &format!("{name}: rates"),
            &rates,
            &floats(&case["learning_rates"]),
        );
        check_within(LOSS, 0.0, &format!("{name}: losses"), &losses, &floats(&case["losses"]));
        let tolerance = if name == "rmsprop_centered" { AMPLIFIED } else { WEIGHTS };
        golden.check_weights(&format!("weights/{name}"), tolerance, &parameters(&model));
        let averages: BTreeMap<String, Vec<f32>> = parameters(&model)
            .into_keys()
            .filter_map(|path| {
                let average = model.optimizer().average_of(&path)?;
                Some((path, average.try_into_vec_as().unwrap()))
            })
            .collect();
        assert_eq!(averages.is_empty(), !name.contains("ema"));
        if !averages.is_empty() {
            golden.check_weights(&format!("ema/{name}"), WEIGHTS, &averages);
        }
    }
}

#[test]
fn lora_learns_as_keras_hubs_and_merges() {
    let golden = Golden::read("expected");
    for name in ["lora", "lora_all"] {
        let case = &golden.json[name];
        let mut model = start();
        let targets = case["target_layer_names"].as_array();
        let rank = case["rank"].as_u64().unwrap() as usize;
        let mut config = LoraConfig::new(rank).with_seed(0);
        if let Some(names) = targets {
            config =
                config.with_target_layer_names(names.iter().map(|name| name.as_str().unwrap()));
        }
        model.enable_lora(config).unwrap();
        let mut trainable: Vec<String> = model.backbone().trainable_parameters();
        trainable.iter_mut().for_each(|path| *path = path.replace(".lora.", "."));
        trainable.sort();
        let mut expected = golden::strings(&case["trainable"]);
        expected.sort();
        assert_eq!(trainable, expected);

        // KerasHub's random initial values, in place of this library's.
        let mut drawn = 0;
        let backbone = update_parameters(model.backbone().clone(), |path, _, old| {
            let key = format!("{name}/initial/{}", path.replace(".lora.", "."));
            if !golden.tensors.has(&key) {
                return old;
            }
            let limit = case["he_uniform_limits"][&path.replace(".lora.", ".")].as_f64().unwrap();
            let ours: Vec<f32> = old.clone().try_into_vec_as().unwrap();
            let largest = ours.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            assert!(largest <= limit as f32 && largest > 0.7 * limit as f32, "{path}: {largest}");
            drawn += 1;
            let values = golden.tensors.floats(&key).values;
            Tensor::from_data(TensorData::new(values, old.dims()), &device())
        });
        assert!(drawn >= 4);
        model.set_backbone(backbone).unwrap();
        let before = parameters(&model);
        compile(&mut model, optimizer(case));
        let batch = golden.batch(1);
        let losses: Vec<f32> = (0..10)
            .map(|_| model.train_on_batch(&batch).unwrap().get("loss").unwrap() as f32)
            .collect();
        check_within(AMPLIFIED, 0.0, name, &losses, &floats(&case["losses"]));
        golden.check_weights(&format!("{name}/final"), AMPLIFIED, &parameters(&model));
        for (path, values) in parameters(&model) {
            assert_eq!(values == before[&path], !expected.contains(&path), "{path}");
        }
        let logits = |model: &Gpt2CausalLm| golden::values(model.score_logits(&batch.x).unwrap());
        let expected = golden.tensors.floats(&format!("{name}/logits")).values;
        // Logits of size 5, with the noise of ten steps in addition to the forward pass'.
        check_within(5e-4, 0.0, "logits after LoRA", &logits(&model), &expected);
        let side_path = logits(&model);
        model.merge_lora();
        check_within(2e-5, 0.0, "merged", &logits(&model), &side_path);
    }
}
