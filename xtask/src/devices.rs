//! `cargo xtask devices`: what this build and this machine offer to compute on.

use std::process::ExitCode;

use burn::tensor::FloatDType;
use gpt2_backbone::{BACKENDS, DeviceInfo, devices, is_compiled};
use serde_json::{Value, json};

/// Lists the devices that `--device` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the devices, and the backends that are not built in.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (devices, errors): (Vec<_>, Vec<_>) = devices().into_iter().partition(Result::is_ok);
    let devices: Vec<DeviceInfo> = devices.into_iter().flatten().collect();
    let errors: Vec<String> =
        errors.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    let (built_in, missing): (Vec<&str>, Vec<&str>) =
        BACKENDS.into_iter().partition(|backend| is_compiled(backend));
    if arguments.json {
        let list: Vec<Value> = devices.iter().map(object).collect();
        let found = json!({"devices": list, "unavailable": errors, "built_in": built_in, "not_built_in": missing});
        println!("{found:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let width = devices.iter().map(|device| device.hardware.len()).max().unwrap_or(0);
    println!(
        "{:10}  {:width$}  {:>9}  {:>14}  types",
        "device", "hardware", "memory", "largest tensor"
    );
    for device in &devices {
        println!(
            "{:10}  {:width$}  {:>9}  {:>14}  {}{}",
            device.name,
            device.hardware,
            gigabytes(device.memory),
            gigabytes(device.largest_tensor),
            types(device).join(", "),
            if device.is_software { "  (software: for tests)" } else { "" },
        );
    }
    errors.iter().for_each(|error| println!("{error}"));
    println!("built in: {}", built_in.join(", "));
    if !missing.is_empty() {
        println!("not built in: {}; add one with `--features NAME`", missing.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn object(device: &DeviceInfo) -> Value {
    json!({
        "name": device.name,
        "hardware": device.hardware,
        "memory": device.memory,
        "largest_tensor": device.largest_tensor,
        "float_types": types(device),
        "is_software": device.is_software,
    })
}

fn types(device: &DeviceInfo) -> Vec<&'static str> {
    let name = |dtype: &FloatDType| match dtype {
        FloatDType::F32 => "float32",
        FloatDType::F16 => "float16",
        FloatDType::BF16 => "bfloat16",
        _ => "other",
    };
    device.float_types.iter().map(name).collect()
}

/// A size, or a dash where it is not known.
fn gigabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9))
}
