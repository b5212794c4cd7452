//! Metrics: sums over batches.

use serde::{Deserialize, Serialize};

use super::logs::Logs;

/// Metric that is computed besides the loss. Every target counts by its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Share of targets that are the most probable token (`keras/src/metrics/accuracy_metrics.py`).
    SparseCategoricalAccuracy,
    /// Exponential of the mean cross-entropy (`keras_hub/src/metrics/perplexity.py`).
    Perplexity,
}

impl Metric {
    /// Name in the logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::SparseCategoricalAccuracy => "sparse_categorical_accuracy",
            Self::Perplexity => "perplexity",
        }
    }
}

/// Losses and hits of one batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BatchOutcome {
    pub(crate) rows: usize,
    pub(crate) loss: f64,
    pub(crate) losses: Vec<f32>,
    pub(crate) hits: Vec<bool>,
    pub(crate) weights: Vec<f32>,
}

/// Sums over the batches of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricSums {
    /// Sum of the batches' losses, weighted by their number of rows as in Keras.
    loss: f64,
    rows: f64,
    hits: f64,
    cross_entropy: f64,
    weight: f64,
}

impl MetricSums {
    pub(crate) fn add(&mut self, batch: &BatchOutcome) {
        self.loss += batch.loss * batch.rows as f64;
        self.rows += batch.rows as f64;
        for ((&weight, &hit), &loss) in batch.weights.iter().zip(&batch.hits).zip(&batch.losses) {
            let weight = f64::from(weight);
            // A target with weight 0 must not add an infinite loss.
            if weight > 0.0 {
                self.hits += if hit { weight } else { 0.0 };
                self.cross_entropy += weight * f64::from(loss);
                self.weight += weight;
            }
        }
    }

    /// Loss and metrics of all batches so far, with `prefix` before each name.
    pub(crate) fn logs(&self, metrics: &[Metric], prefix: &str) -> Logs {
        let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        let mut logs = Logs::default();
        logs.set(format!("{prefix}loss"), mean(self.loss, self.rows));
        for metric in metrics {
            let value = match metric {
                Metric::SparseCategoricalAccuracy => mean(self.hits, self.weight),
                // As in KerasHub, 0 if the sum of the weights is 0.
                Metric::Perplexity if self.weight == 0.0 => 0.0,
                Metric::Perplexity => mean(self.cross_entropy, self.weight).exp(),
            };
            logs.set(format!("{prefix}{}", metric.name()), value);
        }
        logs
    }
}
