//! Device of all runners, described by a process that has opened it.

use std::process::Command;

use anyhow::Context;
use burn::tensor::Device;
use gpt2_backbone::{devices, parse_device};
use serde_json::{Value, json};

use super::process;

/// A device that a benchmark runs on.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputeDevice {
    /// Name for [`parse_device`].
    pub name: String,
    /// Name that the driver gives.
    pub hardware: String,
    pub is_cpu: bool,
}

impl ComputeDevice {
    /// Asks another process, so that this one holds no GPU memory.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        let xtask = std::env::current_exe().context("cannot find this program")?;
        let request = json!({"task": "device", "device": name}).to_string();
        let found = process::run(Command::new(xtask).args(["bench", "worker", &request]))?.json;
        let hardware = found["hardware"].as_str().context("a worker prints the hardware")?;
        let is_cpu = found["is_cpu"].as_bool().context("a worker prints whether it is a CPU")?;
        Ok(Self { name: name.to_owned(), hardware: hardware.to_owned(), is_cpu })
    }

    /// Name for the rivals' scripts.
    pub fn kind(&self) -> &'static str {
        if self.is_cpu { "cpu" } else { "gpu" }
    }
}

/// Output of the process that [`ComputeDevice::find`] starts.
pub fn describe(name: &str, device: &Device) -> Value {
    if is_cpu(device) {
        return json!({"hardware": "CPU", "is_cpu": true});
    }
    let first = format!("{name}:0");
    let is_it = |found: &&str| *found == name || *found == first;
    let listed = devices().into_iter().flatten().find(|info| is_it(&info.name.as_str()));
    let hardware = listed.map_or_else(|| format!("{device:?}"), |info| info.hardware);
    json!({"hardware": hardware, "is_cpu": false})
}

/// Whether a device is this machine's CPU.
pub fn is_cpu(device: &Device) -> bool {
    ["flex", "ndarray"].iter().any(|name| parse_device(name).is_ok_and(|cpu| cpu == *device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_known_by_all_its_names() {
        for name in ["cpu", "flex"] {
            let device = parse_device(name).unwrap();
            assert_eq!(describe(name, &device), json!({"hardware": "CPU", "is_cpu": true}));
        }
    }
}
