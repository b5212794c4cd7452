//! Catalogue of the samplers, optimizers and schedules that can be parsed from text, with their
//! arguments and defaults.
//!
//! Programs use it for help texts and messages. Samplers and optimizers come from the parsers'
//! tables and the defaults of their types, schedules from a table beside their parser.
//!
//! ```
//! use gpt2_task::catalogue;
//!
//! let names: Vec<&str> = catalogue::samplers().iter().map(|choice| choice.name).collect();
//! assert_eq!(names, ["beam", "contrastive", "greedy", "random", "top_k", "top_p"]);
//! assert_eq!(catalogue::samplers()[4].to_string(), "top_k:k=5,temperature=1.0,seed=none");
//! ```

use std::fmt;

use serde_json::Value;

use crate::generation::samplers::config::{NAMES, SamplerConfig};
use crate::training::optimizers::config::{RULES, SETTINGS, get};
use crate::training::schedule::text::SCHEDULES;

/// Named choice with arguments, as text `name:argument=value,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Name.
    pub name: &'static str,
    /// Arguments, in the order of the type's fields.
    pub arguments: Vec<Argument>,
}

/// Argument of a [`Choice`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Argument {
    /// Name.
    pub name: String,
    /// Default: a value, `none`, or the source of the value.
    pub default: String,
}

impl Argument {
    fn new(name: &str, default: impl Into<String>) -> Self {
        Self { name: name.to_owned(), default: default.into() }
    }
}

/// The name, then each argument with its default.
impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        for (index, Argument { name, default }) in self.arguments.iter().enumerate() {
            let separator = if index == 0 { ':' } else { ',' };
            write!(formatter, "{separator}{name}={default}")?;
        }
        Ok(())
    }
}

/// Samplers for [`SamplerConfig`].
pub fn samplers() -> Vec<Choice> {
    let choice = |name: &'static str| {
        let config: SamplerConfig = name.parse().ok()?;
        let Value::Object(object) = serde_json::to_value(config).ok()? else { return None };
        let own = object.iter().filter(|(key, _)| *key != "name");
        let arguments = own.map(|(key, value)| Argument::new(key, text(value))).collect();
        Some(Choice { name, arguments })
    };
    NAMES.into_iter().filter_map(choice).collect()
}

/// Optimizers for [`optimizers::get`](crate::optimizers::get). Arguments that all of them have are
/// listed by [`optimizer_settings`].
pub fn optimizers() -> Vec<Choice> {
    let choice = |name: &'static str| {
        // The full name of a rule contains all its arguments.
        let optimizer = get(name).ok()?;
        let full = optimizer.name();
        let (_, arguments) = full.split_once(':').unwrap_or_default();
        let pairs = arguments.split(',').filter_map(|argument| argument.split_once('='));
        let own = pairs.map(|(key, value)| Argument::new(key, value));
        // A rule with a default of its own for an argument that all optimizers have.
        let decay = optimizer.weight_decay();
        let decay = decay.map(|decay| Argument::new("weight_decay", decay.to_string()));
        Some(Choice { name, arguments: own.chain(decay).collect() })
    };
    RULES.iter().filter_map(|(name, ..)| choice(name)).collect()
}

/// Arguments that every optimizer has.
pub fn optimizer_settings() -> Vec<&'static str> {
    SETTINGS.iter().map(|(name, _)| *name).collect()
}

/// Schedules for [`LearningRate::from_text`](crate::LearningRate::from_text).
pub fn schedules() -> Vec<Choice> {
    let choice = |(name, arguments): (&'static str, &[(&str, &str)])| {
        let arguments = arguments.iter().map(|(key, value)| Argument::new(key, *value)).collect();
        Choice { name, arguments }
    };
    SCHEDULES.into_iter().map(choice).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        // A 32-bit float that is widened to 64 bits shows spurious digits.
        Value::Number(number) if number.is_f64() => {
            format!("{:?}", number.as_f64().unwrap_or_default() as f32)
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::schedule::learning_rate::LearningRate;

    /// Names in the message about an unknown one.
    fn listed(message: &str) -> Vec<&str> {
        let (_, list) = message.split_once("expected one of ").unwrap();
        list.split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_names_of_samplers_are_those_that_are_parsed() {
        let message = "nothing".parse::<SamplerConfig>().unwrap_err().to_string();
        assert_eq!(listed(&message), NAMES);
        assert_eq!(samplers().len(), NAMES.len());
    }

    #[test]
    fn the_arguments_of_schedules_are_those_that_are_parsed() {
        for Choice { name, arguments } in schedules() {
            for argument in arguments {
                let text = format!("{name}:{}=x", argument.name);
                let message = LearningRate::from_text_for_steps(&text, 0.1, 9).unwrap_err();
                let message = message.to_string();
                assert!(message.contains(&format!("`{}` must be", argument.name)), "{message}");
            }
        }
        let message = LearningRate::from_text("nothing", 0.1).unwrap_err().to_string();
        let names: Vec<&str> = schedules().iter().map(|choice| choice.name).collect();
        assert_eq!(listed(&message), names);
    }

    #[test]
    fn optimizers_have_their_own_arguments_and_the_common_ones() {
        let adamw = optimizers().into_iter().find(|choice| choice.name == "adamw").unwrap();
        assert!(adamw.to_string().starts_with("adamw:beta_1=0.9,"), "{adamw}");
        assert!(adamw.to_string().ends_with(",weight_decay=0.004"), "{adamw}");
        assert!(optimizer_settings().contains(&"weight_decay"));
        assert!(optimizers().iter().all(|choice| !choice.arguments.is_empty()));
    }
}
