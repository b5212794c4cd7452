//! Helpers of all crates' tests: reported skips, and tests in a process of their own.
#![forbid(unsafe_code)]

mod process;
mod skip;

pub use process::{as_nobody, assert_passed, in_own_process, test_process};
pub use skip::{needs, skip};

/// Whether the tests of random damage and kills run longer: `GPT2_LONG_TESTS` is set.
pub fn is_long() -> bool {
    std::env::var_os("GPT2_LONG_TESTS").is_some()
}
