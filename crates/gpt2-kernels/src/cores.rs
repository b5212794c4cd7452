//! The cores that the operations share.

/// Runs a computation on one of the cores that the operations use, so that they need not be woken
/// for each of them.
pub fn run_on_cores<R: Send>(compute: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| compute());
    #[cfg(not(feature = "flex"))]
    compute()
}
