//! Reports to the user's callback about a file's transfer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::options::{DownloadProgress, HubOptions, OnDownload};

const INTERVAL: Duration = Duration::from_millis(100);

/// Reports about one file.
pub(crate) struct Progress {
    on_progress: OnDownload,
    file: String,
    last: Mutex<Option<Instant>>,
}

impl Progress {
    pub(crate) fn new(options: &HubOptions, display: &str) -> Self {
        let (on_progress, file) = (options.on_progress.clone(), display.to_owned());
        Self { on_progress, file, last: Mutex::new(None) }
    }

    /// Reports the progress, if the last report is old enough.
    pub(crate) fn tell(&self, done: u64, total: Option<u64>) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.report(done, total);
        }
    }

    /// Reports the progress.
    pub(crate) fn report(&self, done: u64, total: Option<u64>) {
        let Some(on_progress) = &self.on_progress.0 else { return };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        on_progress(&DownloadProgress { file: self.file.clone(), done, total });
    }
}
