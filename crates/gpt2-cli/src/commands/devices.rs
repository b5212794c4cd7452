//! `gpt2 devices`: devices of this machine that this build can use.

use burn::tensor::FloatDType;
use gpt2_backbone::{BACKENDS, DeviceInfo, devices, is_compiled};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::machine::Machine;
use crate::values::size;

/// List the devices for --device
#[derive(clap::Args)]
pub struct Arguments {}

/// A device and the facts about its hardware.
struct Row {
    name: String,
    backend: String,
    hardware: String,
    memory: Option<u64>,
    info: DeviceInfo,
    threads: Option<usize>,
    vectors: Option<&'static str>,
}

/// Prints the devices and the backends that are not compiled in.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let Found { rows, errors } = Found::new(&Machine::new());
    let (built_in, missing): (Vec<&str>, Vec<&str>) =
        BACKENDS.into_iter().partition(|backend| is_compiled(backend));
    if context.json {
        let list: Vec<Value> = rows.iter().map(object).collect();
        context.print_json(json!({
            "devices": list,
            "unavailable": errors,
            "built_in": built_in,
            "not_built_in": missing,
        }))?;
        return Ok(Answer::Yes);
    }
    for row in &rows {
        context.print(format_args!("{:10}  {}", row.name, row.hardware))?;
        for (name, value) in details(row) {
            context.print(format_args!("{:10}  {name:14}  {value}", ""))?;
        }
    }
    for error in errors {
        context.print(error)?;
    }
    context.print(format_args!("built in: {}", built_in.join(", ")))?;
    if !missing.is_empty() {
        context.print(format_args!("not built in: {}", missing.join(", ")))?;
        context.print("add one: cargo install --path crates/gpt2-cli --features NAME")?;
    }
    Ok(Answer::Yes)
}

/// Devices that open, and errors of the others.
struct Found {
    rows: Vec<Row>,
    errors: Vec<String>,
}

impl Found {
    fn new(machine: &Machine) -> Self {
        let mut found = Self { rows: Vec::new(), errors: Vec::new() };
        let mut has_cpu = false;
        for device in devices() {
            let info = match device {
                Ok(info) => info,
                Err(error) => {
                    found.errors.push(error.to_string());
                    continue;
                }
            };
            let is_cpu = matches!(info.name.as_str(), "flex" | "ndarray");
            let backend = info.name.split(':').next().unwrap_or_default().to_owned();
            found.rows.push(Row {
                // `cpu` is the first CPU backend.
                name: if is_cpu && !has_cpu { "cpu".to_owned() } else { info.name.clone() },
                hardware: match is_cpu {
                    true => machine.processor.clone(),
                    false => info.hardware.clone(),
                },
                memory: if is_cpu { machine.memory } else { info.memory },
                threads: is_cpu.then_some(machine.threads),
                vectors: (backend == "flex").then_some(machine.vectors),
                backend,
                info,
            });
            has_cpu |= is_cpu;
        }
        // The most common name comes first.
        found.rows.sort_by_key(|row| row.name != "cpu");
        found
    }
}

fn details(row: &Row) -> Vec<(&'static str, String)> {
    let mut details =
        vec![("backend", row.backend.clone()), ("float types", types(row).join(", "))];
    details.extend(row.memory.map(|bytes| ("memory", size(bytes))));
    details.extend(row.threads.map(|count| ("threads", count.to_string())));
    details.extend(row.vectors.map(|vectors| ("vectors", vectors.to_owned())));
    details.extend(row.info.largest_tensor.map(|bytes| ("largest tensor", size(bytes))));
    if row.info.is_software {
        details.push(("software", "runs on the CPU, for tests".to_owned()));
    }
    details
}

fn object(row: &Row) -> Value {
    json!({
        "name": row.name,
        "backend": row.backend,
        "hardware": row.hardware,
        "memory": row.memory,
        "threads": row.threads,
        "vectors": row.vectors,
        "largest_tensor": row.info.largest_tensor,
        "float_types": types(row),
        "is_software": row.info.is_software,
    })
}

fn types(row: &Row) -> Vec<&'static str> {
    let name = |dtype: &FloatDType| match dtype {
        FloatDType::F32 => "float32",
        FloatDType::F16 => "float16",
        FloatDType::BF16 => "bfloat16",
        _ => "other",
    };
    row.info.float_types.iter().map(name).collect()
}
