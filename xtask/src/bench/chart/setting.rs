//! Machine, device, float type and size that all records share.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use gpt2_backbone::WeightDtype;
use serde_json::Value;

/// Description for the chart, such as `GPT-2 base, float32, 2 threads of AMD EPYC`.
///
/// # Errors
///
/// If the records have different settings.
pub fn describe(lines: &[Value]) -> anyhow::Result<String> {
    let runs = || lines.iter().filter(|line| line["scenario"].is_null());
    let results = || lines.iter().filter(|line| line["scenario"].is_string());
    let device = one("device", results().map(|line| text(&line["device"])))?;
    let dtype = one("dtype", results().map(|line| text(&line["dtype"])))?;
    let size = one("size", runs().map(|line| text(&line["size"])))?;
    let cpu = one("cpu", runs().map(|line| text(&line["cpu"])))?;
    let threads = one("threads", runs().map(|line| line["threads"].to_string()))?;
    let dtype = dtype.parse::<WeightDtype>()?.name();
    let hardware =
        if device == "cpu" { format!("{threads} threads of {cpu}") } else { device.clone() };
    Ok(format!("GPT-2 {size}, {dtype}, {hardware}"))
}

/// The common value of a key.
fn one(key: &str, values: impl Iterator<Item = String>) -> anyhow::Result<String> {
    let values: BTreeSet<String> = values.collect();
    let list = values.iter().cloned().collect::<Vec<_>>().join(", ");
    ensure!(values.len() == 1, "cannot draw one chart of several records: `{key}` is {list}");
    values.into_iter().next().context("one is left")
}

/// A text without quotes, or a list of sizes separated by commas.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(members) => members.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_setting_is_described_and_two_are_refused() {
        let run = json!({"size": "base", "cpu": "AMD EPYC", "threads": 2});
        let result = |dtype: &str, device: &str| json!({"scenario": "load", "device": device, "dtype": dtype});
        let found = describe(&[run.clone(), result("f32", "cpu"), result("f32", "cpu")]).unwrap();
        assert_eq!(found, "GPT-2 base, float32, 2 threads of AMD EPYC");
        let found = describe(&[run.clone(), result("float16", "cuda:0")]).unwrap();
        assert_eq!(found, "GPT-2 base, float16, cuda:0");
        let both = [run, result("float16", "cpu"), result("float32", "cpu")];
        let message = describe(&both).unwrap_err().to_string();
        assert!(message.contains("`dtype` is float16, float32"), "{message}");
    }
}
