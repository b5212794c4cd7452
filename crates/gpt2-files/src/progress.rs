//! Callbacks of the user that report progress.

use std::fmt;
use std::sync::Arc;

/// Callback of the user, or none.
///
/// `Debug` shows only which of the two, so that options with a callback can derive `Debug`.
pub struct Listener<F: ?Sized>(pub Option<Arc<F>>);

/// Callback that receives the number of bytes done and the total.
pub type OnProgress = Listener<dyn Fn(u64, u64) + Send + Sync>;

impl OnProgress {
    /// Wraps `on_progress(done, total)`.
    pub fn new(on_progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_progress)))
    }

    /// Calls the callback, if there is one.
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
