//! Progress of a training.

use serde::{Deserialize, Serialize};

use super::history::History;
use super::metrics::MetricSums;

/// Progress of a training, and the results of its epoch so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FitState {
    pub(crate) seed: u64,
    /// The epoch and the batch that come next.
    pub(crate) epoch: usize,
    pub(crate) batch: usize,
    pub(crate) sums: MetricSums,
    pub(crate) history: History,
    pub(crate) stopped: bool,
}
