//! Progress over a model's parameters.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_files::OnProgress;

/// Counts the bytes of a model's parameters as 32-bit floats.
pub(crate) struct ParameterCount<'a> {
    on_progress: &'a OnProgress,
    done: u64,
    total: u64,
}

impl<'a> ParameterCount<'a> {
    pub(crate) fn new(config: &Gpt2BackboneConfig, on_progress: &'a OnProgress) -> Self {
        let total = config.parameter_count().saturating_mul(4);
        Self { on_progress, done: 0, total: u64::try_from(total).unwrap_or(u64::MAX) }
    }

    /// Counts these values and reports the progress.
    pub(crate) fn add(&mut self, values: &[f32]) {
        self.done += 4 * values.len() as u64;
        self.on_progress.tell(self.done, self.total);
    }
}
