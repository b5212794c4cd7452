//! The command `gpt2`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gpt2_cli::main()
}
