//! `cargo xtask structure`: counts of files, functions and cycles, one line a crate.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::functions::{Function, Functions};
use super::targets::{Target, targets};
use crate::{cargo, tidy};

/// Number of lines above which a file is listed.
const LONG_FILE: usize = 400;
/// Number of lines above which a function is counted.
const LONG_FUNCTION: usize = 40;
/// Number of functions to list.
const LISTED: usize = 10;

/// Counts over some files.
#[derive(Default)]
struct Counts {
    /// Number of lines and path of each file.
    files: Vec<(usize, String)>,
    /// Functions with the path of their file.
    functions: Vec<(String, Function)>,
    many_arguments: usize,
}

impl Counts {
    fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.functions.extend(other.functions);
        self.many_arguments += other.many_arguments;
    }

    /// Numbers of the table's columns, from files to `allow` attributes.
    fn columns(&self) -> [usize; 7] {
        let mut lengths: Vec<usize> = self.functions.iter().map(|(_, it)| it.length).collect();
        lengths.sort_unstable();
        let at = |share: f64| {
            let index = (share * lengths.len() as f64).ceil() as usize;
            lengths.get(index.saturating_sub(1)).copied().unwrap_or_default()
        };
        let lines = self.files.iter().map(|(lines, _)| lines).sum();
        let long = lengths.iter().filter(|length| **length > LONG_FUNCTION).count();
        [self.files.len(), lines, lengths.len(), at(0.5), at(0.99), at(1.0), long]
    }
}

/// Prints the table, the longest files and functions, and the cycles.
pub fn run() -> anyhow::Result<ExitCode> {
    cargo::enter_workspace()?;
    let targets = targets()?;
    let (mut code, mut tests) = (Counts::default(), Counts::default());
    header();
    for package in cargo::packages()? {
        let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
        let folder = Path::new(manifest).parent().context("a manifest has a folder")?;
        let name = package["name"].as_str().context("a package has a name")?;
        let (of_code, of_tests) = count(folder)?;
        let of_package = targets.iter().filter(|target| target.package == name);
        if !of_code.files.is_empty() {
            row(name, &of_code, &circles(of_package));
        }
        code.extend(of_code);
        tests.extend(of_tests);
    }
    row("total", &code, &circles(targets.iter()));
    row("tests", &tests, "");
    print_longest(&code);
    for target in &targets {
        print!("{}", super::circles::describe(&target.name, &target.groups));
    }
    Ok(ExitCode::SUCCESS)
}

fn header() {
    println!(
        "{:18}{:>6}{:>7}{:>10}{:>7}{:>5}{:>8}{:>9}{:>10}  cycles",
        "crate", "files", "lines", "functions", "median", "p99", "longest", "over 40", "many args"
    );
}

fn row(name: &str, counts: &Counts, circles: &str) {
    let [files, lines, functions, median, p99, longest, long] = counts.columns();
    let many = counts.many_arguments;
    println!(
        "{name:18}{files:>6}{lines:>7}{functions:>10}{median:>7}{p99:>5}{longest:>8}{long:>9}{many:>10}  {circles}"
    );
}

/// Number of groups of modules in cycles, and number of modules in them.
fn circles<'a>(targets: impl Iterator<Item = &'a Target>) -> String {
    let sizes: Vec<usize> =
        targets.flat_map(|target| &target.groups).map(|group| group.modules.len()).collect();
    match sizes.len() {
        0 => "0".to_owned(),
        groups => format!("{groups} ({} modules)", sizes.iter().sum::<usize>()),
    }
}

fn print_longest(code: &Counts) {
    let mut files: Vec<_> = code.files.iter().filter(|(lines, _)| *lines > LONG_FILE).collect();
    files.sort_by(|one, other| other.cmp(one));
    println!("\nfiles of more than {LONG_FILE} lines: {}", files.len());
    files.iter().for_each(|(lines, path)| println!("{lines:6}  {path}"));
    let mut functions: Vec<_> = code.functions.iter().collect();
    functions.sort_by_key(|(_, function)| std::cmp::Reverse(function.length));
    println!("\nlongest functions:");
    for (path, Function { name, line, length, .. }) in functions.iter().take(LISTED) {
        println!("{length:6}  {path}:{line} {name}");
    }
    println!();
}

/// Counts over a package's files, separately for code and tests.
fn count(folder: &Path) -> anyhow::Result<(Counts, Counts)> {
    let root = std::env::current_dir().context("cannot tell the current folder")?;
    let (mut code, mut tests) = (Counts::default(), Counts::default());
    for path in tidy::rust_files(folder)? {
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let file = syn::parse_file(&text).with_context(|| format!("cannot parse {name}"))?;
        let of_tests = is_of_tests(path.strip_prefix(folder).unwrap_or(&path), folder);
        let Functions { found, many_arguments, .. } = Functions::of(&file, of_tests);
        let counts = if of_tests { &mut tests } else { &mut code };
        counts.files.push((text.lines().count(), name.clone()));
        counts.many_arguments += many_arguments;
        for function in found {
            let counts = if function.is_test { &mut tests } else { &mut code };
            counts.functions.push((name.clone(), function));
        }
    }
    Ok((code, tests))
}

/// Whether a whole file belongs to tests or benchmarks.
fn is_of_tests(file: &Path, package: &Path) -> bool {
    let is_test = |name: &std::ffi::OsStr| name == "tests" || name == "benches";
    package.ends_with("tests")
        || file.file_name().is_some_and(|name| name == "tests.rs")
        || file.iter().any(is_test)
}
