//! Allowed dependencies between crates: the arrows of ARCHITECTURE.md.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::{Value, json};

use crate::cargo;

/// Libraries of the workspace from the bottom layer up, with the checked dependencies of each.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("gpt2-files", &[]),
    ("gpt2-tokenizer", &["gpt2-files"]),
    ("gpt2-kernels", &["burn", "burn-cubecl"]),
    ("gpt2-backbone", &["burn", "gpt2-kernels"]),
    ("gpt2-task", &["burn", "gpt2-kernels", "gpt2-backbone", "gpt2-tokenizer"]),
    ("gpt2-hub", &["gpt2-files", "hf-hub", "ureq"]),
    ("gpt2-data", &["gpt2-files", "gpt2-task", "gpt2-tokenizer"]),
    (
        "gpt2-presets",
        &[
            "burn",
            "gpt2-backbone",
            "gpt2-data",
            "gpt2-files",
            "gpt2-hub",
            "gpt2-task",
            "gpt2-tokenizer",
            "memmap2",
            "pytorch-reader",
            "rust-hdf5",
            "safetensors",
            "zip",
        ],
    ),
    (
        "gpt2",
        &[
            "burn",
            "gpt2-backbone",
            "gpt2-data",
            "gpt2-files",
            "gpt2-hub",
            "gpt2-kernels",
            "gpt2-presets",
            "gpt2-task",
            "gpt2-tokenizer",
        ],
    ),
    (
        "gpt2-cli",
        &[
            "burn",
            "gpt2-backbone",
            "gpt2-files",
            "gpt2-presets",
            "gpt2-task",
            "gpt2-tokenizer",
            "safetensors",
        ],
    ),
];

/// Whether a dependency is checked: those for tensors, files and the network, and our own crates.
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

/// Compares the manifests with the table. Dependencies of tests are not checked.
pub fn check() -> anyhow::Result<()> {
    let problems = violations(&cargo::packages()?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn violations(packages: &[Value]) -> Vec<String> {
    let allowed = BTreeMap::from(ALLOWED);
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed.get(name) else {
            // Programs and tests are not published and may use any crate.
            if package["publish"] != json!([]) {
                problems.push(format!("{name} is not in the table of xtask/src/arrows.rs"));
            }
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let forbidden = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| is_of_interest(dependency) && !allowed.contains(dependency));
        problems.extend(forbidden.map(|it| format!("{name} must not depend on {it}")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_arrow_is_found_and_a_test_dependency_is_not() {
        let package = json!({
            "name": "gpt2-tokenizer",
            "dependencies": [
                {"name": "burn", "kind": null},
                {"name": "serde", "kind": null},
                {"name": "gpt2-backbone", "kind": "dev"},
            ],
        });
        assert_eq!(violations(&[package]), ["gpt2-tokenizer must not depend on burn"]);
    }

    #[test]
    fn a_library_that_the_table_does_not_have_is_found() {
        let package = |publish: Value| json!({"name": "gpt2-new", "publish": publish});
        assert_eq!(violations(&[package(json!(null))]).len(), 1);
        assert!(violations(&[package(json!([]))]).is_empty());
    }
}
