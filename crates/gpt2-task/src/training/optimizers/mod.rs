//! Optimizers with Keras' formulas, which update weights from gradients
//! (`keras/src/optimizers/base_optimizer.py`).

pub(crate) mod adafactor;
pub(crate) mod adam;
mod apply;
mod burn_optimizer;
pub(crate) mod config;
pub(crate) mod gradient_clipping;
pub(crate) mod lion;
pub(crate) mod loss_scale;
pub(crate) mod optimizer;
mod optimizer_state;
pub(crate) mod rmsprop;
pub(crate) mod rule;
pub(crate) mod sgd;

pub use adafactor::Adafactor;
pub use adam::{Adam, AdamW};
pub use burn_optimizer::BurnOptimizer;
pub use config::get;
pub use lion::Lion;
pub use loss_scale::LossScale;
pub use optimizer::{ExponentialMovingAverage, Optimizer};
pub use rmsprop::RmsProp;
pub use rule::{RuleState, UpdateRule, UpdateStep};
pub use sgd::Sgd;
