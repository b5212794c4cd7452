//! Learning rate of an optimizer: a constant, or a function of the step.

pub(crate) mod cosine;
pub(crate) mod cosine_restarts;
pub(crate) mod exponential;
pub(crate) mod inverse_time;
pub(crate) mod learning_rate;
mod periods;
pub(crate) mod piecewise;
pub(crate) mod polynomial;
pub(crate) mod text;

pub use cosine::CosineDecay;
pub use cosine_restarts::CosineDecayRestarts;
pub use exponential::ExponentialDecay;
pub use inverse_time::InverseTimeDecay;
pub use learning_rate::LearningRate;
pub use piecewise::PiecewiseConstantDecay;
pub use polynomial::PolynomialDecay;
