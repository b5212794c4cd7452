//! Time of the schedules that decay by a rate once in so many steps.

/// Periods of `decay_steps` steps up to a step: whole ones of a staircase.
pub(super) fn periods(step: u64, decay_steps: u64, staircase: bool) -> f32 {
    let periods = step as f32 / decay_steps as f32;
    if staircase { periods.floor() } else { periods }
}
