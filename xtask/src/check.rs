//! `cargo xtask check`: everything that must hold before a change lands, besides the tests.

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use crate::{arrows, tidy};

/// Runs the checks in order and stops at the first that fails.
pub fn run() -> anyhow::Result<ExitCode> {
    let root = env!("CARGO_MANIFEST_DIR");
    std::env::set_current_dir(format!("{root}/..")).context("entering the workspace")?;
    step("tidy", tidy::check)?;
    step("crate arrows", arrows::check)?;
    step("fmt", || cargo(&["fmt", "--all", "--check"], &[]))?;
    step("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
    })?;
    step("docs", || {
        cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    println!("check: all passed");
    Ok(ExitCode::SUCCESS)
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("check: {name}");
    run().with_context(|| format!("check `{name}` failed"))
}

/// The cargo that runs this program, or the one on the path.
pub fn cargo_command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let status = cargo_command()
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("`cargo {}` reports problems", arguments.join(" "));
    }
    Ok(())
}
