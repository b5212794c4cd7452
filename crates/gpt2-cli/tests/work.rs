//! The commands on the bundled model: their text, and the keys of their JSON.

use std::fs;

use serde_json::Value;

use crate::support::{program, refusal, success};

fn text(command: &str) -> String {
    success(&program(command).output().unwrap())
}

/// JSON object of a command, which must have these keys with these types.
fn object(command: &str, keys: &[(&str, &str)]) -> Value {
    let object: Value = serde_json::from_str(&text(&format!("{command} --json"))).unwrap();
    let name = command.split(' ').take_while(|word| !word.contains(['-', '/'])).collect::<Vec<_>>();
    assert!(name.join(" ").starts_with(object["command"].as_str().unwrap()), "{object}");
    assert_eq!(object["schema_version"], 1);
    for (key, expected) in keys {
        assert_eq!(kind(&object[key]), *expected, "{key}: {object}");
    }
    object
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn generate_answers() {
    object(
        "generate -n 3 ROMEO:",
        &[
            ("outputs", "array"),
            ("prompt_tokens", "number"),
            ("seconds_to_first_token", "number"),
            ("tokens_per_second", "number"),
            ("preset", "string"),
            ("device", "string"),
            ("dtype", "string"),
            ("sampler", "object"),
        ],
    );
}

#[test]
fn scores_are_those_of_the_model() {
    let found = object("score ROMEO:", &[("preset", "string"), ("scores", "array")]);
    let score = &found["scores"][0];
    let sum: f64 =
        score["log_probabilities"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).sum();
    assert!((sum - score["log_probability"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(
        score["tokens"].as_array().unwrap().len(),
        score["token_ids"].as_array().unwrap().len()
    );
    assert!(text("score --tokens ROMEO:").contains("nats a token"));
    assert!(text("score a").contains(", 1 token\n"));
}

#[test]
fn eval_compares_with_a_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    fs::write(&file, "ROMEO:\nBut, soft! what light through yonder window breaks?\n".repeat(20))
        .unwrap();
    let file = file.to_str().unwrap();
    let found = object(
        &format!("eval {file}"),
        &[
            ("loss", "number"),
            ("perplexity", "number"),
            ("bits_per_byte", "number"),
            ("tokens", "number"),
            ("bytes", "number"),
            ("windows", "number"),
            ("passed", "bool"),
        ],
    );
    let loss = found["loss"].as_f64().unwrap();
    assert!(text(&format!("eval {file}")).starts_with(&format!("loss {loss:.4} nats a token")));
    for (threshold, code) in [("--at-most 0.1", 1), ("--at-least 0.1", 0)] {
        let status = program(&format!("eval -q {file} {threshold}")).output().unwrap().status;
        assert_eq!(status.code(), Some(code), "{threshold}");
    }
    let output = program(&format!("eval {file} --at-most 0.1")).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(&format!("no: loss {loss:.4} is above 0.1")), "{message}");
}

#[test]
fn eval_reads_the_text_under_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, plain) = (folder.path().join("a.jsonl"), folder.path().join("a.txt"));
    let words = "what light through yonder window breaks? ".repeat(20);
    fs::write(&lines, format!("{{\"body\": \"{words}\"}}\n")).unwrap();
    fs::write(&plain, words).unwrap();
    let keyed = object(&format!("eval {} --text-key body", lines.display()), &[]);
    assert_eq!(keyed["loss"], object(&format!("eval {}", plain.display()), &[])["loss"]);
}

#[test]
fn convert_takes_the_format_from_the_ending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let found = object(
        &format!("convert gpt2_tiny_shakespeare {} --dtype f16", path.display()),
        &[
            ("source", "string"),
            ("destination", "string"),
            ("format", "string"),
            ("dtype", "string"),
            ("verified_tokens", "null"),
        ],
    );
    assert_eq!((&found["format"], &found["dtype"]), (&"gguf".into(), &"float16".into()));
    assert!(path.is_file());
    let again = folder.path().join("keras");
    let printed = text(&format!("convert {} {} --verify", path.display(), again.display()));
    assert!(printed.ends_with("keras (keras, float32)\n"), "{printed}");
}

#[test]
fn convert_replaces_only_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let convert = |destination: &str, more: &str| {
        program("convert gpt2_tiny_shakespeare")
            .arg(path(destination))
            .args(more.split(' '))
            .output()
    };
    fs::write(path("notes.md"), "mine").unwrap();
    for (more, why) in [("--force", "it is a file"), ("--force --to gguf", "not a GGUF file")] {
        let message = refusal(&convert("notes.md", more).unwrap());
        assert!(message.contains(why) && message.contains("notes.md"), "{message}");
    }
    assert_eq!(fs::read(path("notes.md")).unwrap(), b"mine");
    for _ in 0..2 {
        success(&convert("a.gguf", "--force").unwrap());
        success(&convert("preset", "--force").unwrap());
    }
    fs::create_dir(path("preset/training")).unwrap();
    fs::write(path("preset/training/log.jsonl"), "").unwrap();
    let message = refusal(&convert("preset", "--force").unwrap());
    assert!(message.contains("it holds `training`"), "{message}");
    assert!(fs::exists(path("preset/training/log.jsonl")).unwrap());
}

#[test]
fn convert_names_no_folder_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more, format) in [
        ("x.keras", "-q", "keras"),
        ("x.weights.h5", "-q", "keras"),
        ("x.SafeTensors", "-q", "transformers"),
        ("x.gguf", "--to keras", "keras"),
    ] {
        let path = folder.path().join(name);
        let mut command = program("convert gpt2_tiny_shakespeare");
        let message = refusal(&command.arg(&path).args(more.split(' ')).output().unwrap());
        assert!(
            message.contains(&format!("the format {format} is written as a folder")),
            "{message}"
        );
        assert!(!path.exists());
    }
}

#[test]
fn text_becomes_tokens_and_text_again() {
    let found = object("tokenizer encode ROMEO:", &[("preset", "string"), ("texts", "array")]);
    let ids = found["texts"][0]["token_ids"].as_array().unwrap().clone();
    let printed = text("tokenizer encode ROMEO:");
    let words: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(printed.trim(), words.join(" "));
    assert_eq!(text(&format!("tokenizer decode {}", printed.trim())), "ROMEO:\n");
    let decode = format!("tokenizer decode {}", printed.trim());
    assert_eq!(object(&decode, &[("text", "string"), ("token_ids", "array")])["text"], "ROMEO:");
}

#[test]
fn models_are_listed_and_shown() {
    let table = text("models list");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("gpt2_base_en") && table.contains("GB"), "{table}");
    object("models list", &[("models", "array")]);
    let found = object(
        "models show gpt2_tiny_shakespeare",
        &[
            ("name", "string"),
            ("format", "string"),
            ("config", "object"),
            ("cached_bytes", "number"),
        ],
    );
    assert_eq!(found["config"]["num_layers"], 4);
    assert!(text("models show gpt2_tiny_shakespeare").contains("positions"));
    assert!(text("models pull gpt2_tiny_shakespeare").contains("without a download"));
    object("models pull gpt2_tiny_shakespeare", &[("cached_bytes", "number")]);
}

#[test]
fn downloaded_models_are_listed() {
    let cache = tempfile::tempdir().unwrap();
    let commit = "0123456789012345678901234567890123456789";
    for (name, config) in [
        ("keras--gpt2_base_en", r#"{"model_type": "gpt2"}"#),
        ("openai-community--gpt2", r#"{"model_type": "gpt2"}"#),
        ("meta--llama", r#"{"model_type": "llama"}"#),
    ] {
        let folder = cache.path().join(format!("models--{name}"));
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), commit).unwrap();
        let snapshot = folder.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(snapshot.join("config.json"), config).unwrap();
    }
    let list = |more: &str| {
        let mut command = program(&format!("models list{more}"));
        let empty = cache.path().join("empty");
        command.env("HF_HUB_CACHE", cache.path()).env("KAGGLEHUB_CACHE", &empty);
        success(&command.env("MODELSCOPE_CACHE", &empty).output().unwrap())
    };
    let table = list("");
    assert_eq!(table.matches("hf://openai-community/gpt2").count(), 1, "{table}");
    assert!(!table.contains("llama") && !table.contains("hf://keras"), "{table}");
    let found: Value = serde_json::from_str(&list(" --json")).unwrap();
    let other = &found["models"][6];
    assert_eq!(other["name"], "hf://openai-community/gpt2");
    assert_eq!(
        (&other["parameter_count"], &other["cached_bytes"]),
        (&124_439_808.into(), &22.into())
    );
    for key in found["models"][0].as_object().unwrap().keys() {
        assert!(other.get(key).is_some(), "{key}");
    }
}

#[test]
fn a_preset_of_the_user_is_shown_with_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine");
    text(&format!("convert gpt2_tiny_shakespeare {}", path.display()));
    fs::create_dir(path.join("training")).unwrap();
    fs::write(path.join("training/log.jsonl"), [0; 1000]).unwrap();
    let shown = text(&format!("models show {}", path.display()));
    assert!(shown.contains("on disk       8 MB"), "{shown}");
    let found = object(&format!("models show {}", path.display()), &[("local_bytes", "number")]);
    let weights = fs::metadata(path.join("model.weights.h5")).unwrap().len();
    assert!((weights..weights + 100_000).contains(&found["local_bytes"].as_u64().unwrap()));
    object("models show gpt2_tiny_shakespeare", &[("local_bytes", "null")]);
}

#[test]
fn removing_deletes_the_files_of_one_model() {
    let cache = tempfile::tempdir().unwrap();
    let commit = "0123456789012345678901234567890123456789";
    for owner in ["a--b", "a--c"] {
        let folder = cache.path().join(format!("models--{owner}"));
        let snapshot = folder.join("snapshots").join(commit);
        for folder in [&snapshot, &folder.join("blobs"), &folder.join("refs")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(folder.join("refs/main"), commit).unwrap();
        fs::write(folder.join("blobs/etag"), "{}").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../blobs/etag", snapshot.join("config.json")).unwrap();
        #[cfg(not(unix))]
        fs::write(snapshot.join("config.json"), "{}").unwrap();
    }
    let remove = |more: &str| {
        let mut command = program(&format!("models remove hf://a/b --json{more}"));
        let output = command.env("HF_HUB_CACHE", cache.path()).output().unwrap();
        serde_json::from_str::<Value>(&success(&output)).unwrap()
    };
    let found = remove(" --dry-run");
    assert_eq!(found["files"].as_array().unwrap().len(), 1);
    assert!(cache.path().join("models--a--b/blobs/etag").exists());
    assert_eq!(remove("")["deleted"], true);
    assert!(!cache.path().join("models--a--b/blobs/etag").exists());
    assert!(!cache.path().join("models--a--b/snapshots").exists());
    assert!(cache.path().join("models--a--c/blobs/etag").exists(), "another model stays");
    let mut command = program("models remove hf://a/b");
    let output = command.env("HF_HUB_CACHE", cache.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_machine_is_described() {
    let found = object("devices", &[("devices", "array"), ("built_in", "array")]);
    assert_eq!(found["devices"][0]["name"], "cpu");
    assert!(text("devices").starts_with("cpu "));
    let found = object("doctor", &[("findings", "array")]);
    for finding in found["findings"].as_array().unwrap() {
        assert_eq!((kind(&finding["name"]), kind(&finding["value"])), ("string", "string"));
    }
    assert!(text("doctor").contains("kernels"));
}

#[test]
fn bench_measures() {
    object(
        "bench --rounds 1",
        &[
            ("prefill_tokens_per_second", "number"),
            ("decode_tokens_per_second", "number"),
            ("load_seconds", "number"),
            ("processor", "string"),
        ],
    );
    assert!(text("bench --rounds 1 -q").contains("decode"));
}
