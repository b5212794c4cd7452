//! Samplers, optimizers and schedules as text: `name:argument=value,…`.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::error::TaskError;

/// Name with arguments, whose faults are reported in the words of the text.
pub(crate) struct ChoiceText<'a> {
    /// `sampler`, `optimizer` or `schedule`.
    kind: &'static str,
    name: &'a str,
    arguments: Vec<Argument>,
}

/// Argument of a [`ChoiceText`].
pub(crate) struct Argument {
    name: String,
    text: String,
    /// The text as JSON. Anything but a number, a boolean or a list is a string.
    value: Value,
}

/// Fault of an argument.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The value is not of this kind.
    Value { expected: String },
    /// No argument has this name, expected one of these.
    Name { found: String, expected: &'static [&'static str] },
    /// Any other fault.
    Other(String),
}

impl<'a> ChoiceText<'a> {
    /// Splits a text into its name and arguments. Lists are in brackets.
    pub(crate) fn parse(kind: &'static str, text: &'a str) -> Result<Self, TaskError> {
        let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
        let mut choice = Self { kind, name: name.trim(), arguments: Vec::new() };
        for argument in split(arguments).filter(|argument| !argument.trim().is_empty()) {
            let Some((name, value)) = argument.split_once('=') else {
                return Err(choice.fault(format!("`{argument}` is not of the form `name=value`")));
            };
            if choice.has(name.trim()) {
                return Err(choice.fault(format!("`{}` is given twice", name.trim())));
            }
            choice.arguments.push(Argument::new(name.trim(), value.trim()));
        }
        Ok(choice)
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    pub(crate) fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|given| given.name == argument)
    }

    /// Removes an argument.
    pub(crate) fn take(&mut self, argument: &str) -> Option<Argument> {
        let index = self.arguments.iter().position(|given| given.name == argument)?;
        Some(self.arguments.remove(index))
    }

    /// Value of an argument, if that is a whole number.
    pub(crate) fn count(&self, argument: &str) -> Option<u64> {
        let mut given = self.arguments.iter().filter(|given| given.name == argument);
        given.next().and_then(|argument| argument.value.as_u64())
    }

    /// Adds an argument, unless it is given.
    pub(crate) fn set_default(&mut self, argument: &str, value: impl Into<Value>) {
        if !self.has(argument) {
            let (name, value) = (argument.to_owned(), value.into());
            self.arguments.push(Argument { name, text: value.to_string(), value });
        }
    }

    /// Rejects arguments with other names.
    pub(crate) fn check_names(&self, names: &[&str]) -> Result<(), TaskError> {
        let mut given = self.arguments.iter();
        match given.find(|argument| !names.contains(&argument.name.as_str())) {
            Some(argument) => Err(self.unknown_argument(&argument.name, names)),
            None => Ok(()),
        }
    }

    /// Reads the arguments into a type that rejects unknown ones. `others` are names besides the
    /// type's that were taken before.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, others: &[&str]) -> Result<T, TaskError> {
        let arguments = std::mem::take(&mut self.arguments).into_iter();
        let pairs = arguments.map(|argument| (argument.name.clone(), argument));
        T::deserialize(MapDeserializer::new(pairs)).map_err(|fault: Fault| match fault {
            Fault::Name { found, expected } => {
                let others = others.iter().filter(|name| !expected.contains(name));
                let names: Vec<&str> = expected.iter().chain(others).copied().collect();
                self.unknown_argument(&found, &names)
            }
            fault => self.fault(fault.to_string()),
        })
    }

    /// Reads an argument that was taken.
    pub(crate) fn read_argument<T: DeserializeOwned>(
        &self,
        argument: Argument,
    ) -> Result<T, TaskError> {
        T::deserialize(argument).map_err(|fault| self.fault(fault.to_string()))
    }

    fn fault(&self, reason: String) -> TaskError {
        TaskError::InvalidChoice { kind: self.kind, name: self.name.to_owned(), reason }
    }

    /// Error for a name that is not among these.
    pub(crate) fn unknown_name(&self, names: &[&str]) -> TaskError {
        self.fault(format!("unknown name, expected one of {}", list(names)))
    }

    fn unknown_argument(&self, found: &str, names: &[&str]) -> TaskError {
        let expected = match names {
            [] => "none".to_owned(),
            [name] => format!("`{name}`"),
            names => format!("one of {}", list(names)),
        };
        self.fault(format!("unknown argument `{found}`, expected {expected}"))
    }

    /// Error of a value out of range, in the words of the text.
    pub(crate) fn refused(&self, error: TaskError) -> TaskError {
        match error {
            TaskError::InvalidTrainingArgument { argument, expected, found, .. } => {
                self.fault(format!("`{argument}` must be {expected}, found {found}"))
            }
            error => error,
        }
    }
}

impl Argument {
    fn new(name: &str, text: &str) -> Self {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Self { name: name.to_owned(), text: text.to_owned(), value }
    }
}

impl Fault {
    /// Adds the argument with the refused value.
    fn of(self, argument: &str, text: &str) -> Self {
        match self {
            Self::Value { expected } => {
                Self::Other(format!("`{argument}` must be {expected}, found {text}"))
            }
            fault => fault,
        }
    }
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

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl<'de> Deserializer<'de> for Argument {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { name, text, value } = self;
        let found = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(count), _) => visitor.visit_u64(count),
                (None, Some(integer)) => visitor.visit_i64(integer),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(string) => visitor.visit_string(string),
            Value::Array(values) => {
                let elements = values.iter().map(|value| Self::new(&name, &value.to_string()));
                visitor.visit_seq(SeqDeserializer::new(elements))
            }
            Value::Object(_) => Err(de::Error::invalid_type(Unexpected::Map, &visitor)),
        };
        found.map_err(|fault| fault.of(&name, &text))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // As `catalogue` writes the absence of a value.
        if self.text == "none" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let found = visitor.visit_enum(self.text.as_str().into_deserializer());
        found.map_err(|fault: Fault| fault.of(&self.name, &self.text))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Fault> for Argument {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { expected } => write!(formatter, "expected {expected}"),
            Self::Name { found, .. } => write!(formatter, "unknown argument `{found}`"),
            Self::Other(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Other(reason.to_string())
    }

    fn invalid_type(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Value { expected: words(&expected.to_string()) }
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Value { expected: words(&expected.to_string()) }
    }

    fn unknown_variant(_found: &str, expected: &'static [&'static str]) -> Self {
        Self::Value { expected: format!("one of {}", list(expected)) }
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Self {
        Self::Name { found: found.to_owned(), expected }
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Other(format!("the argument `{name}` is missing"))
    }
}

/// A type in the words of a user. serde names Rust's types.
fn words(expected: &str) -> String {
    let words = match expected {
        "u64" | "usize" => "a whole number from 0",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        other => other,
    };
    words.to_owned()
}
