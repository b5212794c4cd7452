//! A step of a generation that a device repeats without input from the host.

mod advance;
mod embedding;
mod repeated;
mod state;
mod support;

pub use self::embedding::step_embedding;
pub use self::repeated::Repeated;
pub use self::state::{StepPlan, StepState};
pub use self::support::has_steps;
