//! Calls of the cargo that runs this program.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

/// The cargo that runs this program, or else the one in the path.
pub fn command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Changes the current folder to the workspace's root.
pub fn enter_workspace() -> anyhow::Result<()> {
    let root = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    std::env::set_current_dir(root).context("cannot enter the workspace")
}

/// Runs cargo with its output on the terminal.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let status = command()
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` reports problems", arguments.join(" "));
    }
    Ok(())
}

/// Packages of the workspace, as `cargo metadata` describes them.
pub fn packages() -> anyhow::Result<Vec<Value>> {
    let output = command()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start cargo metadata")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}
