//! Ctrl-C and SIGTERM.
//!
//! A signal ends the process with [`EXIT_CODE`]. On Unix a thread waits for it, and first removes
//! the files and folders that are staged: a handler itself could not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of an interrupted command.
pub const EXIT_CODE: u8 = 130;

/// State that the signal handlers share with the program.
struct Signals {
    /// Whether a signal ends the process at once, in its handler.
    ends: Arc<AtomicBool>,
    /// Whether a signal was received.
    came: Arc<AtomicBool>,
    /// Whether the command ends by itself after a signal.
    held_back: AtomicBool,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// Makes SIGINT and SIGTERM end the process with the exit code 130.
pub(crate) fn listen() {
    SIGNALS.get_or_init(|| {
        let ends = Arc::new(AtomicBool::new(!waits_for_signals()));
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal arms the handler that ends the process at the second
            // one. If a handler cannot be installed, the signals keep their default action, which
            // ends the process too.
            let _ =
                flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&ends));
            let _ = flag::register(signal, Arc::clone(&came));
            let _ = flag::register(signal, Arc::clone(&ends));
        }
        Signals { ends, came, held_back: AtomicBool::new(false) }
    });
}

/// Holds back the next signal: [`requested`] then returns true, and the command ends by itself. A
/// second signal ends the process at once.
pub fn hold_back() {
    if let Some(signals) = SIGNALS.get() {
        signals.held_back.store(true, Ordering::SeqCst);
        signals.ends.store(false, Ordering::SeqCst);
    }
}

/// Whether a signal was received.
pub fn requested() -> bool {
    SIGNALS.get().is_some_and(|signals| signals.came.load(Ordering::SeqCst))
}

/// Starts a thread that ends the process after a signal, unless the command holds it back. False if
/// that is not possible.
#[cfg(unix)]
fn waits_for_signals() -> bool {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use signal_hook::low_level;

    let Ok((mut receiver, sender)) = UnixStream::pair() else { return false };
    let registered = [SIGINT, SIGTERM].into_iter().all(|signal| {
        sender.try_clone().and_then(|sender| low_level::pipe::register(signal, sender)).is_ok()
    });
    let wait = move || {
        while receiver.read_exact(&mut [0]).is_ok() {
            if !SIGNALS.get().is_some_and(|signals| signals.held_back.load(Ordering::SeqCst)) {
                gpt2_files::end_early(|| low_level::exit(EXIT_CODE.into()));
            }
        }
    };
    registered && thread::Builder::new().name("signals".to_owned()).spawn(wait).is_ok()
}

#[cfg(not(unix))]
fn waits_for_signals() -> bool {
    false
}
