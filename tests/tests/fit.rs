//! `fit` and `evaluate`: histories equal to KerasHub's, and interrupted trainings.

use std::collections::BTreeMap;
use std::error::Error;
use std::iter::successors;

use burn::optim::{LambConfig, SgdConfig};
use burn::tensor::Device;
use gpt2_task::callbacks::{EarlyStopping, LambdaCallback, ReduceLrOnPlateau, TerminateOnNan};
use gpt2_task::optimizers::{Adam, BurnOptimizer, ExponentialMovingAverage, Optimizer, Sgd};
use gpt2_task::{
    BoxError, Callback, CheckpointStore, CompileOptions, Dataset, FitOptions, Gpt2CausalLm,
    History, Logs, LoraConfig, Metric, Precision, Reduction, SparseCategoricalCrossentropy,
    TaskError, TokenBatch, Trainer, TrainingBatch, TrainingCheckpoint, TrainingData,
    ValidationFreq, testing,
};
use serde_json::Value;

use crate::golden::{check_within, floats, id_rows, mask_rows, preset, strings, values};
use crate::training::{Golden, compile, parameters, start};

/// Tolerance of a history's values: see `golden/training/README.md`.
const TOLERANCE: f32 = 2e-5;

/// The model with the preprocessor of the golden data, for rows of 12 tokens.
fn with_text() -> Gpt2CausalLm {
    let mut model = start();
    let mut preprocessor = preset("air_small/keras").preprocessor().unwrap();
    preprocessor.set_sequence_length(12).unwrap();
    model.set_preprocessor(Some(preprocessor)).unwrap();
    model
}

fn adam(learning_rate: f64) -> Optimizer {
    Optimizer::new(Adam::default(), learning_rate)
}

fn check_history(label: &str, tolerance: f32, found: &History, expected: &Value) {
    let epochs: Vec<usize> = serde_json::from_value(expected["epoch"].clone()).unwrap();
    assert_eq!(found.epoch, epochs, "{label}");
    let expected = expected["history"].as_object().unwrap();
    assert_eq!(found.history.len(), expected.len(), "{label}: {found:?}");
    for (name, values) in expected {
        let found = found.get(name).unwrap_or_else(|| panic!("{label} has no {name}: {found:?}"));
        let found: Vec<f32> = found.iter().map(|&value| value as f32).collect();
        check_within(tolerance, 0.0, &format!("{label}: {name}"), &found, &floats(values));
    }
}

fn check_logs(label: &str, found: &Logs, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        let found = found.get(name).unwrap() as f32;
        check_within(TOLERANCE, 0.0, label, &[found], &[value.as_f64().unwrap() as f32]);
    }
}

/// The golden data's two batches as six examples.
fn arrays(golden: &Golden) -> TrainingBatch {
    let all = |name: &str| [golden.tensors.ids(name), golden.tensors.ids(&format!("{name}_2"))];
    let mask = [golden.tensors.mask("padding_mask"), golden.tensors.mask("padding_mask_2")];
    let weights = ["sample_weight", "sample_weight_2"].map(|name| {
        golden.tensors.floats(name).values.chunks(12).map(<[f32]>::to_vec).collect::<Vec<_>>()
    });
    let x = TokenBatch::new(all("token_ids").concat(), mask.concat()).unwrap();
    TrainingBatch::new(x, all("targets").concat())
        .unwrap()
        .with_sample_weight(weights.concat())
        .unwrap()
}

#[test]
fn texts_give_the_history_and_the_weights_of_keras_hub() {
    let golden = Golden::read("fit");
    let case = &golden.json["strings"];
    let texts = strings(&golden.json["texts"]);
    let validation = strings(&golden.json["validation_texts"]);
    let mut model = with_text();

    let packed = model.preprocessor().unwrap().preprocess(&texts).unwrap();
    let expected = &golden.json["preprocessed"];
    assert_eq!(packed.x.token_ids(), id_rows(&expected["token_ids"]));
    assert_eq!(packed.x.padding_mask(), mask_rows(&expected["padding_mask"]));
    assert_eq!(packed.y, id_rows(&expected["y"]));

    compile(&mut model, adam(1e-3));
    let before = model.evaluate(&validation, 2).unwrap();
    check_logs("before", &before, &case["evaluate_before"]);
    let options = FitOptions::new()
        .with_batch_size(2)
        .with_epochs(2)
        .with_shuffle(false)
        .with_validation_data(&validation);
    let history = model.fit(&texts, options).unwrap();
    check_history("strings", TOLERANCE, &history, case);
    golden.check_weights("strings", TOLERANCE, &parameters(&model));
    assert_eq!(model.optimizer().iterations(), 6);
    let after = model.evaluate(&validation, 2).unwrap();
    check_logs("after", &after, &case["evaluate_after"]);
}

#[test]
fn the_loss_of_an_epoch_weighs_batches_by_their_rows() {
    let golden = Golden::read("fit");
    let texts = strings(&golden.json["texts"]);
    for case in golden.json["batch_sizes"].as_array().unwrap() {
        let mut model = with_text();
        compile(&mut model, adam(1e-3));
        let mut options = FitOptions::new().with_shuffle(false);
        if let Some(batch_size) = case["batch_size"].as_u64() {
            options = options.with_batch_size(batch_size as usize);
        }
        let history = model.fit(&texts, options).unwrap();
        check_history(&case["batch_size"].to_string(), TOLERANCE, &history, case);
    }
}

#[test]
fn token_ids_with_weights_and_every_way_of_validation() {
    let (golden, batches) = (Golden::read("fit"), Golden::read("expected"));
    let cases = golden.json["validation"].as_array().unwrap();
    for case in cases.iter().chain([&golden.json["arrays"]]) {
        let mut model = start();
        compile(&mut model, adam(1e-3));
        let arguments = &case["arguments"];
        let count = |name: &str| arguments[name].as_u64().map(|count| count as usize);
        let mut options = FitOptions::new()
            .with_shuffle(false)
            .with_batch_size(count("batch_size").unwrap())
            .with_epochs(count("epochs").unwrap())
            .with_validation_split(arguments["validation_split"].as_f64().unwrap_or_default());
        if let Some(epoch) = count("initial_epoch") {
            options = options.with_initial_epoch(epoch);
        }
        // KerasHub ignores `validation_batch_size`: cases with it run without it.
        if let Some(steps) = count("validation_steps") {
            options = options.with_validation_steps(steps);
        }
        if let Some(epochs) = count("validation_freq") {
            options = options.with_validation_freq(ValidationFreq::Every(epochs));
        } else if let Some(epochs) = arguments["validation_freq"].as_array() {
            let epochs = epochs.iter().map(|epoch| epoch.as_u64().unwrap() as usize).collect();
            options = options.with_validation_freq(ValidationFreq::Epochs(epochs));
        }
        let history = model.fit(arrays(&batches), options).unwrap();
        check_history(&arguments.to_string(), TOLERANCE, &history, case);
    }
    let mut model = start();
    compile(&mut model, adam(1e-3));
    let options = FitOptions::new().with_shuffle(false).with_batch_size(2).with_epochs(2);
    let history = model.fit(arrays(&batches), options.with_steps_per_epoch(2)).unwrap();
    check_history("steps_per_epoch", TOLERANCE, &history, &golden.json["steps_per_epoch"]);
    golden.check_weights("steps_per_epoch", TOLERANCE, &parameters(&model));
}

#[test]
fn validation_has_a_batch_size_of_its_own() {
    let mut model = start();
    let data = arrays(&Golden::read("expected"));
    let mut loss = |size| {
        let options = FitOptions::new().with_shuffle(false).with_validation_steps(1);
        let options = options.with_validation_data(data.clone()).with_validation_batch_size(size);
        compile(&mut model, adam(0.0));
        model.fit(data.clone(), options).unwrap().get("val_loss").unwrap()[0]
    };
    let (one, six) = (loss(1), loss(6));
    assert_eq!(six, model.evaluate(data.clone(), 6).unwrap().get("loss").unwrap());
    assert_eq!(one, model.evaluate_steps(data.clone(), 1, 1).unwrap().get("loss").unwrap());
    assert_ne!(one, six);
}

#[test]
fn early_stopping_and_plateaus_act_as_in_keras() {
    let golden = Golden::read("fit");
    let texts = strings(&golden.json["texts"]);
    let validation = strings(&golden.json["validation_texts"]);
    let options = |epochs: &Value| {
        FitOptions::new()
            .with_batch_size(2)
            .with_shuffle(false)
            .with_epochs(epochs.as_u64().unwrap() as usize)
    };

    let case = &golden.json["early_stopping"];
    let mut model = with_text();
    compile(&mut model, adam(0.1));
    let mut stopping = EarlyStopping::new("val_loss").with_restore_best_weights(true);
    let options_now = options(&case["epochs"]).with_validation_data(&validation);
    let history = model.fit(&texts, options_now.with_callback(&mut stopping)).unwrap();
    // A learning rate of 0.1 turns noise in the seventh digit into 2e-4; the accuracy is a multiple
    // of 1/20.
    check_history("early_stopping", 2e-3, &history, case);
    let after = model.evaluate(&validation, 2).unwrap().get("loss").unwrap();
    let best = history.get("val_loss").unwrap()[case["best_epoch"].as_u64().unwrap() as usize];
    assert_eq!(after, best);

    let case = &golden.json["reduce_lr_on_plateau"];
    let mut model = with_text();
    compile(&mut model, adam(1e-3));
    let mut plateau =
        ReduceLrOnPlateau::new("loss").with_factor(0.5).with_patience(0).with_min_delta(10.0);
    let history = model.fit(&texts, options(&case["epochs"]).with_callback(&mut plateau)).unwrap();
    check_history("reduce_lr_on_plateau", TOLERANCE, &history, case);
    let rate = case["rate_at_end"].as_f64().unwrap() as f32;
    check_within(0.0, 1e-6, "rate", &[model.learning_rate() as f32], &[rate]);
}

#[test]
fn callbacks_wait_for_the_epochs_with_validation() {
    let mut model = testing::model();
    compile(&mut model, adam(1e-3));
    let mut stopping = EarlyStopping::new("val_loss").with_patience(2);
    let options = FitOptions::new()
        .with_epochs(6)
        .with_validation_data(TEXTS)
        .with_validation_freq(ValidationFreq::Every(2));
    let history = model.fit(TEXTS, options.with_callback(&mut stopping)).unwrap();
    assert_eq!(history.get("val_loss").unwrap().len(), 3);
    assert_eq!(stopping.best_epoch(), Some(5));

    let mut stopping = EarlyStopping::new("val_loss");
    let error = model.fit(TEXTS, FitOptions::new().with_callback(&mut stopping)).unwrap_err();
    let text = with_causes(&error);
    assert!(text.contains("`loss`"), "it names what there is: {text}");
}

#[test]
fn averages_take_the_place_of_the_weights_at_the_end() {
    let golden = Golden::read("fit");
    let case = &golden.json["ema"];
    let texts = strings(&golden.json["texts"]);
    let validation = strings(&golden.json["validation_texts"]);
    let mut model = with_text();
    let ema = ExponentialMovingAverage { momentum: 0.9, overwrite_frequency: None };
    compile(&mut model, adam(1e-3).with_ema(ema));
    let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_shuffle(false);
    let history = model.fit(&texts, options.with_validation_data(&validation)).unwrap();
    check_history("ema", TOLERANCE, &history, case);
    golden.check_weights("ema", TOLERANCE, &parameters(&model));
    let after = model.evaluate(&validation, 2).unwrap();
    check_logs("ema", &after, &case["evaluate_after"]);
}

/// Texts of the tiny vocabulary of [`testing`].
const TEXTS: [&str; 7] = [
    " airplane at airport",
    " a plane",
    " the port",
    " airport",
    " at a port",
    " plane at plane",
    " a",
];

/// Owned texts, borrowed texts and an iterator of texts give the same training.
#[test]
fn texts_of_any_kind_give_the_same_weights() {
    let trained = |data: TrainingData<'_>| {
        let mut model = with_text();
        model.compile(CompileOptions::new().with_optimizer(adam(1e-2))).unwrap();
        let options = FitOptions::new().with_batch_size(3).with_epochs(2).with_shuffle(false);
        let history = model.fit(data, options.with_seed(5)).unwrap();
        (history, parameters(&model))
    };
    let expected = trained((&TEXTS).into());
    assert!(trained(TEXTS.into()) == expected, "an array");
    let owned: Vec<String> = TEXTS.map(str::to_owned).into();
    assert!(trained(owned.clone().into()) == expected, "a vector of strings");
    let stream = || owned.iter().cloned();
    assert!(trained(TrainingData::texts(stream)) == expected, "an iterator of strings");
    assert!(trained(TrainingData::texts(|| TEXTS)) == expected, "an iterator of borrowed texts");
    let nothing = TrainingData::texts(|| [""; 0]);
    let error = with_text().evaluate(nothing, 2).unwrap_err();
    assert!(matches!(error, TaskError::EmptyTrainingData { .. }));
}

/// A checkpoint in memory.
#[derive(Default)]
struct Memory(Option<TrainingCheckpoint>);

impl CheckpointStore for Memory {
    fn save(&mut self, checkpoint: &TrainingCheckpoint) -> Result<(), BoxError> {
        // Serialised to text and back, as in a file: numbers must stay exact.
        let text = serde_json::to_string(&checkpoint.state)?;
        let state = serde_json::from_str(&text)?;
        self.0 = Some(TrainingCheckpoint { state, tensors: checkpoint.tensors.clone() });
        Ok(())
    }

    fn load(&mut self, _: &Device) -> Result<Option<TrainingCheckpoint>, BoxError> {
        Ok(self.0.clone())
    }

    fn clear(&mut self) -> Result<(), BoxError> {
        self.0 = None;
        Ok(())
    }
}

/// Fails at a step, as if the process had been killed there.
struct Interruption {
    steps_left: usize,
}

impl Callback for Interruption {
    fn name(&self) -> &str {
        "interruption"
    }

    fn on_train_batch_end(
        &mut self,
        _: usize,
        _: &Logs,
        _: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        match self.steps_left.checked_sub(1) {
            Some(left) => self.steps_left = left,
            None => return Err("interrupted".into()),
        }
        Ok(())
    }
}

/// A training with everything that has state: dropout, shuffling, gradient accumulation, weight
/// averages, a validation split, a plateau, and early stopping that restores weights.
fn train(
    store: &mut Memory,
    steps_left: usize,
    lora: bool,
) -> Result<(History, Gpt2CausalLm), TaskError> {
    let mut model = testing::model();
    if lora {
        model.enable_lora(LoraConfig::new(2).with_seed(3))?;
    }
    let ema = ExponentialMovingAverage { momentum: 0.8, overwrite_frequency: Some(4) };
    let optimizer = adam(1e-2).with_gradient_accumulation_steps(2).with_ema(ema);
    let metrics = [Metric::SparseCategoricalAccuracy, Metric::Perplexity];
    let options = CompileOptions::new().with_weighted_metrics(metrics);
    model.compile(options.with_optimizer(optimizer))?;
    let mut interruption = Interruption { steps_left };
    let mut plateau = ReduceLrOnPlateau::new("loss").with_patience(0).with_min_delta(1.0);
    let mut stopping =
        EarlyStopping::new("val_loss").with_patience(9).with_restore_best_weights(true);
    let options = FitOptions::new()
        .with_batch_size(2)
        .with_epochs(3)
        .with_seed(5)
        .with_validation_split(0.3)
        .with_callback(&mut interruption)
        .with_callback(&mut plateau)
        .with_callback(&mut stopping)
        .with_backup(store, Some(2));
    let history = model.fit(TEXTS, options)?;
    Ok((history, model))
}

#[test]
fn an_interrupted_training_ends_with_the_same_bits() {
    for lora in [false, true] {
        let (history, model) = train(&mut Memory::default(), usize::MAX, lora).unwrap();
        assert_eq!(history.epoch, [0, 1, 2]);
        let expected = parameters(&model);
        // An epoch has two batches.
        for steps in 0..6 {
            let mut store = Memory::default();
            let error = train(&mut store, steps, lora).err().expect("it is interrupted");
            assert!(matches!(error, TaskError::Callback { .. }), "{error}");
            let (resumed, model) = train(&mut store, usize::MAX, lora).unwrap();
            assert_eq!(resumed, history, "interrupted after {steps} steps");
            assert_eq!(parameters(&model), expected, "interrupted after {steps} steps");
            assert!(store.0.is_none(), "a training that has ended leaves no checkpoint");
        }
        // Repeated interruptions, each one step after the last checkpoint.
        let mut store = Memory::default();
        let mut interruptions = 0;
        let (resumed, model) = loop {
            match train(&mut store, 2, lora) {
                Ok(done) => break done,
                Err(_) => interruptions += 1,
            }
            assert!(interruptions < 10, "it gets on");
        };
        assert!(interruptions >= 2);
        assert_eq!(resumed, history);
        assert_eq!(parameters(&model), expected);
    }
}

#[test]
fn a_training_that_is_interrupted_after_every_step_ends_with_the_same_weights() {
    let train = |store: &mut Memory, interrupts: bool| {
        let mut model = testing::model();
        compile(&mut model, adam(1e-2));
        let mut interruption =
            LambdaCallback::new().with_on_train_batch_end(move |_, _, trainer| {
                if interrupts {
                    trainer.interrupt_training();
                }
                Ok(())
            });
        let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_seed(1);
        let options = options.with_callback(&mut interruption).with_backup(store, None);
        model.fit(TEXTS, options).map(|history| (history, parameters(&model)))
    };
    let expected = train(&mut Memory::default(), false).unwrap();
    let mut store = Memory::default();
    for step in 1.. {
        match train(&mut store, true) {
            Err(TaskError::Interrupted { step: found }) => assert_eq!(found, step),
            Err(error) => panic!("{error}"),
            Ok(found) => {
                assert!(found == expected && step > 2, "after {step} steps");
                break;
            }
        }
    }
}

#[test]
fn burns_optimizers_train_and_are_resumed() {
    let gradient_descent = |optimizer| {
        let mut model = testing::model();
        compile(&mut model, optimizer);
        let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_seed(1);
        model.fit(TEXTS, options).unwrap();
        parameters(&model)
    };
    let burns = BurnOptimizer::new("sgd", SgdConfig::new().build());
    assert_eq!(
        gradient_descent(Optimizer::new(burns, 0.1)),
        gradient_descent(Optimizer::new(Sgd::default(), 0.1))
    );

    let train = |store: &mut Memory, steps_left: usize| {
        let mut model = testing::model();
        let lamb = BurnOptimizer::new("lamb", LambConfig::new().build());
        compile(&mut model, Optimizer::new(lamb, 1e-2));
        let mut interruption = Interruption { steps_left };
        let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_seed(1);
        let options = options.with_callback(&mut interruption).with_backup(store, Some(1));
        model.fit(TEXTS, options).map(|history| (history, parameters(&model)))
    };
    let expected = train(&mut Memory::default(), usize::MAX).unwrap();
    for steps in [1, 4] {
        let mut store = Memory::default();
        train(&mut store, steps).unwrap_err();
        assert!(train(&mut store, usize::MAX).unwrap() == expected, "after {steps} steps");
    }
}

#[test]
fn another_training_is_not_resumed() {
    let mut store = Memory::default();
    train(&mut store, 3, false).err().expect("it is interrupted");
    let error = train(&mut store, usize::MAX, true).err().unwrap().to_string();
    assert!(
        error.contains("trained parameters") && error.contains("remove the checkpoint"),
        "{error}"
    );
    for (expected, batch_size, shuffle) in
        [("batch_size: was 2, is 3", 3, true), ("shuffle", 2, false)]
    {
        let mut model = testing::model();
        let before = parameters(&model);
        let options = FitOptions::new().with_batch_size(batch_size).with_shuffle(shuffle);
        let options = options.with_validation_split(0.3).with_seed(5);
        // KerasHub's Adam differs from the checkpoint's optimizer too, but is checked later.
        let error = model.fit(TEXTS, options.with_backup(&mut store, None)).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(parameters(&model), before);
    }
    assert!(store.0.is_some(), "the checkpoint is left alone");
}

#[test]
fn a_seed_makes_trainings_repeat_themselves() {
    let train = |seed: u64, dropout: bool| {
        let mut model = testing::model();
        compile(&mut model, adam(1e-2));
        let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_seed(seed);
        model.fit(TEXTS, options.with_shuffle(!dropout)).unwrap();
        parameters(&model)
    };
    for dropout in [false, true] {
        assert_eq!(train(1, dropout), train(1, dropout));
        assert_ne!(train(1, dropout), train(2, dropout));
    }
}

#[test]
fn less_memory_gives_the_same_numbers() {
    let train = |checkpointing: bool| {
        let mut model = testing::model();
        let options = CompileOptions::new().with_optimizer(adam(1e-3));
        model.compile(options.with_gradient_checkpointing(checkpointing)).unwrap();
        let options = FitOptions::new().with_batch_size(2).with_epochs(2).with_seed(1);
        model.fit(TEXTS, options).unwrap();
        parameters(&model)
    };
    let (kept, computed_again) = (train(false), train(true));
    for (path, kept) in &kept {
        if path.ends_with("key_dense.bias") {
            continue;
        }
        // Eight steps of 1e-3: dropout is the same, the normalisation rounds differently.
        check_within(2e-5, 0.0, path, kept, &computed_again[path]);
    }
}

#[test]
fn sixteen_bits_train_nearly_as_well() {
    let train = |precision: Precision| {
        let mut model = testing::model();
        let options = CompileOptions::new().with_optimizer(adam(1e-2));
        model.compile(options.with_precision(precision)).unwrap();
        let options = FitOptions::new().with_batch_size(4).with_epochs(10).with_seed(1);
        let history = model.fit(TEXTS, options).unwrap();
        history.get("loss").unwrap().to_vec()
    };
    let exact = train(Precision::Float32);
    assert!(exact[9] < exact[0] - 0.3, "{exact:?}");
    for precision in [Precision::MixedBfloat16, Precision::MixedFloat16] {
        let found = train(precision);
        for (found, exact) in found.iter().zip(&exact) {
            // bfloat16 has three significant digits.
            assert!((found - exact).abs() < 0.03 * exact, "{precision:?}: {found} is not {exact}");
        }
        assert_ne!(found, exact, "{precision:?} is used");
    }
}

#[test]
fn padding_counts_in_keras_mean_and_not_in_the_other() {
    let model_with = |reduction| {
        let mut model = testing::model();
        let loss = SparseCategoricalCrossentropy::new(reduction);
        model.compile(CompileOptions::new().with_loss(loss)).unwrap();
        model
    };
    let batch = |length| {
        let preprocessor = testing::preprocessor();
        preprocessor.preprocess_to(&[" a plane", " port"], length).unwrap()
    };
    let loss = |reduction, length| {
        model_with(reduction).test_on_batch(batch(length)).unwrap().get("loss").unwrap()
    };
    let count = |length: usize| {
        let real: f32 = batch(length).sample_weight.concat().iter().sum();
        (f64::from(real), (2 * length) as f64)
    };
    let (real, positions) = count(7);
    assert!(real < positions);
    let sum = loss(Reduction::Sum, 7);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b, "{a} is not {b}");
    close(loss(Reduction::SumOverBatchSize, 7) * positions, sum);
    close(loss(Reduction::MeanWithSampleWeight, 7) * real, sum);
    close(loss(Reduction::MeanWithSampleWeight, 8), loss(Reduction::MeanWithSampleWeight, 7));
}

#[test]
fn a_batch_of_padding_alone_has_no_loss_and_no_gradient() {
    let x = TokenBatch::new(vec![vec![0; 4]; 2], vec![vec![false; 4]; 2]).unwrap();
    let batch = TrainingBatch::new(x, [[0; 4]; 2]).unwrap();
    let mut model = testing::model();
    for reduction in [Reduction::SumOverBatchSize, Reduction::MeanWithSampleWeight] {
        let loss = SparseCategoricalCrossentropy::new(reduction);
        let metrics = [Metric::SparseCategoricalAccuracy, Metric::Perplexity];
        model
            .compile(CompileOptions::new().with_loss(loss).with_weighted_metrics(metrics))
            .unwrap();
        let (logs, gradients) = model.gradients(&batch).unwrap();
        assert_eq!(logs.get("loss"), Some(0.0));
        for (path, gradient) in gradients {
            let values: Vec<f32> = gradient.try_into_vec_as().unwrap();
            assert!(values.iter().all(|&value| value == 0.0), "{path}");
        }
        let before = parameters(&model);
        model.train_on_batch(&batch).unwrap();
        assert_eq!(parameters(&model), before);
    }
}

#[test]
fn class_weights_multiply_the_weights_of_their_targets() {
    let preprocessor = testing::preprocessor();
    let mut batch = preprocessor.preprocess(&[" a plane", " port"]).unwrap();
    let token = batch.y[0][0];
    let train = |data: TrainingBatch, weights: Option<BTreeMap<u32, f32>>| {
        let mut model = testing::model();
        compile(&mut model, adam(1e-2));
        let mut options = FitOptions::new().with_shuffle(false).with_seed(1);
        if let Some(weights) = weights {
            options = options.with_class_weight(weights);
        }
        model.fit(data, options).unwrap();
        parameters(&model)
    };
    let weighted = train(batch.clone(), Some(BTreeMap::from([(token, 3.0)])));
    assert_ne!(weighted, train(batch.clone(), None));
    for (weights, ids) in batch.sample_weight.iter_mut().zip(&batch.y) {
        for (weight, &id) in weights.iter_mut().zip(ids) {
            *weight *= if id == token { 3.0 } else { 1.0 };
        }
    }
    assert_eq!(weighted, train(batch, None));
}

/// An error and its causes, as a program prints them.
fn with_causes(error: &dyn Error) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Examples whose read fails.
struct Broken;

impl Dataset for Broken {
    fn len(&self) -> usize {
        3
    }

    fn batch(&self, _: &[usize]) -> Result<TrainingBatch, TaskError> {
        Err(TaskError::Data("the disk is gone".into()))
    }
}

#[test]
fn bad_data_and_options_are_refused_before_anything_changes() {
    let rows = |length: usize| {
        let rows = vec![vec![1u32; length]];
        TrainingBatch::new(TokenBatch::unpadded(rows.clone()).unwrap(), rows).unwrap()
    };
    let unknown = {
        let x = TokenBatch::unpadded(vec![vec![1, 2]]).unwrap();
        TrainingBatch::new(x, vec![vec![1, 46]]).unwrap()
    };
    let none: [&str; 0] = [];
    let new = FitOptions::new;
    type Case<'a> = (TrainingData<'a>, FitOptions<'a>, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ((&none).into(), new(), "no examples"),
        (TrainingData::batches(|| []), new(), "no examples"),
        ((&TEXTS).into(), new().with_validation_data(none), "validation data have no examples"),
        ((&TEXTS).into(), new().with_validation_split(0.99), "both parts of 7 examples"),
        ((&TEXTS).into(), new().with_validation_split(1.0), "`validation_split`"),
        (TrainingData::batches(|| []), new().with_validation_split(0.5), "iterator"),
        ((&TEXTS).into(), new().with_batch_size(0), "`batch_size` must be at least 1"),
        ((&TEXTS).into(), new().with_steps_per_epoch(0), "`steps_per_epoch`"),
        (
            (&TEXTS).into(),
            new().with_validation_freq(ValidationFreq::Every(0)),
            "`validation_freq`",
        ),
        ((&TEXTS).into(), new().with_class_weight([(1, -1.0)].into()), "`class_weight`"),
        (rows(9).into(), new(), "max_sequence_length"),
        (unknown.into(), new(), "`y` holds the token id 46"),
        (TrainingData::dataset(Broken), new(), "the disk is gone"),
    ];
    let mut model = testing::model();
    let before = parameters(&model);
    for (data, options, expected) in cases {
        let message = with_causes(&model.fit(data, options).unwrap_err());
        assert!(message.contains(expected), "{message}");
        assert_eq!(parameters(&model), before, "{expected}");
    }
    let mut without_text = start();
    let error = without_text.fit(TEXTS, new()).unwrap_err();
    assert!(matches!(error, TaskError::NoPreprocessor { operation: "fit" }));
    let error = model.train_on_batch(none).unwrap_err();
    assert!(matches!(error, TaskError::EmptyTrainingData { .. }));
    model.set_trainable(&["backbone"], false).unwrap_err();
    let all = ["token_embedding", "position_embedding", "transformer_layers", "layer_norm"];
    model.set_trainable(&all, false).unwrap();
    assert!(matches!(model.fit(TEXTS, new()), Err(TaskError::NothingToTrain)));
    for weight in [-1.0, f32::NAN] {
        let x = TokenBatch::unpadded(vec![vec![1, 2]]).unwrap();
        let error = TrainingBatch::new(x, [[1, 2]]).unwrap().with_sample_weight([[1.0, weight]]);
        assert!(matches!(error, Err(TaskError::InvalidSampleWeight { position: 1, .. })));
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_and_keeps_the_checkpoint() {
    let mut store = Memory::default();
    let mut model = testing::model();
    // Weights of 1e30 overflow in the next step.
    compile(&mut model, Optimizer::new(Sgd::default(), 1e30));
    let options = FitOptions::new().with_batch_size(2).with_epochs(3).with_shuffle(false);
    let error = model.fit(TEXTS, options.with_backup(&mut store, None)).unwrap_err();
    assert!(matches!(error, TaskError::NonFiniteLoss { epoch: 0, .. }), "{error}");
    assert!(store.0.is_none(), "nothing was saved after the damage");

    // The first step's loss is that of the initial weights, and therefore finite.
    let mut model = testing::model();
    compile(&mut model, Optimizer::new(Sgd::default(), 1e30).with_weight_decay(1e30));
    let options = FitOptions::new().with_backup(&mut store, Some(1));
    let error = model.fit(TEXTS, options).unwrap_err();
    assert!(matches!(error, TaskError::NonFiniteWeights { step: 1 }), "{error}");
    assert!(store.0.is_none());
}

#[test]
fn a_training_that_is_ended_quietly_leaves_the_last_good_checkpoint() {
    let mut model = testing::model();
    compile(&mut model, adam(1e-3));
    let mut store = Memory::default();
    let mut backbone = model.backbone().clone();
    backbone.layer_norm.gamma = backbone.layer_norm.gamma.map(|gamma| gamma * f32::NAN);
    let mut spoil = LambdaCallback::new().with_on_epoch_begin(move |epoch, trainer| {
        if epoch == 1 {
            trainer.model_mut().set_backbone(backbone.clone())?;
        }
        Ok(())
    });
    let mut terminate = TerminateOnNan::new();
    let options = FitOptions::new().with_epochs(3).with_seed(1);
    let options = options.with_callback(&mut spoil).with_callback(&mut terminate);
    model.fit(TEXTS, options.with_backup(&mut store, Some(1))).unwrap();
    assert_eq!(terminate.invalid_batch(), Some(0));
    let kept = store.0.expect("the checkpoint is not removed");
    assert_eq!(kept.state["fit"]["epoch"], 1);
    let gamma: Vec<f32> =
        kept.tensors["weights/layer_norm.gamma"].clone().try_into_vec_as().unwrap();
    assert!(gamma.iter().all(|value| value.is_finite()));
}

#[test]
fn another_lora_begins_without_what_was_known_of_the_first() {
    let mut model = testing::model();
    compile(&mut model, adam(1e-2));
    for rank in [2, 2, 3] {
        model.merge_lora();
        model.enable_lora(LoraConfig::new(rank).with_seed(1)).unwrap();
        model.fit(TEXTS, FitOptions::new().with_seed(1)).unwrap();
    }
    assert_eq!(model.optimizer().iterations(), 3);
}

#[test]
fn callbacks_may_end_a_training_before_it_begins() {
    let mut model = testing::model();
    let before = parameters(&model);
    for at_train_begin in [true, false] {
        let mut stop = match at_train_begin {
            true => LambdaCallback::new().with_on_train_begin(|trainer| {
                trainer.stop_training();
                Ok(())
            }),
            false => LambdaCallback::new().with_on_epoch_begin(|_, trainer| {
                trainer.stop_training();
                Ok(())
            }),
        };
        let history = model.fit(TEXTS, FitOptions::new().with_callback(&mut stop)).unwrap();
        assert!(history.epoch.is_empty());
        assert_eq!(parameters(&model), before);
    }
}

#[test]
fn logits_come_batch_by_batch() {
    let model = testing::model();
    fn rows<'a>(model: &'a Gpt2CausalLm, data: impl Into<TrainingData<'a>>) -> Vec<usize> {
        let batches = model.predict_batches(data, 3).unwrap();
        batches.map(|logits| logits.unwrap().dims()[0]).collect()
    }
    assert_eq!(rows(&model, TEXTS), [3, 3, 1]);
    let ids = model.preprocessor().unwrap().preprocess(&TEXTS).unwrap();
    assert_eq!(rows(&model, ids), [3, 3, 1]);
    let whole = values(model.predict(&TEXTS).unwrap());
    let pieces = model.predict_batches(&TEXTS, 3).unwrap();
    let pieces: Vec<f32> = pieces.flat_map(|logits| values(logits.unwrap())).collect();
    check_within(1e-5, 0.0, "pieces", &pieces, &whole);
    assert!(model.predict_batches(&TEXTS, 0).is_err());
}

#[test]
fn an_evaluation_ends_with_its_data() {
    let model = testing::model();
    let whole = model.evaluate(TEXTS, 3).unwrap();
    assert_eq!(model.evaluate_steps(TEXTS, 3, 9).unwrap(), whole);
    assert_ne!(model.evaluate_steps(TEXTS, 3, 2).unwrap(), whole);
}
