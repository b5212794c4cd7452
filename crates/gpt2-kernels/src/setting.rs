//! The selection of kernels.

use std::sync::LazyLock;

/// The variable `GPT2_KERNELS`: `composed` for burn's own operations, `scalar` or `avx2` for
/// narrower vectors than the processor has, `unrecorded` to not record
/// [`Repeated`](crate::Repeated) computations.
pub(crate) fn setting() -> Option<&'static str> {
    static SETTING: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("GPT2_KERNELS").ok());
    SETTING.as_deref()
}
