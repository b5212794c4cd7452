//! The callback that saves the model: when and where it saves, and its errors.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use burn::module::Param;
use gpt2_backbone::{Activation, Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FromPreset, ModelCheckpoint};
use gpt2_task::callbacks::{LambdaCallback, MonitorMode};
use gpt2_task::testing::{model, tokenizer};
use gpt2_task::{Callback, FitOptions, Gpt2CausalLm, TaskError};

use crate::saving::KERAS_FILES;
use crate::saving::files;
use crate::support::{chain, device};

/// Trains one epoch for each score. The model stores the number of its epoch.
fn train(
    model: &mut Gpt2CausalLm,
    checkpoint: &mut ModelCheckpoint,
    scores: &[f64],
) -> Result<(), TaskError> {
    let mut remember = LambdaCallback::new().with_on_epoch_end(|epoch, logs, trainer| {
        logs.set("score", scores[epoch]);
        let mut backbone = trainer.model().backbone().clone();
        let beta = &mut backbone.layer_norm.beta;
        *beta = Param::from_tensor(beta.val().zeros_like().add_scalar(epoch as f32));
        trainer.model_mut().set_backbone(backbone)?;
        Ok(())
    });
    let options = FitOptions::new().with_epochs(scores.len()).with_callback(&mut remember);
    model.fit([" airplane at airport"], options.with_callback(checkpoint)).map(|_| ())
}

/// The epoch of a saved model.
fn epoch_of(folder: &Path) -> usize {
    let saved = Gpt2Backbone::from_preset_with(folder.to_str().unwrap(), &device()).unwrap();
    saved.layer_norm.beta.val().into_data().try_into_vec::<f32>().unwrap()[0] as usize
}

fn scored(folder: &Path) -> ModelCheckpoint {
    ModelCheckpoint::new(folder).with_monitor("score").with_mode(MonitorMode::Max)
}

#[test]
fn the_last_and_the_best_model_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = scored(folder.path());
    train(&mut model(), &mut checkpoint, &[0.1, 0.5, 0.5, f64::NAN, 0.2]).unwrap();
    assert_eq!((epoch_of(&checkpoint.last_path()), epoch_of(&checkpoint.best_path())), (4, 1));
    assert_eq!(checkpoint.best(), Some(0.5));
    assert_eq!(files(&folder.path().join("best")).into_keys().collect::<Vec<_>>(), KERAS_FILES);

    let mut checkpoint = scored(folder.path()).with_mode(MonitorMode::Min);
    train(&mut model(), &mut checkpoint, &[0.4, 0.5, 0.3, 0.6]).unwrap();
    assert_eq!((epoch_of(&checkpoint.last_path()), epoch_of(&checkpoint.best_path())), (3, 2));
}

#[test]
fn one_of_the_two_may_be_left_out() {
    let saves = |make: fn(ModelCheckpoint) -> ModelCheckpoint| {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = make(ModelCheckpoint::new(folder.path()));
        train(&mut model(), &mut checkpoint, &[0.1, 0.2]).unwrap();
        (checkpoint.last_path().exists(), checkpoint.best_path().exists())
    };
    assert_eq!(saves(|checkpoint| checkpoint), (true, false));
    assert_eq!(saves(|checkpoint| checkpoint.with_monitor("loss")), (true, true));
    let best_only = |checkpoint: ModelCheckpoint| checkpoint.with_save_best_only(true);
    assert_eq!(
        saves(|checkpoint| checkpoint.with_save_last(false).with_monitor("loss")),
        (false, true)
    );
    assert_eq!(
        saves(|checkpoint| checkpoint.with_monitor("loss").with_save_best_only(true)),
        (false, true)
    );

    let folder = tempfile::tempdir().unwrap();
    let mut nothing = ModelCheckpoint::new(folder.path()).with_save_last(false);
    let error = chain(&train(&mut model(), &mut nothing, &[0.1]).unwrap_err());
    assert!(error.contains("`monitor`"), "{error}");
    let mut keras_default = best_only(ModelCheckpoint::new(folder.path()));
    let error = chain(&train(&mut model(), &mut keras_default, &[0.1]).unwrap_err());
    assert!(error.contains("found `val_loss`"), "there is no validation: {error}");
}

#[test]
fn a_number_of_an_earlier_training_must_be_improved_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = scored(folder.path());
    train(&mut model(), &mut first, &[0.1, 0.5]).unwrap();

    // As a resumed training does.
    let mut second = scored(folder.path());
    second.restore(first.state()).unwrap();
    train(&mut model(), &mut second, &[0.4, 0.3, 0.5]).unwrap();
    assert_eq!((epoch_of(&second.best_path()), second.best()), (1, Some(0.5)));

    let mut third = scored(folder.path()).with_initial_value_threshold(0.45);
    train(&mut model(), &mut third, &[0.4, 0.3, 0.44]).unwrap();
    assert_eq!((epoch_of(&third.best_path()), epoch_of(&third.last_path())), (1, 2));
    // Another training, without a previous one.
    train(&mut model(), &mut second, &[0.1]).unwrap();
    assert_eq!((epoch_of(&second.best_path()), second.best()), (0, Some(0.1)));
}

#[test]
fn what_cannot_be_saved_is_known_before_the_first_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    // Without scores: training an epoch would fail.
    let options = |checkpoint| FitOptions::new().with_callback(checkpoint);
    let mut blocked = ModelCheckpoint::new(&file);
    let error = chain(&model().fit([" airplane"], options(&mut blocked)).unwrap_err());
    assert!(error.contains("cannot save") && error.contains(file.to_str().unwrap()), "{error}");

    let vocabulary_size = tokenizer().vocabulary_size();
    let config = Gpt2BackboneConfig {
        activation: Activation::Relu,
        ..Gpt2BackboneConfig::new(vocabulary_size, 1, 2, 4, 8).with_max_sequence_length(8)
    };
    let backbone = Gpt2Backbone::new(&config, 42, &device()).unwrap();
    let mut inexpressible = Gpt2CausalLm::new(backbone, model().preprocessor().cloned()).unwrap();
    let mut checkpoint = ModelCheckpoint::new(folder.path().join("new"));
    let begun = Cell::new(false);
    let mut note = LambdaCallback::new().with_on_epoch_begin(|_, _| {
        begun.set(true);
        Ok(())
    });
    let options = options(&mut checkpoint).with_callback(&mut note);
    let error = chain(&inexpressible.fit([" airplane"], options).unwrap_err());
    assert!(error.contains("new`") && error.contains("`activation`"), "{error}");
    assert!(!begun.get() && !folder.path().join("new").exists());
}
