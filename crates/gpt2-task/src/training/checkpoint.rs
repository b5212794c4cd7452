//! Checkpoint: the complete state of a training, to resume it as if it had not stopped.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use gpt2_backbone::{Gpt2Backbone, try_update_parameters, visit_tensors};
use serde_json::{Value, json};

use super::callbacks::callback::{Callback, CallbackState};
use super::state::FitState;
use crate::causal_lm::Gpt2CausalLm;
use crate::error::{BoxError, TaskError};

/// State of a training between two steps.
#[derive(Debug, Clone, Default)]
pub struct TrainingCheckpoint {
    /// Settings, counters, positions and sums.
    pub state: Value,
    /// Flat tensors: weights (`weights/…`), the optimizer's moments (`optimizer/…`) and the state
    /// of callbacks (`callbacks/…`).
    pub tensors: BTreeMap<String, Tensor<1>>,
}

/// Store of the last checkpoint of `fit`. `gpt2-presets` has one that uses a folder.
pub trait CheckpointStore {
    /// Replaces the last checkpoint with this one, completely or not at all.
    ///
    /// # Errors
    ///
    /// Failures to write. The last checkpoint is unchanged then.
    fn save(&mut self, checkpoint: &TrainingCheckpoint) -> Result<(), BoxError>;

    /// Loads the last checkpoint, with its tensors on `device`. None if there is none.
    ///
    /// # Errors
    ///
    /// Failures to read.
    fn load(&mut self, device: &Device) -> Result<Option<TrainingCheckpoint>, BoxError>;

    /// Removes the last checkpoint after the end of the training.
    ///
    /// # Errors
    ///
    /// Failures to remove it.
    fn clear(&mut self) -> Result<(), BoxError>;
}

impl TrainingCheckpoint {
    /// Takes the state of a training.
    pub(crate) fn of(
        model: &Gpt2CausalLm,
        settings: &Value,
        fit: &FitState,
        callbacks: &[&mut dyn Callback],
    ) -> Self {
        let optimizer = &model.training_setup().optimizer;
        let mut tensors = BTreeMap::new();
        let mut keep = |prefix: &str, backbone: &Gpt2Backbone| {
            visit_tensors(backbone, |path, parameter| {
                tensors.insert(format!("{prefix}/{path}"), parameter.values);
            });
        };
        keep("weights", model.backbone());
        let mut states = Vec::new();
        for (index, callback) in callbacks.iter().enumerate() {
            let CallbackState { json, weights } = callback.state();
            if let Some(weights) = &weights {
                keep(&format!("callbacks/{index}"), weights);
            }
            states.push(json!({
                "name": callback.name(),
                "state": json,
                "weights": weights.is_some(),
            }));
        }
        let rule = optimizer.rule_state(&model.backbone().device());
        let counters = optimizer.counters(&rule);
        for (name, tensor) in optimizer.tensors(rule, model.backbone()) {
            tensors.insert(format!("optimizer/{name}"), tensor);
        }
        let state = json!({
            "settings": settings,
            "fit": fit,
            "optimizer": counters,
            "callbacks": states,
        });
        Self { state, tensors }
    }

    /// Restores a model, its optimizer and the callbacks to this state, and returns the progress of
    /// the training.
    ///
    /// # Errors
    ///
    /// [`TaskError::ResumeMismatch`] for another model, optimizer, other data or settings. Nothing
    /// is changed then.
    pub(crate) fn restore(
        mut self,
        model: &mut Gpt2CausalLm,
        settings: &Value,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<FitState, TaskError> {
        compare(&self.state["settings"], settings)?;
        let fit = serde_json::from_value(self.state["fit"].take())
            .map_err(|error| mismatch(format!("the state of the training ({error})")))?;
        let states = self.callback_states(callbacks, model)?;
        let backbone = self.weights("weights", model.backbone())?;
        let prefix = "optimizer/";
        let optimizer = self.tensors.split_off(prefix);
        let strip =
            |(name, tensor): (String, _)| Some((name.strip_prefix(prefix)?.to_owned(), tensor));
        let optimizer = optimizer.into_iter().filter_map(strip).collect();
        let counters = self.state["optimizer"].take();
        model.restore_training(backbone, &counters, optimizer)?;
        for (callback, state) in callbacks.iter_mut().zip(states) {
            callback.restore(state).map_err(|source| TaskError::Callback {
                name: callback.name().to_owned(),
                source,
            })?;
        }
        Ok(fit)
    }

    fn callback_states(
        &mut self,
        callbacks: &[&mut dyn Callback],
        model: &Gpt2CausalLm,
    ) -> Result<Vec<CallbackState>, TaskError> {
        let Value::Array(states) = self.state["callbacks"].take() else {
            return Err(mismatch("the callbacks".to_owned()));
        };
        let stored = states.iter().map(|state| state["name"].as_str().unwrap_or_default());
        let stored: Vec<&str> = stored.collect();
        let present: Vec<&str> = callbacks.iter().map(|callback| callback.name()).collect();
        if stored != present {
            let what = format!("callbacks: were {stored:?}, are {present:?}");
            return Err(mismatch(what));
        }
        let mut restored = Vec::new();
        for (index, mut state) in states.into_iter().enumerate() {
            let weights = match state["weights"].as_bool() {
                Some(true) => Some(self.weights(&format!("callbacks/{index}"), model.backbone())?),
                _ => None,
            };
            restored.push(CallbackState { json: state["state"].take(), weights });
        }
        Ok(restored)
    }

    /// Model with the tensors under a prefix as its weights.
    fn weights(&mut self, prefix: &str, like: &Gpt2Backbone) -> Result<Gpt2Backbone, TaskError> {
        try_update_parameters(like.clone(), |path, _, old| {
            let name = format!("{prefix}/{path}");
            match self.tensors.remove(&name) {
                Some(tensor) if tensor.dims() == old.dims() => Ok(tensor),
                Some(_) => Err(mismatch(format!("the size of `{name}`"))),
                None => Err(mismatch(format!("the tensor `{name}`, which is missing"))),
            }
        })
    }
}

fn mismatch(what: String) -> TaskError {
    TaskError::ResumeMismatch { what }
}

/// Lists all settings that differ.
fn compare(stored: &Value, present: &Value) -> Result<(), TaskError> {
    let mut changes = Vec::new();
    for (name, present) in present.as_object().into_iter().flatten() {
        // A random seed is taken from the checkpoint.
        let chance = name == "seed" && present.is_null();
        if !chance {
            differences(name, &stored[name], present, &mut changes);
        }
    }
    if changes.is_empty() { Ok(()) } else { Err(mismatch(changes.join(", "))) }
}

/// Lists the numbers and texts that differ, with their paths.
fn differences(path: &str, stored: &Value, present: &Value, changes: &mut Vec<String>) {
    match (stored, present) {
        _ if stored == present => {}
        (Value::Object(old), Value::Object(new)) if old.keys().eq(new.keys()) => {
            for (name, present) in new {
                differences(&format!("{path}.{name}"), &old[name], present, changes);
            }
        }
        _ => changes.push(format!("{path}: was {stored}, is {present}")),
    }
}
