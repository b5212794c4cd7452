//! Learning rate as text.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::learning_rate::LearningRate;
use crate::arguments::read_arguments;
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
    /// [`TaskError::InvalidTrainingArgument`] for an unknown name or argument, and for the errors
    /// of [`validate`](Self::validate).
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
    let rate = match text.trim().parse::<f64>() {
        Ok(constant) => constant.into(),
        Err(_) => parse(text, learning_rate, steps).map_err(|reason| invalid(text, &reason))?,
    };
    rate.validate()?;
    Ok(rate)
}

fn invalid(text: &str, reason: &str) -> TaskError {
    TaskError::InvalidTrainingArgument {
        owner: "LearningRate".to_owned(),
        argument: "text",
        expected: format!(
            "a number, or `name:argument=value,…` such as `cosine:warmup_steps=100,decay_steps=1000` ({reason})"
        ),
        found: format!("`{text}`"),
    }
}

/// Parses a schedule. The error names the fault of the text.
fn parse(text: &str, learning_rate: f64, steps: Option<u64>) -> Result<LearningRate, String> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let mut object = Map::from_iter([("name".to_owned(), Value::from(name.trim()))]);
    let arguments = split(arguments).filter(|argument| !argument.trim().is_empty());
    read_arguments(arguments, &mut object)?;
    if name.trim() == "linear" && object.contains_key("power") {
        return Err("`linear` has the power 1; take `polynomial` for another".to_owned());
    }
    complete(&mut object, learning_rate);
    if let Some(steps) = steps {
        decay_to_the_end(&mut object, steps);
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

/// Splits arguments at the commas outside of brackets.
fn split(arguments: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    arguments.split(move |character| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    })
}

/// Adds the rates that are not given.
fn complete(object: &mut Map<String, Value>, learning_rate: f64) {
    let warmup = object.contains_key("warmup_steps") || object.contains_key("warmup_target");
    let defaults: &[(&str, f64)] = match object["name"].as_str() {
        Some("constant") => &[("learning_rate", learning_rate)],
        Some("cosine") if warmup => {
            &[("initial_learning_rate", 0.0), ("warmup_target", learning_rate)]
        }
        Some("piecewise") => &[],
        _ => &[("initial_learning_rate", learning_rate)],
    };
    for &(name, value) in defaults {
        object.entry(name).or_insert_with(|| value.into());
    }
}

/// Adds `decay_steps`, unless it is given.
fn decay_to_the_end(object: &mut Map<String, Value>, steps: u64) {
    if matches!(object["name"].as_str(), Some("cosine" | "linear" | "polynomial")) {
        // A value of another type is rejected when the schedule is read.
        let warmup = object.get("warmup_steps").and_then(Value::as_u64).unwrap_or_default();
        let steps = steps.saturating_sub(warmup).max(1);
        object.entry("decay_steps").or_insert_with(|| steps.into());
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
                "unknown variant `cosin`, expected one of `constant`, `cosine`",
            ),
            ("", "unknown variant ``"),
            ("constant:rate=1", "unknown field `rate`, expected `learning_rate`"),
            ("cosine:steps=10", "unknown field `steps`, expected one of `initial_learning_rate`"),
            ("cosine", "missing field `decay_steps`"),
            ("cosine:decay_steps=-1", "expected u64"),
            ("cosine:decay_steps=ten", "expected u64"),
            ("cosine:decay_steps=0", "`decay_steps` must be at least 1, found 0"),
            ("cosine:decay_steps", "`decay_steps` is not of the form `name=value`"),
            ("cosine:decay_steps=1,decay_steps=2", "`decay_steps` is given twice"),
            ("linear:decay_steps=10,power=2", "take `polynomial`"),
            ("piecewise:boundaries=[1]", "missing field `values`"),
            ("nan", "found NaN"),
        ] {
            let message = text.parse::<LearningRate>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
