//! `cargo xtask bench` as a command, on the smallest model.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{refusal, success, xtask};

fn bench(arguments: &[&str]) -> std::process::Output {
    let mut command = xtask("bench");
    command.args(["--size", "tiny", "--repetitions", "1"]).args(arguments).output().unwrap()
}

fn records(output: std::process::Output) -> Vec<Value> {
    let text = success(output);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn records_are_printed_and_kept_after_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.jsonl");
    let scenarios = "train-1x8-lora,first-token,tokenizer-batch";
    let run = ["--rounds", "2", "--json", "--scenario", scenarios, "--record", text(&file)];
    let printed = records(bench(&run));
    let metrics: Vec<_> = printed.iter().map(|record| record["metric"].as_str().unwrap()).collect();
    let peak = "peak_memory";
    assert_eq!(metrics, ["training", peak, "first_token", peak, "throughput", peak]);
    for record in printed.iter().filter(|record| record["metric"] != peak) {
        assert!(number(&record["ours"]) > 0.0, "{record}");
        assert_eq!(record["ours_rounds"].as_array().unwrap().len(), 2);
        assert_eq!(record["limit"].is_number(), record["metric"] == "training", "{record}");
    }
    let kept = fs::read_to_string(&file).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&kept[0]["size"], &kept[0]["rounds"]), (&"tiny".into(), &2.into()));
    assert!(kept[0]["threads"].as_u64() > Some(0));
    assert_eq!(kept[1..], printed);

    let message = refusal(bench(&run));
    assert!(message.contains("must be new"), "{message}");
}

#[test]
fn types_and_sizes_are_compared_in_one_table() {
    let run = ["--rounds", "1", "--scenario", "load,first-token", "--dtype", "float16,float32"];
    let table = success(bench(&[&run[..], &["--size", "tiny", "--device", "flex"]].concat()));
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(rows[0], ["size", "dtype", "scenario", "metric"]);
    // One size after the other; here both are the same.
    for (row, dtype) in [(1, "float16"), (5, "float32"), (9, "float16"), (13, "float32")] {
        assert_eq!(rows[row], ["tiny", dtype, "load", "load"]);
        assert_eq!(rows[row + 2], ["tiny", dtype, "first-token", "first_token"]);
    }
    assert_eq!(rows.len(), 17);
}

#[cfg(unix)]
#[test]
fn rivals_take_turns_and_one_that_fails_does_not_end_the_run() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let python = |name: &str, script: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    // Converts for CTranslate2 and runs one mode of llama.cpp; the other mode fails.
    let torch = python(
        "torch",
        "case \"$2\" in *'plain attention'*) echo 'no luck' >&2; exit 1;; esac\n\
         echo a greeting; echo '{\"values\": [50, 100], \"peak_bytes\": 1000000}'",
    );
    let keras = python("keras", "echo 'no module named keras' >&2; exit 1");
    let run = ["--rounds", "1", "--json", "--scenario", "decode-1-ctx8,beam-5", "--peers"];
    let pythons = ["--torch-python", text(&torch), "--keras-python", text(&keras)];
    let records = records(bench(&[&run[..], &pythons].concat()));
    let find = |scenario: &str, metric: &str, peer: &str| {
        let is = |record: &&Value| {
            record["scenario"] == scenario && record["metric"] == metric && record["peer"] == peer
        };
        records.iter().find(is).unwrap_or_else(|| panic!("{scenario}, {metric}, {peer}"))
    };
    for peer in ["transformers", "CTranslate2", "llama.cpp, flash attention"] {
        let record = find("decode-1-ctx8", "decode", peer);
        assert_eq!(number(&record["theirs"]), 75_000.0);
        let ratio = 75_000.0 / number(&record["ours"]);
        assert!((number(&record["ratio"]) - ratio).abs() < 1e-6 * ratio, "{record}");
        assert_eq!(number(&find("decode-1-ctx8", "peak_memory", peer)["theirs"]), 1.0);
    }
    let failed = find("decode-1-ctx8", "decode", "KerasHub");
    assert!(failed["failed"].as_str().unwrap().contains("no module named keras"), "{failed}");
    assert!(failed["theirs"].is_null() && failed["ratio"].is_null());
    let unable = find("beam-5", "decode", "llama.cpp");
    assert!(unable["cannot"].as_str().unwrap().contains("beam search"), "{unable}");
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    for (arguments, expected) in [
        (vec!["--scenario", "decode-1-ctx9999"], "1024 positions"),
        (vec!["--scenario", "sleep"], "prefill-128"),
        (vec!["--device", "abacus"], "abacus"),
        (vec!["--dtype", "float8"], "bfloat16"),
        (vec!["--peers=tiktoken", "--torch-python", "/nowhere/python"], "/nowhere/python"),
        (vec!["--peers=rust-bert"], "ctranslate2"),
    ] {
        let message = refusal(bench(&arguments));
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
