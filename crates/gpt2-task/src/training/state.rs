//! Progress of a training.

use serde::{Deserialize, Serialize};

use super::history::History;
use super::metrics::MetricSums;

/// Progress of a training, and the sums of its current epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FitState {
    pub(crate) seed: u64,
    /// Next epoch, from 0.
    pub(crate) epoch: usize,
    pub(crate) batch: usize,
    pub(crate) sums: MetricSums,
    pub(crate) history: History,
    pub(crate) stopped: bool,
}
