//! `TokenizeOptions`: options of `Corpus::tokenize`.

use std::path::PathBuf;

use gpt2_files::OnProgress;

/// Options of [`Corpus::tokenize`](crate::Corpus::tokenize).
#[derive(Debug, Clone)]
pub struct TokenizeOptions {
    pub(crate) cache_folder: PathBuf,
    pub(crate) end_tokens: bool,
    pub(crate) threads: Option<usize>,
    pub(crate) on_progress: OnProgress,
}

impl TokenizeOptions {
    /// Default options. `cache_folder` holds the files of token ids, and is created if it does not
    /// exist.
    pub fn new(cache_folder: impl Into<PathBuf>) -> Self {
        let cache_folder = cache_folder.into();
        Self { cache_folder, end_tokens: true, threads: None, on_progress: OnProgress::default() }
    }

    /// Sets whether `<|endoftext|>` follows each document, as in GPT-2's training. Default: true.
    #[must_use]
    pub fn with_end_tokens(mut self, end_tokens: bool) -> Self {
        self.end_tokens = end_tokens;
        self
    }

    /// Sets the number of threads, at least 1. The ids are the same for any number. Default: the
    /// number of cores.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Calls `on_progress(done, total)` from time to time, in bytes of the corpus. It is not called
    /// when the ids are cached.
    #[must_use]
    pub fn with_on_progress(
        mut self,
        on_progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Self {
        self.on_progress = OnProgress::new(on_progress);
        self
    }
}
