//! Checks of samplers' arguments.

use crate::error::TaskError;

/// Most rows that a search keeps for one prompt. Each row has a cache of its own, so that more rows
/// would need more memory than they are worth.
pub(super) const MAX_BRANCHES: usize = 1024;

/// Rejects an argument of a sampler unless `valid`.
pub(super) fn check(
    valid: bool,
    sampler: &'static str,
    argument: &'static str,
    expected: impl Into<String>,
    found: impl ToString,
) -> Result<(), TaskError> {
    if valid {
        return Ok(());
    }
    let (expected, found) = (expected.into(), found.to_string());
    Err(TaskError::InvalidSamplerArgument { sampler, argument, expected, found })
}

pub(super) fn check_temperature(sampler: &'static str, temperature: f32) -> Result<(), TaskError> {
    let valid = temperature.is_finite() && temperature > 0.0;
    let expected = "a positive number (the sampler `greedy` is the limit at 0)";
    check(valid, sampler, "temperature", expected, temperature)
}

pub(super) fn check_count(
    sampler: &'static str,
    argument: &'static str,
    count: usize,
    limit: usize,
) -> Result<(), TaskError> {
    let expected = format!("between 1 and {limit}");
    check((1..=limit).contains(&count), sampler, argument, expected, count)
}
