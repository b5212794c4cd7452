//! Rules beyond rustfmt and clippy: file headers, leftovers, access to files and sockets, and the
//! rules for prose in [`words`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::words;

/// A forbidden text, and the files that may have it.
struct Rule {
    text: &'static str,
    /// Folder to which the rule applies.
    within: &'static str,
    /// Paths that are exempt; a folder ends in `/`.
    except: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        text: "#[ignore",
        within: "",
        except: &[],
        why: "gate a slow test by an environment variable",
    },
    Rule { text: "// TODO", within: "", except: &[], why: "finish it, or say it in an issue" },
    Rule { text: "// FIXME", within: "", except: &[], why: "finish it, or say it in an issue" },
    Rule { text: "todo!(", within: "", except: &[], why: "finish it" },
    Rule { text: "dbg!(", within: "", except: &[], why: "a leftover of debugging" },
    Rule { text: "Device::default()", within: "", except: &[], why: "a library takes a `&Device`" },
    Rule { text: "println!(", within: "crates/", except: TESTS, why: "a library does not print" },
    Rule {
        text: "std::fs",
        within: "crates/",
        except: FILES,
        why: "the tokenizer opens files through gpt2-files; kernels, backbone and task open none",
    },
    Rule {
        text: "std::net",
        within: "crates/",
        except: SOCKETS,
        why: "only the hub opens sockets, and the servers of its tests",
    },
    Rule {
        text: "unsafe {",
        within: "",
        except: UNSAFE,
        why: "only kernels and the memory map of presets are unsafe",
    },
];

const TESTS: &[&str] = &[
    "crates/gpt2-hub/tests/",
    "crates/gpt2-presets/tests/",
    "crates/gpt2-tokenizer/benches/",
    "crates/gpt2-tokenizer/tests/",
];
const SOCKETS: &[&str] = &["crates/gpt2-hub/"];
const FILES: &[&str] = &[
    "crates/gpt2-cli/",
    "crates/gpt2-data/",
    "crates/gpt2-files/",
    "crates/gpt2-hub/",
    "crates/gpt2-presets/",
    "crates/gpt2-tokenizer/tests/",
];
const UNSAFE: &[&str] = &["crates/gpt2-presets/src/source/blob.rs", "crates/gpt2-kernels/"];

/// Checks all Rust and Markdown files of the workspace.
pub fn check() -> anyhow::Result<()> {
    let mut problems = markdown_problems()?;
    for folder in ["crates", "examples", "tests", "xtask"] {
        for path in rust_files(Path::new(folder))? {
            let name = path.to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            problems.extend(problems_of(&name, &text));
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn problems_of(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") && !text.starts_with("#![doc = ") {
        problems.push(format!("{name}:1: the first line says what the file is for, `//! …`"));
    }
    if !text.ends_with('\n') || text.ends_with("\n\n") {
        problems.push(format!("{name}: ends in one line break"));
    }
    // This file contains the forbidden texts.
    if name == "xtask/src/tidy.rs" {
        return problems;
    }
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("///") || line.starts_with("//!") {
            let problem = words::doc_line(line);
            problems.extend(problem.map(|problem| format!("{name}:{}: {problem}", index + 1)));
            // Examples in documentation are users' programs.
            continue;
        }
        for rule in RULES {
            let exempt = rule.except.iter().any(|path| name.starts_with(path));
            if name.starts_with(rule.within) && !exempt && line.contains(rule.text) {
                let number = index + 1;
                problems.push(format!("{name}:{number}: `{}`: {}", rule.text, rule.why));
            }
        }
    }
    problems
}

fn markdown_problems() -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in files_with(Path::new("."), "md")? {
        let name = path.strip_prefix(".")?.to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        for (number, problem) in words::markdown(&name, &text) {
            problems.push(format!("{name}:{number}: {problem}"));
        }
    }
    Ok(problems)
}

/// Rust files below a folder, sorted.
pub fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    files_with(folder, "rs")
}

/// Files with an extension below a folder, sorted, except in hidden folders and build outputs.
fn files_with(folder: &Path, wanted: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = name != "target" && !name.to_string_lossy().starts_with('.');
        // Links are not followed: they may form a cycle.
        if is_ours && entry.file_type()?.is_dir() {
            files.extend(files_with(&path, wanted)?);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_and_missing_headers_are_found() {
        let found = problems_of("crates/gpt2-task/src/a.rs", "fn main() { todo!() }");
        assert_eq!(found.len(), 3, "{found:?}");
        let text = "//! A file.\nuse std::fs;\n";
        assert_eq!(problems_of("crates/gpt2-task/src/a.rs", text).len(), 1);
        assert!(problems_of("crates/gpt2-presets/src/a.rs", text).is_empty());
    }
}
