//! Callbacks of a training: logging, saving, stopping.

pub(crate) mod callback;
mod csv_logger;
mod early_stopping;
mod jsonl_logger;
mod lambda_callback;
mod learning_rate_scheduler;
pub(crate) mod monitor;
#[cfg(feature = "progress")]
mod progress_bar;
mod reduce_lr_on_plateau;
mod resumable;
pub(crate) mod step_history;
mod terminate_on_nan;
#[cfg(all(test, feature = "flex"))]
mod testing;

pub use crate::error::BoxError;
pub use callback::{Callback, CallbackState};
pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use jsonl_logger::JsonlLogger;
pub use lambda_callback::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use monitor::{Monitor, MonitorMode};
#[cfg(feature = "progress")]
pub use progress_bar::ProgressBar;
pub use reduce_lr_on_plateau::ReduceLrOnPlateau;
pub use step_history::{StepHistory, StepPoint};
pub use terminate_on_nan::TerminateOnNan;
