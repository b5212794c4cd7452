//! What a user's program is told while work goes on.

use std::fmt;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;

/// A function of the user's, or none. It is not shown, so that options which hold one can derive
/// `Debug`.
pub(crate) struct Listener<F: ?Sized>(pub(crate) Option<Arc<F>>);

/// Told how much is done and how much there is, in bytes.
pub(crate) type OnProgress = Listener<dyn Fn(u64, u64) + Send + Sync>;

impl OnProgress {
    pub(crate) fn new(on_progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_progress)))
    }

    pub(crate) fn tell(&self, done: u64, total: u64) {
        if let Some(on_progress) = &self.0 {
            on_progress(done, total);
        }
    }
}

impl<F: ?Sized> Clone for Listener<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: ?Sized> Default for Listener<F> {
    fn default() -> Self {
        Self(None)
    }
}

impl<F: ?Sized> fmt::Debug for Listener<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "a function" } else { "none" })
    }
}

/// Counts the bytes of a model's parameters, as 32-bit floats.
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

    /// Tells that these are done too.
    pub(crate) fn add(&mut self, values: &[f32]) {
        self.done += 4 * values.len() as u64;
        self.on_progress.tell(self.done, self.total);
    }
}
