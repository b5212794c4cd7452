//! Fetches files of a model with the options of the environment, and prints their paths. The tests
//! start it as processes that download at the same time or are killed.
//!
//!     gpt2-hub-fetch hf://a/b config.json model.safetensors
//!
//! A failure is printed to standard error in its `Debug` form, so that a test can recognise it.

use std::process::ExitCode;

use gpt2_hub::{HubError, HubOptions, open};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let handle = arguments.next().expect("a handle");
    match fetch(&handle, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn fetch(handle: &str, names: impl Iterator<Item = String>) -> Result<(), HubError> {
    let folder = open(handle, &[handle.parse()?], "config.json", &HubOptions::new())?;
    for name in names {
        match folder.fetch(&name)? {
            Some(path) => println!("{}", path.display()),
            None => println!("absent"),
        }
    }
    Ok(())
}
