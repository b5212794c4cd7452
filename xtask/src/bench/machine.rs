//! Machine on which a record was made.

use std::fs;
use std::process::Command;

use gpt2_backbone::WeightDtype;
use serde_json::{Value, json};

use super::compute_device::ComputeDevice;
use super::size::Size;

/// Settings of all measurements in a record.
pub struct Protocol<'a> {
    pub device: &'a ComputeDevice,
    pub sizes: &'a [Size],
    pub dtypes: &'a [WeightDtype],
    pub rounds: u32,
    pub repetitions: u32,
    pub threads: usize,
}

/// First line of a record. Facts that the system does not report are null.
pub fn describe(protocol: &Protocol<'_>, versions: Value) -> Value {
    let Protocol { device, sizes, dtypes, rounds, repetitions, threads } = protocol;
    let sizes: Vec<_> = sizes.iter().map(|size| size.name()).collect();
    let dtypes: Vec<_> = dtypes.iter().map(|dtype| dtype.name()).collect();
    json!({
        "date": output("date", &["-u", "+%F"]),
        "commit": output("git", &["rev-parse", "HEAD"]),
        "device": device.name,
        "hardware": device.hardware,
        "size": sizes.join(","),
        "dtype": dtypes.join(","),
        "rounds": rounds,
        "repetitions": repetitions,
        "threads": threads,
        "cpu": value_of("/proc/cpuinfo", "model name"),
        "cpu_features": value_of("/proc/cpuinfo", "flags").map(|flags| vector_features(&flags)),
        "memory": value_of("/proc/meminfo", "MemTotal"),
        "os": std::env::consts::OS,
        "kernel": output("uname", &["-r"]),
        "architecture": std::env::consts::ARCH,
        "rustc": output("rustc", &["--version"]),
        "versions": versions,
    })
}

/// Output of a program, if the program is installed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}

/// First value of a key in a file of `key: value` lines.
fn value_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == key).then(|| value.trim().to_owned())
    })
}

/// The processor's features that affect the speed of arithmetic.
fn vector_features(flags: &str) -> String {
    let counts =
        |flag: &&str| ["avx", "fma", "f16c", "amx"].iter().any(|name| flag.starts_with(name));
    flags.split_whitespace().filter(counts).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_instructions_are_kept() {
        assert_eq!(vector_features("fpu sse2 avx2 fma"), "avx2 fma");
    }
}
