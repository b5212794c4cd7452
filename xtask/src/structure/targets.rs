//! Libraries, programs and examples of the workspace, each a crate of modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use super::circles::{Group, describe, groups};
use super::source::Crate;
use crate::cargo;

/// A crate of the workspace and the import cycles of its modules.
pub struct Target {
    /// Name of the package, and of the program or example.
    pub name: String,
    pub package: String,
    pub groups: Vec<Group>,
}

/// Fails if modules of a crate import each other, and lists the cycles.
pub fn check() -> anyhow::Result<()> {
    let targets = targets()?;
    let circles: String =
        targets.iter().map(|target| describe(&target.name, &target.groups)).collect();
    if !circles.is_empty() {
        bail!("modules import each other:\n{}", circles.trim_end());
    }
    Ok(())
}

/// Crates of the workspace except those of tests and benchmarks.
pub fn targets() -> anyhow::Result<Vec<Target>> {
    let mut found = Vec::new();
    for package in cargo::packages()? {
        for target in package["targets"].as_array().into_iter().flatten() {
            found.extend(examine(&package, target)?);
        }
    }
    Ok(found)
}

fn examine(package: &Value, target: &Value) -> anyhow::Result<Option<Target>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&target["kind"][0]);
    if !["lib", "bin", "example"].contains(&kind.as_str()) {
        return Ok(None);
    }
    let (package_name, target_name) = (text(&package["name"]), text(&target["name"]));
    let is_main = kind == "lib" || target_name == package_name;
    let name = match is_main {
        true => package_name.clone(),
        false => format!("{package_name} {target_name}"),
    };
    let root = PathBuf::from(text(&target["src_path"]));
    let modules = Crate::load(&root, &|path: &Path| fs::read_to_string(path).ok())
        .with_context(|| format!("cannot read the modules of {name}"))?;
    let folder = root.parent().unwrap_or(Path::new(""));
    Ok(Some(Target { name, package: package_name, groups: groups(&modules, folder) }))
}
