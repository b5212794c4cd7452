//! Which crate may depend on which: the arrows of ARCHITECTURE.md.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::check::cargo_command;

/// Every crate of the workspace that users depend on, and what of interest it may depend on.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("gpt2-tokenizer", &[]),
    ("gpt2-kernels", &["burn", "burn-cubecl"]),
    ("gpt2-backbone", &["burn", "gpt2-kernels"]),
    ("gpt2-task", &["burn", "gpt2-kernels", "gpt2-backbone", "gpt2-tokenizer"]),
    (
        "gpt2-presets",
        &[
            "burn",
            "gpt2-backbone",
            "gpt2-task",
            "gpt2-tokenizer",
            "hf-hub",
            "memmap2",
            "pytorch-reader",
            "rust-hdf5",
            "safetensors",
            "ureq",
            "zip",
        ],
    ),
];

/// Dependencies that tell layers apart: tensors, files and the network, and our own crates.
fn is_of_interest(dependency: &str) -> bool {
    let files_and_network = [
        "hf-hub",
        "memmap2",
        "pytorch-reader",
        "reqwest",
        "rust-hdf5",
        "safetensors",
        "ureq",
        "zip",
    ];
    dependency.starts_with("gpt2-")
        || dependency.starts_with("burn")
        || files_and_network.contains(&dependency)
}

/// Compares the manifests with the table; dependencies of tests are free.
pub fn check() -> anyhow::Result<()> {
    let output = cargo_command()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("starting cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let problems = violations(&metadata);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn violations(metadata: &Value) -> Vec<String> {
    let allowed = BTreeMap::from(ALLOWED);
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter_map(|package| {
            let name = package["name"].as_str()?;
            let dependencies = package["dependencies"].as_array()?;
            Some((name, allowed.get(name)?, dependencies))
        })
        .flat_map(|(name, allowed, dependencies)| {
            let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            normal
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|dependency| is_of_interest(dependency) && !allowed.contains(dependency))
                .map(move |dependency| format!("{name} must not depend on {dependency}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_forbidden_arrow_is_found_and_a_test_dependency_is_not() {
        let metadata = json!({"packages": [{
            "name": "gpt2-tokenizer",
            "dependencies": [
                {"name": "burn", "kind": null},
                {"name": "serde", "kind": null},
                {"name": "gpt2-backbone", "kind": "dev"},
            ],
        }]});
        assert_eq!(violations(&metadata), ["gpt2-tokenizer must not depend on burn"]);
    }
}
