//! Check that builds after the first one need no recompilation: all selections of packages must
//! have the same dependencies with the same features. Otherwise cargo would silently compile burn
//! again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};

use crate::cargo;

/// Packages that are built one after the other, with the dependency kinds that their targets need.
const SELECTIONS: [(&str, &str); 3] =
    [("gpt2-cli", "no-dev"), ("xtask", "no-dev"), ("gpt2-examples", "all")];

/// Feature sets of each registry package. There are several if it is built for the host too.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares each package with the workspace, whose tests are built as a whole.
pub fn check() -> anyhow::Result<()> {
    let workspace = features(&["--workspace", "--edges", "all"])?;
    let mut problems = Vec::new();
    for (package, edges) in SELECTIONS {
        let selected = features(&["--package", package, "--edges", edges])?;
        problems.extend(differences(package, &selected, &workspace));
    }
    if !problems.is_empty() {
        bail!(
            "{}\na second build would compile these again; give all packages the same features",
            problems.join("\n")
        );
    }
    Ok(())
}

fn features(selection: &[&str]) -> anyhow::Result<Features> {
    let output = cargo::command()
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p} [{f}]"])
        .args(selection)
        .output()
        .context("cannot start cargo tree")?;
    if !output.status.success() {
        bail!("`cargo tree` fails: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Packages in the lines of `cargo tree`, except the workspace's, which are built again anyway.
fn parse(tree: &str) -> Features {
    let mut found = Features::new();
    for line in tree.lines().filter(|line| !line.contains("(/")) {
        if let Some((package, features)) = line.split_once(" [") {
            let features = features.split(']').next().unwrap_or_default();
            found.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    found
}

fn differences(package: &str, selected: &Features, workspace: &Features) -> Vec<String> {
    let missing = selected.iter().filter_map(|(dependency, sets)| {
        let known = workspace.get(dependency);
        let other = sets.iter().find(|set| known.is_none_or(|known| !known.contains(*set)))?;
        Some(format!("{package}: {dependency} [{other}], in the workspace {known:?}"))
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_features_are_found_and_own_packages_are_free() {
        let workspace = parse(
            "gpt2 v0.1.0 (/home/gpt2) [default,flex]\nciborium v0.2.2 [default,std] (*)\n\
             syn v2.0.1 [full]\nsyn v2.0.1 [full,visit]\n",
        );
        let same = parse("gpt2 v0.1.0 (/home/gpt2) [flex]\nsyn v2.0.1 [full] (proc-macro)\n");
        assert_eq!(differences("xtask", &same, &workspace), [""; 0]);
        let other = parse("ciborium v0.2.2 [std]\n");
        let found = differences("xtask", &other, &workspace);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("xtask: ciborium v0.2.2 [std]"), "{found:?}");
    }
}
