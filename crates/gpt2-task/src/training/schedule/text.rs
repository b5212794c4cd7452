//! Learning rate as text.

use std::str::FromStr;

use serde::Deserialize;

use super::learning_rate::LearningRate;
use crate::choice_text::ChoiceText;
use crate::error::TaskError;

/// Arguments of a schedule, with their defaults.
type Arguments = &'static [(&'static str, &'static str)];

const POLYNOMIAL: Arguments = &[
    ("initial_learning_rate", "the learning rate"),
    ("decay_steps", "the steps of the training"),
    ("end_learning_rate", "0.0001"),
    ("power", "1"),
    ("cycle", "false"),
];
const EXPONENTIAL: Arguments = &[
    ("initial_learning_rate", "the learning rate"),
    ("decay_steps", "required"),
    ("decay_rate", "required"),
    ("staircase", "false"),
];

/// Names of the schedules that can be parsed, with their arguments.
pub(crate) const SCHEDULES: [(&str, Arguments); 8] = [
    ("constant", &[("learning_rate", "the learning rate")]),
    (
        "cosine",
        &[
            ("initial_learning_rate", "the learning rate, or 0 with a warmup"),
            ("decay_steps", "the steps of the training after the warmup"),
            ("alpha", "0"),
            ("warmup_target", "the learning rate"),
            ("warmup_steps", "0"),
        ],
    ),
    (
        "cosine_restarts",
        &[
            ("initial_learning_rate", "the learning rate"),
            ("first_decay_steps", "required"),
            ("t_mul", "2"),
            ("m_mul", "1"),
            ("alpha", "0"),
        ],
    ),
    ("exponential", EXPONENTIAL),
    ("inverse_time", EXPONENTIAL),
    (
        "linear",
        &[
            ("initial_learning_rate", "the learning rate"),
            ("decay_steps", "the steps of the training"),
            ("end_learning_rate", "0.0001"),
            ("cycle", "false"),
        ],
    ),
    ("piecewise", &[("boundaries", "required"), ("values", "required")]),
    ("polynomial", POLYNOMIAL),
];

impl LearningRate {
    /// Parses a number, or the name of a schedule and its arguments, such as
    /// `cosine:warmup_steps=100,decay_steps=1000`. Lists are in brackets.
    ///
    /// The names are `constant`, `cosine`, `cosine_restarts`, `exponential`, `inverse_time`,
    /// `linear` (a polynomial of power 1), `piecewise` and `polynomial`. `learning_rate` is the
    /// default of the highest rate: of `initial_learning_rate`, or with a warmup of
    /// `warmup_target`, to which the rate then rises from 0.
    ///
    /// ```
    /// use gpt2_task::{CosineDecay, LearningRate, PiecewiseConstantDecay};
    ///
    /// let found = LearningRate::from_text("cosine:warmup_steps=100,decay_steps=1000", 3e-4)?;
    /// assert_eq!(found, CosineDecay::new(0.0, 1000).with_warmup(3e-4, 100).into());
    /// let found = LearningRate::from_text("piecewise:boundaries=[100],values=[0.1,0.01]", 0.0)?;
    /// assert_eq!(found, PiecewiseConstantDecay::new([100], [0.1, 0.01]).into());
    /// assert_eq!(LearningRate::from_text("1e-3", 0.0)?, 1e-3.into());
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidChoice`] for an unknown name or argument, or a value out of range.
    pub fn from_text(text: &str, learning_rate: f64) -> Result<Self, TaskError> {
        read(text, learning_rate, None)
    }

    /// Like [`from_text`](Self::from_text), for a training of `steps` steps. Unless the text has
    /// `decay_steps`, `cosine`, `linear` and `polynomial` decay from the end of the warmup to the
    /// end of the training.
    ///
    /// ```
    /// use gpt2_task::{CosineDecay, LearningRate};
    ///
    /// let found = LearningRate::from_text_for_steps("cosine:warmup_steps=100", 3e-4, 1100)?;
    /// assert_eq!(found, CosineDecay::new(0.0, 1000).with_warmup(3e-4, 100).into());
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`from_text`](Self::from_text).
    pub fn from_text_for_steps(
        text: &str,
        learning_rate: f64,
        steps: usize,
    ) -> Result<Self, TaskError> {
        read(text, learning_rate, Some(steps as u64))
    }
}

/// Parses like [`from_text`](LearningRate::from_text) with 0.001, the learning rate of Keras' Adam.
impl FromStr for LearningRate {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        Self::from_text(text, 0.001)
    }
}

fn read(text: &str, learning_rate: f64, steps: Option<u64>) -> Result<LearningRate, TaskError> {
    let mut choice = ChoiceText::parse("schedule", text)?;
    let rate = match text.trim().parse::<f64>() {
        Ok(constant) => constant.into(),
        Err(_) => read_schedule(&mut choice, learning_rate, steps)?,
    };
    rate.validate().map_err(|error| choice.refused(error))?;
    Ok(rate)
}

fn read_schedule(
    text: &mut ChoiceText<'_>,
    learning_rate: f64,
    steps: Option<u64>,
) -> Result<LearningRate, TaskError> {
    let Some((_, arguments)) = SCHEDULES.iter().find(|(name, _)| *name == text.name()) else {
        return Err(text.unknown_name(&SCHEDULES.map(|(name, _)| name)));
    };
    let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    text.check_names(&names)?;
    complete(text, learning_rate);
    if let Some(steps) = steps {
        decay_to_the_end(text, steps);
    }
    match text.name() {
        "cosine" => text.read(&[]).map(LearningRate::Cosine),
        "cosine_restarts" => text.read(&[]).map(LearningRate::CosineRestarts),
        "exponential" => text.read(&[]).map(LearningRate::Exponential),
        "inverse_time" => text.read(&[]).map(LearningRate::InverseTime),
        "linear" | "polynomial" => text.read(&[]).map(LearningRate::Polynomial),
        "piecewise" => text.read(&[]).map(LearningRate::Piecewise),
        _ => text.read(&[]).map(|Constant { learning_rate }| learning_rate.into()),
    }
}

#[derive(Deserialize)]
struct Constant {
    learning_rate: f64,
}

/// Adds the rates that are not given.
fn complete(text: &mut ChoiceText<'_>, learning_rate: f64) {
    let warmup = text.has("warmup_steps") || text.has("warmup_target");
    match text.name() {
        "constant" => text.set_default("learning_rate", learning_rate),
        "cosine" if warmup => {
            text.set_default("initial_learning_rate", 0.0);
            text.set_default("warmup_target", learning_rate);
        }
        "piecewise" => {}
        _ => text.set_default("initial_learning_rate", learning_rate),
    }
}

/// Adds `decay_steps`, unless it is given.
fn decay_to_the_end(text: &mut ChoiceText<'_>, steps: u64) {
    if matches!(text.name(), "cosine" | "linear" | "polynomial") {
        // A value of another type is rejected when the schedule is read.
        let warmup = text.count("warmup_steps").unwrap_or_default();
        text.set_default("decay_steps", steps.saturating_sub(warmup).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::schedule::cosine::CosineDecay;
    use crate::training::schedule::cosine_restarts::CosineDecayRestarts;
    use crate::training::schedule::exponential::ExponentialDecay;
    use crate::training::schedule::inverse_time::InverseTimeDecay;
    use crate::training::schedule::polynomial::PolynomialDecay;

    #[test]
    fn every_schedule_can_be_given_as_text() {
        let cosine = CosineDecay::new(0.0, 1000).with_warmup(0.001, 100).with_alpha(0.1);
        let restarts = CosineDecayRestarts::new(0.001, 10).with_t_mul(1.0).with_m_mul(0.5);
        let polynomial = PolynomialDecay::new(0.1, 10).with_power(2.0).with_cycle(true);
        let linear = PolynomialDecay::new(0.001, 10).with_end_learning_rate(0.0);
        for (text, expected) in [
            ("constant", 0.001.into()),
            ("constant:learning_rate=0.5", 0.5.into()),
            (" 3e-4 ", 3e-4.into()),
            ("cosine:warmup_steps=100,decay_steps=1000,alpha=0.1", cosine.into()),
            ("cosine: decay_steps = 10", CosineDecay::new(0.001, 10).into()),
            ("cosine_restarts:first_decay_steps=10,t_mul=1,m_mul=0.5", restarts.into()),
            (
                "exponential:decay_steps=10,decay_rate=0.5,staircase=true",
                ExponentialDecay::new(0.001, 10, 0.5).with_staircase(true).into(),
            ),
            (
                "inverse_time:decay_steps=10,decay_rate=0.5",
                InverseTimeDecay::new(0.001, 10, 0.5).into(),
            ),
            (
                "polynomial:initial_learning_rate=0.1,decay_steps=10,power=2,cycle=true",
                polynomial.into(),
            ),
            ("linear:decay_steps=10,end_learning_rate=0", linear.into()),
        ] {
            assert_eq!(text.parse::<LearningRate>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_schedule_without_steps_ends_with_the_training() {
        let cosine = CosineDecay::new(0.0, 7).with_warmup(0.1, 3);
        for (text, expected) in [
            ("constant", 0.1.into()),
            ("cosine", CosineDecay::new(0.1, 10).into()),
            ("cosine:warmup_steps=3", cosine.clone().into()),
            ("cosine:warmup_steps=3,decay_steps=7", cosine.into()),
            ("cosine:warmup_steps=30", CosineDecay::new(0.0, 1).with_warmup(0.1, 30).into()),
            ("linear:end_learning_rate=0.01", {
                PolynomialDecay::new(0.1, 10).with_end_learning_rate(0.01).into()
            }),
        ] {
            assert_eq!(LearningRate::from_text_for_steps(text, 0.1, 10).unwrap(), expected);
        }
        assert!(LearningRate::from_text_for_steps("cosine:warmup_steps=x", 0.1, 10).is_err());
    }

    #[test]
    fn mistakes_name_what_exists() {
        for (text, expected) in [
            (
                "cosin:decay_steps=10",
                "schedule `cosin`: unknown name, expected one of `constant`, `cosine`",
            ),
            ("", "schedule ``: unknown name"),
            ("constant:rate=1", "unknown argument `rate`, expected `learning_rate`"),
            (
                "cosine:foo=1",
                "schedule `cosine`: unknown argument `foo`, expected one of \
                 `initial_learning_rate`, `decay_steps`, `alpha`, `warmup_target`, `warmup_steps`",
            ),
            ("cosine", "schedule `cosine`: the argument `decay_steps` is missing"),
            ("cosine:decay_steps=-1", "`decay_steps` must be a whole number from 0, found -1"),
            ("cosine:decay_steps=ten", "`decay_steps` must be a whole number from 0, found ten"),
            (
                "linear:decay_steps=0",
                "schedule `linear`: `decay_steps` must be at least 1, found 0",
            ),
            ("cosine:decay_steps", "`decay_steps` is not of the form `name=value`"),
            ("cosine:decay_steps=1,decay_steps=2", "`decay_steps` is given twice"),
            ("linear:decay_steps=10,power=2", "unknown argument `power`, expected one of"),
            ("piecewise:boundaries=[1]", "the argument `values` is missing"),
            ("piecewise:boundaries=1,values=[1]", "`boundaries` must be a list in brackets"),
            ("piecewise:boundaries=[-1],values=[1]", "`boundaries` must be a whole number"),
            ("nan", "found NaN"),
        ] {
            let message = text.parse::<LearningRate>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
