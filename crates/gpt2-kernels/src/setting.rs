//! Which kernels are used.

use std::sync::LazyLock;

/// The variable `GPT2_KERNELS`: `composed` for burn's own operations, `scalar` or `avx2` for less
/// than the processor has, `unrecorded` as if no [`Repeated`](crate::Repeated) could be recorded.
pub(crate) fn setting() -> Option<&'static str> {
    static SETTING: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("GPT2_KERNELS").ok());
    SETTING.as_deref()
}
