//! Functions of the user's that are told how far the work is.

use std::fmt;
use std::sync::Arc;

/// A function of the user's, or none. Its `Debug` shows no more than that, so that options which
/// hold one can derive theirs.
pub struct Listener<F: ?Sized>(pub Option<Arc<F>>);

/// Told how much is done and how much there is, in bytes.
pub type OnProgress = Listener<dyn Fn(u64, u64) + Send + Sync>;

impl OnProgress {
    /// A listener that calls `on_progress(done, total)`.
    pub fn new(on_progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_progress)))
    }

    /// Calls the function, if there is one.
    pub fn tell(&self, done: u64, total: u64) {
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
