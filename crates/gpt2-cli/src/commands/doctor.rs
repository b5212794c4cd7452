//! `gpt2 doctor`: state of this machine and build, with remedies.

use std::env;
use std::path::Path;

use gpt2_backbone::{BACKENDS, devices, is_compiled};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::machine::Machine;
use crate::values::{short_path, size};

/// Environment variables that affect commands.
const VARIABLES: [(&str, &str); 12] = [
    ("GPT2_KERNELS", "kernels: composed, scalar, avx2 or unrecorded; unset it for full speed"),
    ("GPT2_OFFLINE", "1: no hub is contacted; unset it to download"),
    ("HF_HUB_OFFLINE", "1: Hugging Face is not contacted; unset it to download"),
    ("TRANSFORMERS_OFFLINE", "1: Hugging Face is not contacted; unset it to download"),
    ("HF_ENDPOINT", "address of Hugging Face"),
    ("HF_HOME", "folder of Hugging Face's files"),
    ("HF_HUB_CACHE", "cache of Hugging Face"),
    ("KAGGLEHUB_CACHE", "cache of Kaggle"),
    ("MODELSCOPE_CACHE", "cache of ModelScope"),
    ("RAYON_NUM_THREADS", "number of threads; unset it to use all"),
    ("HTTPS_PROXY", "proxy of downloads"),
    ("NO_COLOR", "no colours"),
];

/// Show processor, kernels, devices, caches and settings, each with its remedy
#[derive(clap::Args)]
pub struct Arguments {}

/// A finding, with a remedy for whatever is wrong or slow.
struct Finding {
    name: &'static str,
    value: String,
    hint: Option<String>,
}

impl Finding {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Prints all findings.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let mut findings = machine();
    findings.extend(build());
    findings.extend(compute_devices());
    findings.extend(caches());
    findings.extend(settings());
    if context.json {
        let list: Vec<Value> = findings
            .iter()
            .map(|one| json!({"name": one.name, "value": one.value, "hint": one.hint}))
            .collect();
        context.print_json(json!({"findings": list}))?;
        return Ok(Answer::Yes);
    }
    for Finding { name, value, hint } in &findings {
        context.print(format_args!("{name:12}  {value}"))?;
        if let Some(hint) = hint {
            context.print(format_args!("{:12}  -> {hint}", ""))?;
        }
    }
    Ok(Answer::Yes)
}

fn machine() -> Vec<Finding> {
    let machine = Machine::new();
    let processor = format!("{}, {} threads", machine.processor, machine.threads);
    let kernels = Finding::new("kernels", machine.vectors);
    let kernels = match machine.vectors {
        "AVX-512" | "NEON" => kernels,
        "AVX2" => kernels.with_hint("a processor with AVX-512 is faster"),
        _ => kernels.with_hint("slow: use a processor with AVX2, or unset GPT2_KERNELS"),
    };
    let mut findings = vec![Finding::new("processor", processor), kernels];
    if let Some(memory) = machine.memory {
        let free = machine.available_memory.unwrap_or(0);
        let finding = Finding::new("memory", format!("{}, {} free", size(memory), size(free)));
        findings.push(if free < 1_000_000_000 {
            finding.with_hint("little: close programs, or pass --dtype bfloat16")
        } else {
            finding
        });
    }
    findings
}

fn build() -> Vec<Finding> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let version = Finding::new("version", format!("{} ({profile})", env!("CARGO_PKG_VERSION")));
    let version = match profile {
        "debug" => version.with_hint("slow: build with --release"),
        _ => version,
    };
    let built_in: Vec<&str> = BACKENDS.into_iter().filter(|backend| is_compiled(backend)).collect();
    let hub = if cfg!(feature = "hub") { "" } else { "; no downloads" };
    let backends = Finding::new("built in", format!("{}{hub}", built_in.join(", ")));
    let gpu = built_in.iter().any(|backend| !matches!(*backend, "flex" | "ndarray"));
    let backends = match gpu {
        true => backends,
        false => backends.with_hint(
            "for a GPU: cargo install --path crates/gpt2-cli --features vulkan (or cuda, metal)",
        ),
    };
    vec![version, backends]
}

fn compute_devices() -> Vec<Finding> {
    let describe = |device| match device {
        Ok(gpt2_backbone::DeviceInfo { name, hardware, .. }) => {
            Finding::new("device", format!("{name}: {hardware}"))
        }
        Err(error) => {
            let error: gpt2_backbone::DeviceError = error;
            Finding::new("device", error.to_string())
        }
    };
    devices().into_iter().map(describe).collect()
}

/// Caches of the hubs, at their clients' locations.
fn caches() -> Vec<Finding> {
    #[cfg(feature = "hub")]
    let folders = gpt2_presets::HubOptions::new().cache_folders();
    #[cfg(not(feature = "hub"))]
    let folders: Vec<std::path::PathBuf> = Vec::new();
    folders
        .iter()
        .map(|folder| {
            let found = match size_of(folder) {
                0 => "empty".to_owned(),
                bytes => size(bytes),
            };
            let finding = Finding::new("cache", format!("{}: {found}", short_path(folder)));
            match found.as_str() {
                "empty" => finding,
                _ => finding.with_hint("free it: gpt2 models remove NAME"),
            }
        })
        .collect()
}

/// Size of a folder's files in bytes. Links are not followed: their targets are counted themselves.
fn size_of(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) if found.is_file() => bytes += found.len(),
                _ => {}
            }
        }
    }
    bytes
}

fn settings() -> Vec<Finding> {
    let set = VARIABLES.iter().filter_map(|(name, meaning)| {
        let value = env::var_os(name)?;
        let value = format!("{name}={}", value.to_string_lossy());
        Some(Finding::new("variable", value).with_hint(*meaning))
    });
    set.collect()
}
