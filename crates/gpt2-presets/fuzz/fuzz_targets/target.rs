//! Feeds libFuzzer's inputs to a parser. The name of the binary selects the parser.
#![no_main]

#[path = "../../tests/fuzz_targets.rs"]
#[allow(dead_code, reason = "the campaign in `tests/mutations.rs` uses more of it")]
mod fuzz_targets;

use std::sync::LazyLock;

use fuzz_targets::{Prepared, TARGETS, handle};
use libfuzzer_sys::fuzz_target;

const NAME: &str = env!("CARGO_BIN_NAME");

static PREPARED: LazyLock<Option<Prepared<'static>>> = LazyLock::new(|| {
    TARGETS.iter().find(|target| target.name == NAME).map(|target| target.prepare())
});

fuzz_target!(|bytes: &[u8]| {
    // An error is a valid result; a panic, a memory leak or a long run is a finding.
    let _ = match &*PREPARED {
        Some(prepared) => prepared.read(bytes),
        None => handle(&String::from_utf8_lossy(bytes)),
    };
});
