//! `LearningRate`: a constant learning rate or a schedule.

use serde::{Deserialize, Serialize};

use super::cosine::CosineDecay;
use super::cosine_restarts::CosineDecayRestarts;
use super::exponential::ExponentialDecay;
use super::inverse_time::InverseTimeDecay;
use super::piecewise::PiecewiseConstantDecay;
use super::polynomial::PolynomialDecay;
use crate::arguments::check_number;
use crate::error::TaskError;

/// Constant learning rate or schedule, to store, compare and compute
/// (`keras/src/optimizers/schedules/learning_rate_schedule.py`).
///
/// ```
/// use gpt2_task::{CosineDecay, LearningRate};
///
/// let constant = LearningRate::from(1e-3);
/// assert_eq!(constant.at(7), 1e-3);
/// let schedule = CosineDecay::new(0.0, 1000).with_warmup(1e-3, 100).with_alpha(0.1);
/// let schedule = LearningRate::from(schedule);
/// assert_eq!(schedule.at(0), 0.0);
/// assert!(schedule.at(50) < schedule.at(100) && schedule.at(100) > schedule.at(1000));
/// ```
///
/// [`from_text`](Self::from_text) describes the text form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum LearningRate {
    /// `constant`: `learning_rate`.
    Constant {
        /// Learning rate of every step.
        learning_rate: f64,
    },
    /// `cosine`: `initial_learning_rate`, `decay_steps`, `alpha`, `warmup_target`, `warmup_steps`.
    Cosine(CosineDecay),
    /// `cosine_restarts`: `initial_learning_rate`, `first_decay_steps`, `t_mul`, `m_mul`, `alpha`.
    CosineRestarts(CosineDecayRestarts),
    /// `exponential`: `initial_learning_rate`, `decay_steps`, `decay_rate`, `staircase`.
    Exponential(ExponentialDecay),
    /// `inverse_time`: `initial_learning_rate`, `decay_steps`, `decay_rate`, `staircase`.
    InverseTime(InverseTimeDecay),
    /// `piecewise`: `boundaries`, `values`.
    Piecewise(PiecewiseConstantDecay),
    /// `polynomial` or `linear`: `initial_learning_rate`, `decay_steps`, `end_learning_rate`, `power`, `cycle`.
    #[serde(alias = "linear")]
    Polynomial(PolynomialDecay),
}

impl LearningRate {
    /// Learning rate of a step, counted from 0.
    ///
    /// A schedule computes in `f32`, as in Keras.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Self::Constant { learning_rate } => *learning_rate,
            Self::Cosine(schedule) => schedule.at(step),
            Self::CosineRestarts(schedule) => schedule.at(step),
            Self::Exponential(schedule) => schedule.at(step),
            Self::InverseTime(schedule) => schedule.at(step),
            Self::Piecewise(schedule) => schedule.at(step),
            Self::Polynomial(schedule) => schedule.at(step),
        }
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for a rate that is negative or not finite, for 0
    /// decay steps, and for other arguments that a schedule cannot compute with.
    pub fn validate(&self) -> Result<(), TaskError> {
        match self {
            Self::Constant { learning_rate } => {
                check_number("LearningRate", "learning_rate", *learning_rate)
            }
            Self::Cosine(schedule) => schedule.validate(),
            Self::CosineRestarts(schedule) => schedule.validate(),
            Self::Exponential(schedule) => schedule.validate(),
            Self::InverseTime(schedule) => schedule.validate(),
            Self::Piecewise(schedule) => schedule.validate(),
            Self::Polynomial(schedule) => schedule.validate(),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(learning_rate: f64) -> Self {
        Self::Constant { learning_rate }
    }
}

/// Implements the conversion of each schedule to a learning rate.
macro_rules! from_schedules {
    ($($schedule:ident => $variant:ident),+ $(,)?) => {$(
        impl From<$schedule> for LearningRate {
            fn from(schedule: $schedule) -> Self {
                Self::$variant(schedule)
            }
        }
    )+};
}

from_schedules! {
    CosineDecay => Cosine,
    CosineDecayRestarts => CosineRestarts,
    ExponentialDecay => Exponential,
    InverseTimeDecay => InverseTime,
    PiecewiseConstantDecay => Piecewise,
    PolynomialDecay => Polynomial,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_refused_by_name() {
        let message = |rate: LearningRate| rate.validate().unwrap_err().to_string();
        assert_eq!(
            message(LearningRate::from(-1.0)),
            "`LearningRate`: `learning_rate` must be a finite number that is not negative, found -1"
        );
        assert_eq!(
            message(ExponentialDecay::new(0.1, 0, 0.5).into()),
            "`ExponentialDecay`: `decay_steps` must be at least 1, found 0"
        );
        let bad: [LearningRate; 10] = [
            f64::NAN.into(),
            1e39.into(),
            CosineDecay::new(0.1, 0).into(),
            CosineDecay { warmup_steps: 5, ..CosineDecay::new(0.1, 10) }.into(),
            CosineDecayRestarts::new(0.1, 10).with_t_mul(0.5).into(),
            InverseTimeDecay::new(0.1, 10, -0.5).into(),
            PolynomialDecay::new(0.1, 10).with_power(f64::INFINITY).into(),
            PiecewiseConstantDecay::new([10], [0.1]).into(),
            PiecewiseConstantDecay::new([10, 10], [0.3, 0.2, 0.1]).into(),
            PiecewiseConstantDecay::new([10], [0.3, f64::NAN]).into(),
        ];
        for rate in bad {
            assert!(rate.validate().is_err(), "{rate:?}");
        }
    }

    #[test]
    fn rates_round_trip_as_data() {
        let rates: [LearningRate; 7] = [
            0.1.into(),
            CosineDecay::new(0.0, 10).with_warmup(0.1, 3).with_alpha(0.2).into(),
            CosineDecayRestarts::new(0.1, 10).with_t_mul(1.5).with_m_mul(0.9).into(),
            ExponentialDecay::new(0.1, 10, 0.5).with_staircase(true).into(),
            InverseTimeDecay::new(0.1, 10, 0.5).into(),
            PiecewiseConstantDecay::new([3, 7], [0.3, 0.2, 0.1]).into(),
            PolynomialDecay::new(0.1, 10).with_end_learning_rate(0.01).with_cycle(true).into(),
        ];
        for rate in rates {
            rate.validate().unwrap();
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<LearningRate>(&json).unwrap(), rate, "{json}");
        }
    }

    #[test]
    fn a_step_far_beyond_the_last_has_a_rate() {
        let rates: [LearningRate; 4] = [
            CosineDecay::new(0.1, 10).with_alpha(0.5).into(),
            CosineDecayRestarts::new(0.1, 10).into(),
            PiecewiseConstantDecay::new([], [0.1]).into(),
            PolynomialDecay::new(0.1, 10).with_cycle(true).into(),
        ];
        for rate in rates {
            let found = rate.at(u64::MAX);
            assert!((0.0..=0.1001).contains(&found), "{rate:?}: {found}");
        }
    }
}
