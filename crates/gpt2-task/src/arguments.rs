//! Arguments written as text, `name=value`: of samplers, optimizers and schedules.

use serde_json::{Map, Value};

/// Adds arguments to an object, or says what is wrong with one.
pub(crate) fn read_arguments<'a>(
    arguments: impl Iterator<Item = &'a str>,
    object: &mut Map<String, Value>,
) -> Result<(), String> {
    for argument in arguments {
        let (name, value) = argument
            .split_once('=')
            .ok_or_else(|| format!("`{argument}` is not of the form `name=value`"))?;
        let (name, value) = (name.trim(), value.trim());
        // What is not a number, a truth value or a list is a word.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if object.insert(name.to_owned(), value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(())
}
