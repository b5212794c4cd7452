//! //! The CPU cores that the operations share.

/// Runs a computation on one of the operations' worker threads. A computation that calls many
/// operations then need not wake the workers for each of them.
pub fn run_on_cores<R: Send>(compute: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| compute());
    #[cfg(not(feature = "flex"))]
    compute()
}
