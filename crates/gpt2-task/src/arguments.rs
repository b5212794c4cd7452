//! Checks of the arguments of optimizers, schedules, callbacks and `fit`.

use crate::error::TaskError;

/// Error for an argument that is out of range.
pub(crate) fn invalid(
    owner: &str,
    argument: &'static str,
    expected: &str,
    found: impl ToString,
) -> TaskError {
    TaskError::InvalidTrainingArgument {
        owner: owner.to_owned(),
        argument,
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

/// Rejects an argument unless `valid`.
pub(crate) fn check(
    valid: bool,
    owner: &str,
    argument: &'static str,
    expected: &str,
    found: impl ToString,
) -> Result<(), TaskError> {
    if valid {
        return Ok(());
    }
    Err(invalid(owner, argument, expected, found))
}

/// Rejects a number that is negative, or not finite in the floats that schedules compute with.
pub(crate) fn check_number(
    owner: &str,
    argument: &'static str,
    value: f64,
) -> Result<(), TaskError> {
    let valid = (value as f32).is_finite() && value >= 0.0;
    check(valid, owner, argument, "a finite number that is not negative", value)
}

/// Rejects 0 steps.
pub(crate) fn check_steps(
    owner: &str,
    argument: &'static str,
    steps: u64,
) -> Result<(), TaskError> {
    check(steps > 0, owner, argument, "at least 1", steps)
}

/// Rejects a number outside of `0 <= x < 1`.
pub(crate) fn check_fraction(
    owner: &str,
    argument: &'static str,
    found: f64,
) -> Result<(), TaskError> {
    let valid = (0.0..1.0).contains(&found);
    check(valid, owner, argument, "at least 0 and below 1", found)
}

/// Rejects a number that is not positive.
pub(crate) fn check_positive(
    owner: &str,
    argument: &'static str,
    found: f64,
) -> Result<(), TaskError> {
    check(found > 0.0 && found.is_finite(), owner, argument, "a positive number", found)
}

/// Rejects a count of 0.
pub(crate) fn check_count(
    owner: &str,
    argument: &'static str,
    found: usize,
) -> Result<(), TaskError> {
    check(found > 0, owner, argument, "at least 1", found)
}
