//! Processor and memory of this machine.

use std::fs;
use std::thread::available_parallelism;

/// Processor and memory of this machine, if the system reports them.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) threads: usize,
    /// Memory in bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) available_memory: Option<u64>,
    /// Vector instructions that this library's kernels use.
    pub(crate) vectors: &'static str,
}

impl Machine {
    /// Reads the facts from the system.
    pub(crate) fn new() -> Self {
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = field(&processors, "model name").or_else(|| field(&processors, "Model"));
        Self {
            processor: name.unwrap_or(std::env::consts::ARCH).to_owned(),
            threads: available_parallelism().map_or(1, usize::from),
            memory: field(&memory, "MemTotal").and_then(kibibytes),
            available_memory: field(&memory, "MemAvailable").and_then(kibibytes),
            vectors: cpu_vectors(),
        }
    }
}

#[cfg(feature = "flex")]
use gpt2_backbone::cpu_vectors;

/// None: the other backends have their own kernels.
#[cfg(not(feature = "flex"))]
fn cpu_vectors() -> &'static str {
    "none"
}

/// Value of the line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    values.next().filter(|value| !value.is_empty())
}

/// Number of bytes in a text such as `16384 kB`.
fn kibibytes(text: &str) -> Option<u64> {
    Some(text.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_system_are_read() {
        let text = "MemTotal:       16384 kB\nMemAvailable:  1024 kB\nmodel name\t: A Processor\n";
        assert_eq!(field(text, "MemTotal").and_then(kibibytes), Some(16_777_216));
        assert_eq!(field(text, "model name"), Some("A Processor"));
        assert_eq!(field(text, "absent"), None);
    }
}
