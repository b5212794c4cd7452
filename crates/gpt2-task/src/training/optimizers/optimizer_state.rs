//! State of an optimizer in checkpoints.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use gpt2_backbone::{Gpt2Backbone, keras_shape, visit_tensors};
use serde::Deserialize;
use serde_json::{Value, json};

use super::loss_scale::LossScale;
use super::optimizer::{Optimizer, VariableState};
use super::rule::{RuleState, elements};
use crate::error::TaskError;
use crate::training::schedule::learning_rate::LearningRate;

/// Prefix of the names of a rule's state besides its slots. No parameter path begins like this.
const RULE: &str = "~rule/";

/// Counters in a checkpoint.
#[derive(Deserialize)]
struct Counters {
    iterations: u64,
    loss_scale: Option<LossScale>,
    learning_rate: LearningRate,
    rule: Value,
}

impl Optimizer {
    /// Settings and counters, for a checkpoint.
    pub(crate) fn state(&self) -> Value {
        json!({
            "rule": self.rule.name(),
            "learning_rate": self.given_learning_rate,
            "weight_decay": self.weight_decay,
            "excluded_from_weight_decay": self.excluded_from_weight_decay,
            "clipping": self.clipping,
            "accumulation_steps": self.accumulation_steps,
            "ema": self.ema,
        })
    }

    /// State of the rule besides its slots.
    pub(crate) fn rule_state(&self, device: &Device) -> RuleState {
        self.rule.state(device)
    }

    /// State that changes from step to step, except the tensors.
    pub(crate) fn counters(&self, rule: &RuleState) -> Value {
        json!({
            "iterations": self.iterations,
            "loss_scale": self.loss_scale,
            "learning_rate": self.learning_rate,
            "rule": rule.json,
        })
    }

    /// All tensors, named by the path of their variable and their own name.
    pub(crate) fn tensors(
        &self,
        rule: RuleState,
        backbone: &Gpt2Backbone,
    ) -> BTreeMap<String, Tensor<1>> {
        let mut tensors = BTreeMap::new();
        let config = backbone.config();
        visit_tensors(backbone, |path, parameter| {
            let Some(state) = self.variables.get(path) else { return };
            let slots = self.rule.slots(&keras_shape(config, path, &parameter.shape));
            let named = slots.iter().map(|(name, _)| *name).zip(&state.slots);
            let others = [("accumulated", &state.accumulated), ("average", &state.average)];
            let others = others.into_iter().filter_map(|(n, tensor)| Some((n, tensor.as_ref()?)));
            for (name, tensor) in named.chain(others) {
                tensors.insert(format!("{path}/{name}"), tensor.clone());
            }
        });
        let own = rule.tensors.into_iter();
        tensors.extend(own.map(|(name, tensor)| (format!("{RULE}{name}"), tensor)));
        tensors
    }

    /// Restores the state that [`counters`](Self::counters) and [`tensors`](Self::tensors)
    /// returned.
    ///
    /// # Errors
    ///
    /// [`TaskError::ResumeMismatch`] for tensors that this optimizer and model do not have.
    pub(crate) fn restore(
        &mut self,
        counters: &Value,
        mut tensors: BTreeMap<String, Tensor<1>>,
        backbone: &Gpt2Backbone,
    ) -> Result<(), TaskError> {
        let counters: Counters = serde_json::from_value(counters.clone())
            .map_err(|error| mismatch(format!("the optimizer's counters ({error})")))?;
        let mut variables = BTreeMap::new();
        let mut problem = None;
        let config = backbone.config();
        visit_tensors(backbone, |path, parameter| {
            let shape = keras_shape(config, path, &parameter.shape);
            let mut take = |name: &str, count: usize| {
                let tensor = tensors.remove(&format!("{path}/{name}"))?;
                if tensor.dims() != [count] {
                    problem = Some(format!("the size of `{path}/{name}`"));
                }
                Some(tensor)
            };
            let wanted = self.rule.slots(&shape);
            let count = wanted.len();
            let slots: Vec<_> = wanted.into_iter().filter_map(|(n, c)| take(n, c)).collect();
            let size = elements(&shape);
            let (accumulated, average) = (take("accumulated", size), take("average", size));
            if !slots.is_empty() && slots.len() < count {
                problem = Some(format!("the optimizer's tensors for `{path}`, of which some lack"));
            }
            let state = VariableState { size, slots, accumulated, average };
            variables.insert(path.to_owned(), state);
        });
        let own = RuleState { tensors: split_off_rule(&mut tensors), json: counters.rule };
        if let Some(name) = tensors.keys().next() {
            problem = Some(format!("the tensor `{name}`, which the model does not have"));
        }
        match problem {
            Some(what) => Err(mismatch(what)),
            None if !self.rule.restore(own, &backbone.device()) => {
                Err(mismatch("the state of the optimizer".to_owned()))
            }
            None => {
                self.variables = variables;
                self.iterations = counters.iterations;
                self.loss_scale = counters.loss_scale;
                self.learning_rate = counters.learning_rate;
                Ok(())
            }
        }
    }
}

/// Tensors of the rule besides its slots, by their own names.
fn split_off_rule(tensors: &mut BTreeMap<String, Tensor<1>>) -> BTreeMap<String, Tensor<1>> {
    let own = tensors.split_off(RULE).into_iter();
    own.filter_map(|(name, tensor)| Some((name.strip_prefix(RULE)?.to_owned(), tensor))).collect()
}

fn mismatch(what: String) -> TaskError {
    TaskError::ResumeMismatch { what }
}
