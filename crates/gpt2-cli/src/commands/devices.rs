//! `gpt2 devices`: devices of this machine that this build can use.

use burn::tensor::FloatDType;
use gpt2_backbone::{BACKENDS, DeviceInfo, devices, is_compiled};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;

/// List the devices that --device takes.
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints the devices, and the backends that are not built in.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let (devices, errors): (Vec<_>, Vec<_>) = devices().into_iter().partition(Result::is_ok);
    let devices: Vec<DeviceInfo> = devices.into_iter().flatten().collect();
    let errors: Vec<String> =
        errors.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    let (built_in, missing): (Vec<&str>, Vec<&str>) =
        BACKENDS.into_iter().partition(|backend| is_compiled(backend));
    if context.json {
        let list: Vec<Value> = devices.iter().map(object).collect();
        let found = json!({"devices": list, "unavailable": errors, "built_in": built_in, "not_built_in": missing});
        context.print_json(found)?;
        return Ok(Answer::Yes);
    }
    let width = devices.iter().map(|device| device.hardware.len()).max().unwrap_or(0);
    context.print(format_args!(
        "{:10}  {:width$}  {:>9}  {:>14}  types",
        "device", "hardware", "memory", "largest tensor"
    ))?;
    for device in &devices {
        context.print(format_args!(
            "{:10}  {:width$}  {:>9}  {:>14}  {}{}",
            device.name,
            device.hardware,
            gigabytes(device.memory),
            gigabytes(device.largest_tensor),
            types(device).join(", "),
            if device.is_software { "  (software: for tests)" } else { "" },
        ))?;
    }
    for error in errors {
        context.print(error)?;
    }
    context.print(format_args!("built in: {}", built_in.join(", ")))?;
    if !missing.is_empty() {
        context.print(format_args!(
            "not built in: {}; add one with `--features NAME`",
            missing.join(", ")
        ))?;
    }
    Ok(Answer::Yes)
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
