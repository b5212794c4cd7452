//! burn's optimizers as rules, for those that Keras' formulas lack.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use burn::optim::{Optimizer as BurnRule, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};
use gpt2_backbone::read;
use serde::{Deserialize, Serialize};

use super::rule::{RuleState, UpdateRule, UpdateStep, elements};

/// Optimizer of burn: Adan, AdaGrad, LAMB, Muon, or a user's own.
///
/// Learning rate, weight decay, clipping and the other features of [`Optimizer`](super::Optimizer)
/// are applied before it, in addition to those of burn's optimizer.
///
/// ```
/// use burn::optim::LambConfig;
/// use gpt2_task::optimizers::{BurnOptimizer, Optimizer};
///
/// let lamb = LambConfig::new().with_beta_2(0.99).build();
/// let optimizer = Optimizer::new(BurnOptimizer::new("lamb", lamb), 1e-3);
/// assert_eq!(optimizer.name(), "lamb");
/// ```
pub struct BurnOptimizer<O: BurnRule> {
    name: String,
    optimizer: O,
    /// Locked, because burn does not promise that states are `Sync`.
    states: Mutex<BTreeMap<String, VariableState<O>>>,
}

/// State of a variable. Kernels and embeddings are matrices; all others are vectors.
enum VariableState<O: BurnRule> {
    Vector(O::State<1>),
    Matrix(O::State<2>),
}

/// State in the JSON of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Described<S> {
    /// Rank of each variable, by path.
    ranks: BTreeMap<String, usize>,
    /// Shapes of the tensors.
    shapes: BTreeMap<String, Vec<usize>>,
    scalars: S,
}

impl<O: BurnRule> BurnOptimizer<O> {
    /// Rule with this name, which must be the same in a resumed training.
    pub fn new(name: impl Into<String>, optimizer: O) -> Self {
        Self { name: name.into(), optimizer, states: Mutex::default() }
    }

    fn states(&mut self) -> &mut BTreeMap<String, VariableState<O>> {
        self.states.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: BurnRule> fmt::Debug for BurnOptimizer<O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BurnOptimizer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<O: BurnRule> UpdateRule for BurnOptimizer<O> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        _slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        let learning_rate = f64::from(step.learning_rate);
        let state = self.states().remove(step.path);
        let (updated, state) = if let &[rows, columns] = step.shape {
            let matrix = |tensor: Tensor<1>| tensor.reshape([rows, columns]);
            let state = match state {
                Some(VariableState::Matrix(state)) => Some(state),
                _ => None,
            };
            let (variable, gradient) = (matrix(variable), matrix(gradient));
            let (new, state) = self.optimizer.step(learning_rate, variable, gradient, state);
            (new.reshape([-1]), state.map(VariableState::Matrix))
        } else {
            let state = match state {
                Some(VariableState::Vector(state)) => Some(state),
                _ => None,
            };
            let (new, state) = self.optimizer.step(learning_rate, variable, gradient, state);
            (new, state.map(VariableState::Vector))
        };
        if let Some(state) = state {
            self.states().insert(step.path.to_owned(), state);
        }
        updated
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.states().retain(|path, _| keep(path));
    }

    fn state(&self, device: &Device) -> RuleState {
        let mut sink = StateSink::default();
        let mut ranks = BTreeMap::new();
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, state) in &*states {
            let rank = match state {
                VariableState::Vector(state) => {
                    state.state_flatten(path, &mut sink);
                    1
                }
                VariableState::Matrix(state) => {
                    state.state_flatten(path, &mut sink);
                    2
                }
            };
            ranks.insert(path.clone(), rank);
        }
        let shape = |(name, data): &(String, TensorData)| (name.clone(), data.shape().to_vec());
        let shapes = sink.tensors.iter().map(shape).collect();
        let described = Described { ranks, shapes, scalars: &sink.scalars };
        let json = serde_json::to_value(&described).expect("names and numbers are JSON");
        let flat = |(name, data): (String, TensorData)| {
            let count = data.num_elements();
            let (bytes, _, dtype) = data.into_parts();
            let data = TensorData::from_bytes(bytes, [count], dtype);
            (name, data)
        };
        let tensors = sink.tensors.into_iter().map(flat);
        RuleState {
            tensors: tensors.map(|(name, data)| (name, Tensor::from_data(data, device))).collect(),
            json,
        }
    }

    fn restore(&mut self, state: RuleState, device: &Device) -> bool {
        let Ok(described) = serde_json::from_value::<Described<Vec<_>>>(state.json) else {
            return false;
        };
        let mut source = StateSource::new(described.scalars.into_iter().collect());
        for (name, tensor) in state.tensors {
            let Some(shape) = described.shapes.get(&name) else { return false };
            if elements(shape) != tensor.dims()[0] {
                return false;
            }
            let Ok(data) = read(tensor) else { return false };
            let (bytes, _, dtype) = data.into_parts();
            source.insert_tensor(name, TensorData::from_bytes(bytes, shape.clone(), dtype));
        }
        let mut states = BTreeMap::new();
        for (path, rank) in described.ranks {
            let state = if rank == 2 {
                RecordState::state_unflatten(&path, &mut source, device).map(VariableState::Matrix)
            } else {
                RecordState::state_unflatten(&path, &mut source, device).map(VariableState::Vector)
            };
            let Some(state) = state else { return false };
            states.insert(path, state);
        }
        *self.states() = states;
        true
    }
}
