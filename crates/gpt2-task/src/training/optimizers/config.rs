//! Optimizers by name, with their arguments as text.

use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::adafactor::Adafactor;
use super::adam::{Adam, AdamW};
use super::lion::Lion;
use super::optimizer::{ExponentialMovingAverage, Optimizer};
use super::rmsprop::RmsProp;
use super::rule::UpdateRule;
use super::sgd::Sgd;
use crate::choice_text::{Argument, ChoiceText};
use crate::error::TaskError;
use crate::training::schedule::learning_rate::LearningRate;

/// Parses like [`get`].
impl FromStr for Optimizer {
    type Err = TaskError;

    fn from_str(identifier: &str) -> Result<Self, TaskError> {
        get(identifier)
    }
}

/// Builds a rule from its own arguments.
pub(crate) type Build = fn(&mut ChoiceText<'_>) -> Result<Box<dyn UpdateRule>, TaskError>;

/// Rules in Keras' spelling, with the default learning rate of Keras' class.
pub(crate) const RULES: [(&str, f64, Build); 6] = [
    ("adafactor", 1e-3, build::<Adafactor>),
    ("adam", 1e-3, build::<Adam>),
    ("adamw", 1e-3, build::<AdamW>),
    ("lion", 1e-3, build::<Lion>),
    ("rmsprop", 1e-3, build::<RmsProp>),
    ("sgd", 1e-2, build::<Sgd>),
];

/// Setter of an argument that every optimizer has.
pub(crate) enum Setting {
    Number(fn(Optimizer, f64) -> Optimizer),
    Count(fn(Optimizer, u64) -> Optimizer),
}

/// Arguments that every optimizer has, in the order in which they are set.
pub(crate) const SETTINGS: [(&str, Setting); 8] = [
    ("learning_rate", Setting::Number(Optimizer::with_learning_rate)),
    ("weight_decay", Setting::Number(Optimizer::with_weight_decay)),
    // Keras prefers clipnorm, then global_clipnorm, then clipvalue: the last one set here wins.
    ("clipvalue", Setting::Number(Optimizer::with_clipvalue)),
    ("global_clipnorm", Setting::Number(Optimizer::with_global_clipnorm)),
    ("clipnorm", Setting::Number(Optimizer::with_clipnorm)),
    ("gradient_accumulation_steps", Setting::Count(Optimizer::with_gradient_accumulation_steps)),
    ("ema_momentum", Setting::Number(with_ema_momentum)),
    ("ema_overwrite_frequency", Setting::Count(with_ema_overwrite_frequency)),
];

/// Parses an optimizer, like `keras.optimizers.get`, with arguments such as
/// `adamw:learning_rate=1e-3,weight_decay=0.1,beta_2=0.95,global_clipnorm=1`.
///
/// Arguments are those of the rule (see [`Adam`], [`Sgd`], …) and `learning_rate`, `weight_decay`,
/// `clipnorm`, `global_clipnorm`, `clipvalue`, `gradient_accumulation_steps`, `ema_momentum`,
/// `ema_overwrite_frequency`.
///
/// ```
/// let optimizer = gpt2_task::optimizers::get("sgd:momentum=0.9,learning_rate=0.1")?;
/// assert_eq!(optimizer.learning_rate(), 0.1);
/// assert!(gpt2_task::optimizers::get("adamm").is_err());
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
///
/// # Errors
///
/// [`TaskError::InvalidChoice`] for an unknown name or argument, or a value out of range.
pub fn get(identifier: &str) -> Result<Optimizer, TaskError> {
    let mut text = ChoiceText::parse("optimizer", identifier)?;
    let rule = RULES.iter().find(|(known, ..)| *known == text.name());
    let Some((_, learning_rate, build)) = rule else {
        return Err(text.unknown_name(&RULES.map(|(name, ..)| name)));
    };
    let given: Vec<_> =
        SETTINGS.iter().filter_map(|(name, setting)| Some((setting, text.take(name)?))).collect();
    let rule = build(&mut text)?;
    let mut optimizer = Optimizer::from_rule(rule, LearningRate::from(*learning_rate));
    for (setting, argument) in given {
        optimizer = setting.apply(optimizer, &text, argument)?;
    }
    optimizer.validate().map_err(|error| text.refused(error))?;
    Ok(optimizer)
}

impl Setting {
    fn apply(
        &self,
        optimizer: Optimizer,
        text: &ChoiceText<'_>,
        argument: Argument,
    ) -> Result<Optimizer, TaskError> {
        match self {
            Self::Number(set) => Ok(set(optimizer, text.read_argument(argument)?)),
            Self::Count(set) => Ok(set(optimizer, text.read_argument(argument)?)),
        }
    }
}

fn with_ema_momentum(optimizer: Optimizer, momentum: f64) -> Optimizer {
    let ema = ExponentialMovingAverage { momentum, ..optimizer.ema.unwrap_or_default() };
    optimizer.with_ema(ema)
}

fn with_ema_overwrite_frequency(optimizer: Optimizer, steps: u64) -> Optimizer {
    let overwrite_frequency = Some(steps);
    let ema = ExponentialMovingAverage { overwrite_frequency, ..optimizer.ema.unwrap_or_default() };
    optimizer.with_ema(ema)
}

fn build<R: UpdateRule + DeserializeOwned + 'static>(
    text: &mut ChoiceText<'_>,
) -> Result<Box<dyn UpdateRule>, TaskError> {
    let rule: R = text.read(&SETTINGS.map(|(name, _)| name))?;
    Ok(Box::new(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arguments_are_understood() {
        for (name, learning_rate, _) in RULES {
            assert_eq!(get(name).unwrap().learning_rate(), learning_rate, "{name}");
        }
        let optimizer = get("adamw:beta_2=0.95,learning_rate=5e-4,weight_decay=0.1").unwrap();
        assert!(optimizer.name().contains("beta_2=0.95"), "{}", optimizer.name());
        assert_eq!(optimizer.learning_rate(), 5e-4);
        assert_eq!(optimizer.state()["weight_decay"], 0.1);
        let first = get("adam:clipvalue=3,clipnorm=1,global_clipnorm=2").unwrap();
        assert_eq!(first.state()["clipping"]["clip_norm"], 1.0);
    }

    #[test]
    fn mistakes_are_refused() {
        for (identifier, expected) in [
            ("adamm", "unknown name, expected one of `adafactor`, `adam`, `adamw`, "),
            (
                "adamw:wd=0.1",
                "optimizer `adamw`: unknown argument `wd`, expected one of `beta_1`, `beta_2`, \
                 `epsilon`, `amsgrad`, `learning_rate`, `weight_decay`, `clipvalue`, ",
            ),
            ("adam:beta_1=1", "optimizer `adam`: `beta_1` must be at least 0 and below 1"),
            ("adam:beta_1", "name=value"),
            ("adam:amsgrad=2", "`amsgrad` must be true or false, found 2"),
            ("adam:learning_rate=fast", "`learning_rate` must be a number, found fast"),
            ("adam:learning_rate=-1", "optimizer `adam`: `learning_rate` must be a finite number"),
            ("adam:clipnorm=0", "clipnorm"),
            ("adam:gradient_accumulation_steps=0", "gradient_accumulation_steps"),
            ("adam:gradient_accumulation_steps=2.5", "a whole number"),
            ("adam:ema_momentum=1", "ema_momentum"),
            ("sgd:momentum=0.9,momentum=0.8", "`momentum` is given twice"),
        ] {
            let message = get(identifier).unwrap_err().to_string();
            assert!(message.contains(expected), "{identifier}: {message}");
        }
    }
}
