//! `cargo xtask check`: all checks before a change is merged, except the tests.

use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::{arrows, cargo, one_build, structure, tidy};

/// Runs the checks in order and stops at the first failure.
pub fn run() -> anyhow::Result<ExitCode> {
    cargo::enter_workspace()?;
    step("tidy", tidy::check)?;
    step("crate arrows", arrows::check)?;
    step("import cycles", structure::check)?;
    step("one build", one_build::check)?;
    step("reference of the commands", commands)?;
    step("fmt", || cargo::run(&["fmt", "--all", "--check"], &[]))?;
    step("clippy", || {
        cargo::run(
            &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"],
            &[],
        )
    })?;
    step("docs", || {
        cargo::run(
            &["doc", "--release", "--workspace", "--no-deps"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
    })?;
    println!("check: all passed");
    Ok(ExitCode::SUCCESS)
}

/// Compares the documented reference of the commands with the program's arguments.
fn commands() -> anyhow::Result<()> {
    let path = "docs/commands.md";
    let written = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let remedy = "run `cargo run --release -- man --markdown > docs/commands.md`";
    ensure!(
        written == gpt2_cli::reference(),
        "{path} differs from the program's arguments; {remedy}"
    );
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("check: {name}");
    run().with_context(|| format!("check `{name}` failed"))
}
