//! Optimizers by name, with their arguments as text.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::adafactor::Adafactor;
use super::adam::{Adam, AdamW};
use super::lion::Lion;
use super::optimizer::{ExponentialMovingAverage, Optimizer};
use super::rmsprop::RmsProp;
use super::rule::UpdateRule;
use super::sgd::Sgd;
use crate::arguments::{invalid, read_arguments};
use crate::error::TaskError;
use crate::training::schedule::learning_rate::LearningRate;

/// The names, as Keras spells them, with the class' default learning rate.
const NAMES: [(&str, f64); 6] = [
    ("adafactor", 1e-3),
    ("adam", 1e-3),
    ("adamw", 1e-3),
    ("lion", 1e-3),
    ("rmsprop", 1e-3),
    ("sgd", 1e-2),
];

/// The optimizer that a text names, as `keras.optimizers.get`, with arguments such as
/// `adamw:learning_rate=1e-3,weight_decay=0.1,beta_2=0.95,global_clipnorm=1`.
///
/// Arguments are the rule's own (see [`Adam`], [`Sgd`], …) and `learning_rate`, `weight_decay`,
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
/// [`TaskError::InvalidTrainingArgument`] for an unknown name or argument, or a value out of range.
pub fn get(identifier: &str) -> Result<Optimizer, TaskError> {
    let (name, arguments) = identifier.split_once(':').unwrap_or((identifier, ""));
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let Some((_, learning_rate)) = NAMES.iter().find(|(known, _)| *known == name) else {
        let expected = format!("one of {}", names.join(", "));
        return Err(invalid("optimizer", "name", &expected, format!("`{name}`")));
    };
    let mut arguments = parse_arguments(name, arguments)?;
    let mut number = |key: &'static str| -> Result<Option<f64>, TaskError> {
        match arguments.remove(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(invalid(name, key, "a number", value)),
            },
        }
    };
    let learning_rate = number("learning_rate")?.unwrap_or(*learning_rate);
    let weight_decay = number("weight_decay")?;
    let clipnorm = number("clipnorm")?;
    let global_clipnorm = number("global_clipnorm")?;
    let clipvalue = number("clipvalue")?;
    let ema_momentum = number("ema_momentum")?;
    let mut count = |key: &'static str| -> Result<Option<u64>, TaskError> {
        match arguments.remove(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(invalid(name, key, "a whole number", value)),
            },
        }
    };
    let steps = count("gradient_accumulation_steps")?;
    let ema_overwrite = count("ema_overwrite_frequency")?;

    let mut optimizer =
        Optimizer::from_rule(rule(name, arguments)?, LearningRate::from(learning_rate));
    if let Some(decay) = weight_decay {
        optimizer = optimizer.with_weight_decay(decay);
    }
    // Keras takes the first of the three in this order: the last one set here wins.
    if let Some(bound) = clipvalue {
        optimizer = optimizer.with_clipvalue(bound);
    }
    if let Some(bound) = global_clipnorm {
        optimizer = optimizer.with_global_clipnorm(bound);
    }
    if let Some(bound) = clipnorm {
        optimizer = optimizer.with_clipnorm(bound);
    }
    if let Some(steps) = steps {
        optimizer = optimizer.with_gradient_accumulation_steps(steps);
    }
    if ema_momentum.is_some() || ema_overwrite.is_some() {
        optimizer = optimizer.with_ema(ExponentialMovingAverage {
            momentum: ema_momentum.unwrap_or(0.99),
            overwrite_frequency: ema_overwrite,
        });
    }
    optimizer.validate()?;
    Ok(optimizer)
}

fn parse_arguments(name: &str, arguments: &str) -> Result<Map<String, Value>, TaskError> {
    let mut object = Map::new();
    let pieces = arguments.split(',').filter(|argument| !argument.trim().is_empty());
    read_arguments(pieces, &mut object).map_err(|reason| {
        let expected = format!("of the form `name=value`, given once each ({reason})");
        invalid(name, "arguments", &expected, arguments)
    })?;
    Ok(object)
}

fn rule(name: &str, arguments: Map<String, Value>) -> Result<Box<dyn UpdateRule>, TaskError> {
    fn build<R: DeserializeOwned>(
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<R, TaskError> {
        serde_json::from_value(Value::Object(arguments.clone())).map_err(|error| {
            let found = Value::Object(arguments);
            invalid(name, "arguments", &format!("those of the optimizer ({error})"), found)
        })
    }
    Ok(match name {
        "adafactor" => Box::new(build::<Adafactor>(name, arguments)?),
        "adam" => Box::new(build::<Adam>(name, arguments)?),
        "adamw" => Box::new(build::<AdamW>(name, arguments)?),
        "lion" => Box::new(build::<Lion>(name, arguments)?),
        "rmsprop" => Box::new(build::<RmsProp>(name, arguments)?),
        _ => Box::new(build::<Sgd>(name, arguments)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arguments_are_understood() {
        for (name, learning_rate) in NAMES {
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
            ("adamm", "adafactor, adam, adamw"),
            ("adam:momentum=0.9", "momentum"),
            ("adam:beta_1=1", "beta_1"),
            ("adam:beta_1", "name=value"),
            ("adam:learning_rate=fast", "a number"),
            ("adam:learning_rate=-1", "learning_rate"),
            ("adam:clipnorm=0", "clipnorm"),
            ("adam:gradient_accumulation_steps=0", "gradient_accumulation_steps"),
            ("adam:gradient_accumulation_steps=2.5", "a whole number"),
            ("adam:ema_momentum=1", "ema_momentum"),
            ("sgd:momentum=0.9,momentum=0.8", "once"),
        ] {
            let message = get(identifier).unwrap_err().to_string();
            assert!(message.contains(expected), "{identifier}: {message}");
        }
    }
}
