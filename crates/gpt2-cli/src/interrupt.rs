//! Ctrl-C and SIGTERM.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of an interrupted command.
pub const EXIT_CODE: u8 = 130;

/// State that the signal handlers share with the program.
struct Signals {
    /// Whether a signal ends the process at once.
    ends: Arc<AtomicBool>,
    /// Whether a signal was received.
    came: Arc<AtomicBool>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// Makes SIGINT and SIGTERM end the process with the exit code 130.
pub(crate) fn listen() {
    SIGNALS.get_or_init(|| {
        let (ends, came) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            // In this order: a signal that is held back arms the second handler. If a handler
            // cannot be installed, the signals keep their default action, which ends the process
            // too.
            let _ =
                flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&ends));
            let _ = flag::register(signal, Arc::clone(&came));
            let _ = flag::register(signal, Arc::clone(&ends));
        }
        Signals { ends, came }
    });
}

/// Holds back the next signal: [`requested`] then returns true, and the command ends by itself. A
/// second signal ends the process at once.
pub fn hold_back() {
    if let Some(signals) = SIGNALS.get() {
        signals.ends.store(false, Ordering::SeqCst);
    }
}

/// Whether a signal was received.
pub fn requested() -> bool {
    SIGNALS.get().is_some_and(|signals| signals.came.load(Ordering::SeqCst))
}
