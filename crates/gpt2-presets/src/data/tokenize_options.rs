//! How a corpus is tokenized.

use std::path::PathBuf;

use gpt2_files::OnProgress;

/// How a corpus is tokenized, and where its ids are kept.
#[derive(Debug, Clone)]
pub struct TokenizeOptions {
    pub(crate) cache_folder: PathBuf,
    pub(crate) end_tokens: bool,
    pub(crate) threads: Option<usize>,
    pub(crate) on_progress: OnProgress,
}

impl TokenizeOptions {
    /// The defaults: an end token behind each document, as many threads as there are cores. Files
    /// of token ids are kept in `cache_folder`, which is created if need be.
    pub fn new(cache_folder: impl Into<PathBuf>) -> Self {
        let cache_folder = cache_folder.into();
        Self { cache_folder, end_tokens: true, threads: None, on_progress: OnProgress::default() }
    }

    /// Whether `<|endoftext|>` is put behind each document, as GPT-2's training does.
    #[must_use]
    pub fn with_end_tokens(mut self, end_tokens: bool) -> Self {
        self.end_tokens = end_tokens;
        self
    }

    /// How many threads tokenize, at least 1; the ids do not depend on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Calls `on_progress(done, total)` now and then, in bytes of the corpus. It is not called
    /// where the ids are there already.
    #[must_use]
    pub fn with_on_progress(
        mut self,
        on_progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Self {
        self.on_progress = OnProgress::new(on_progress);
        self
    }
}
