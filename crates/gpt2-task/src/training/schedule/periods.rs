//! Elapsed periods of the schedules that decay once in `decay_steps` steps.

/// Number of periods of `decay_steps` steps up to a step; an integer for a staircase.
pub(super) fn periods(step: u64, decay_steps: u64, staircase: bool) -> f32 {
    let periods = step as f32 / decay_steps as f32;
    if staircase { periods.floor() } else { periods }
}
