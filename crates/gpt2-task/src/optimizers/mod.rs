//! Optimizers with Keras' formulas: gradients to better weights
//! (`keras/src/optimizers/base_optimizer.py`).

mod adafactor;
mod adam;
mod burn_optimizer;
mod config;
mod gradient_clipping;
mod lion;
mod loss_scale;
mod optimizer;
mod optimizer_state;
mod rmsprop;
mod rule;
mod sgd;

pub use adafactor::Adafactor;
pub use adam::{Adam, AdamW};
pub use burn_optimizer::BurnOptimizer;
pub use config::get;
pub use lion::Lion;
pub use loss_scale::LossScale;
pub use optimizer::{ExponentialMovingAverage, Optimizer};
pub use rmsprop::RmsProp;
pub(crate) use rule::invalid;
pub use rule::{RuleState, UpdateRule, UpdateStep};
pub use sgd::Sgd;
