//! Training: batches from data, gradients from batches, updated weights from gradients.

pub(crate) mod batches;
pub mod callbacks;
pub(crate) mod checkpoint;
pub(crate) mod compile;
pub(crate) mod dataset;
mod fit;
pub(crate) mod fit_options;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod loss;
pub(crate) mod metrics;
pub mod optimizers;
pub(crate) mod plot;
mod run;
pub(crate) mod schedule;
mod state;
mod train_step;
pub(crate) mod trainer;
