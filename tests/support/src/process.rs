//! Tests that run again in another process of the same program.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Output};

use crate::skip;

/// Variable set in the process in which a test runs as another user.
const IS_NOBODY: &str = "GPT2_TEST_IS_NOBODY";
/// Exit codes of `setpriv` if it cannot become the user or start the program.
const SETPRIV_FAILED: [i32; 3] = [1, 126, 127];

/// Command for a process of this program that runs one test: `name` is its path with all modules.
///
/// The test distinguishes the two processes by an environment variable. The work of a helper
/// process is therefore not counted as a test.
pub fn test_process(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the program has a path"));
    command.args(["--exact", name, "--nocapture"]);
    command
}

/// Runs a test's work in a process of its own. The variable `role` marks that process, which does
/// the work; this process starts it and checks that it succeeds.
pub fn in_own_process(name: &str, role: &str, work: impl FnOnce()) {
    if env::var_os(role).is_some() {
        return work();
    }
    let output = test_process(name).env(role, "1").output().expect("the program starts again");
    assert_passed(&output);
}

/// Runs a superuser's test again as the user `nobody`, because permissions do not bind the
/// superuser.
///
/// Skips the test without `setpriv`, or if that user cannot start the program.
pub fn as_nobody(name: &str) {
    assert!(env::var_os(IS_NOBODY).is_none(), "permissions do not bind the user nobody either");
    let program = env::current_exe().expect("the program has a path");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["--exact", name, "--nocapture"])
        .env(IS_NOBODY, "1")
        .output();
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("permissions do not bind the superuser, and setpriv is not installed");
        }
        Err(error) => panic!("setpriv: {error}"),
        Ok(output) if could_not_start(&output) => {
            skip(
                "permissions do not bind the superuser, and the user nobody cannot start the tests",
            );
        }
        Ok(output) => assert_passed(&output),
    }
}

/// Whether `setpriv` failed before it started the program.
fn could_not_start(output: &Output) -> bool {
    let code = output.status.code();
    output.stdout.is_empty()
        && output.stderr.starts_with(b"setpriv: ")
        && code.is_some_and(|code| SETPRIV_FAILED.contains(&code))
}

/// Asserts that a process of [`test_process`] passed its test.
#[track_caller]
pub fn assert_passed(output: &Output) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
