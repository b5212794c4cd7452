//! `gpt2 train`: training on text, interruptions, errors.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{program, refusal, success};

const TEXT: &str =
    "ROMEO:\nBut, soft! what light through yonder window breaks?\n\nJULIET:\nO Romeo!\n\n";

/// A folder with a text and the config of a tiny model.
fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.txt"), TEXT.repeat(20)).unwrap();
    fs::write(folder.path().join("validation.txt"), TEXT.repeat(3)).unwrap();
    let config = r#"{"vocabulary_size": 1024, "num_layers": 1, "num_heads": 2, "hidden_dim": 16,
        "intermediate_dim": 32, "max_sequence_length": 16}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

/// A training of a new model in `world`, with dropout, shuffling and a validation.
fn training(world: &Path, output: &str) -> Command {
    training_with(world, output, &[])
}

/// The same training with other flags.
fn training_with(world: &Path, output: &str, changes: &[(&str, &str)]) -> Command {
    let flags = [
        ("--batch-size", "4"),
        ("--epochs", "3"),
        ("--save-every", "2"),
        ("--seed", "3"),
        ("--learning-rate", "1e-2"),
        ("--schedule", "cosine:warmup_steps=2"),
        ("--optimizer", "adamw:global_clipnorm=1"),
    ];
    let kept = flags.iter().filter(|(flag, _)| changes.iter().all(|(changed, _)| changed != flag));
    let mut command = program("train");
    command.current_dir(world);
    command.args(["--config", "config.json", "--tokenizer", "gpt2_tiny_shakespeare"]);
    command.args(["--train", "train.txt", "--validation", "validation.txt", "--output", output]);
    for (flag, value) in kept.chain(changes) {
        command.args([flag, value]);
    }
    command
}

fn error(command: &mut Command) -> String {
    refusal(&command.output().unwrap())
}

#[test]
fn a_new_model_is_trained_and_generates() {
    let world = world();
    let mut command = training(world.path(), "out");
    let output = command.args(["--json", "--plot"]).output().unwrap();
    let report: Value = serde_json::from_str(&success(&output)).unwrap();
    let losses = report["history"]["loss"].as_array().unwrap();
    assert_eq!(losses.len(), 3);
    assert!(losses[2].as_f64() < losses[0].as_f64());
    let bits = report["val_bits_per_byte"].as_f64().unwrap();
    // A token of this text has 2 to 3 bytes.
    let nats = report["val_loss"].as_f64().unwrap();
    assert!(bits > nats / 2f64.ln() / 3.5 && bits < nats / 2f64.ln() / 1.5, "{bits}, {nats}");

    let lines = String::from_utf8(output.stderr).unwrap();
    let epochs: Vec<&str> = lines.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert_eq!(epochs.len(), 3, "{lines}");
    assert!(epochs[0].contains("val_loss") && epochs[0].contains("tokens/s"), "{lines}");
    assert!(!lines.contains('\u{1b}') && !lines.contains('\r'), "quiet lines: {lines:?}");

    let out = world.path().join("out");
    check_log(&out, 3, report["steps"].as_u64().unwrap());
    assert!(fs::read_to_string(out.join("training/curves.svg")).unwrap().starts_with("<svg"));
    assert!(!out.join("training/training.checkpoint.safetensors").exists());
    assert!(!out.join("training/last").exists(), "it is the output");

    // Keys of the result; `val_…` with --validation.
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    let mut expected = vec![
        "schema_version",
        "command",
        "interrupted",
        "output",
        "epoch",
        "history",
        "steps",
        "seconds",
        "stopped_epoch",
        "kept_epoch",
        "parameters",
        "trainable_parameters",
        "tokens",
        "examples",
        "val_loss",
        "val_bits_per_byte",
    ];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);

    let mut generate = program("generate");
    generate.arg("--preset").arg(&out).args(["--max-length", "12", "ROMEO:"]);
    assert!(success(&generate.output().unwrap()).starts_with("ROMEO:"));
}

/// Checks that the log has every step and every epoch once, with their values.
fn check_log(output: &Path, epochs: usize, steps: u64) {
    let log = fs::read_to_string(output.join("training/log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let (of_steps, of_epochs): (Vec<Value>, Vec<Value>) =
        lines.partition(|line: &Value| line.get("batch").is_some());
    let numbers: Vec<u64> = of_steps.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=steps).collect::<Vec<_>>());
    assert_eq!(of_epochs.len(), epochs);
    assert!(of_epochs.iter().all(|line| line["tokens_per_second"].as_f64() > Some(0.0)));
    for line in of_steps.iter().chain(&of_epochs) {
        for key in ["epoch", "loss", "perplexity", "learning_rate", "seconds", "tokens_per_second"]
        {
            assert!(line[key].is_number(), "{key} of {line}");
        }
    }
}

#[test]
fn a_header_says_what_is_trained() {
    let world = world();
    let output = training(world.path(), "out").output().unwrap();
    success(&output);
    let lines = String::from_utf8(output.stderr).unwrap();
    // 1024 * 16 + 16 * 16 embeddings, a layer of 16 * 16 * 4 + 16 * 4 + 16 * 32 * 2 + 32 + 16 + 64, 32.
    assert!(lines.contains("model:  18,896 parameters, 18,896 trainable"), "{lines}");
    for expected in ["data:   ", "examples of 16 tokens; validation: ", "3 epochs", "device: cpu"] {
        assert!(lines.contains(expected), "{expected}: {lines}");
    }
    assert!(lines.contains("output: out\n") && !lines.contains("continues"), "{lines}");
    assert!(lines.contains(" in 3 epochs, 4 examples a step\n"), "{lines}");

    let output = training(world.path(), "quiet").arg("--quiet").output().unwrap();
    assert_eq!(success(&output), "quiet\n");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a command, and sends a signal once the log has grown.
#[cfg(unix)]
fn interrupt(command: &mut Command, log: &Path, signal: &str) -> std::process::Output {
    let size = || fs::metadata(log).map_or(0, |file| file.len());
    let before = size();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while size() <= before {
        assert!(Instant::now() < deadline, "no step");
        sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_signal_saves_a_checkpoint_and_the_same_command_continues() {
    let world = world();
    let long = |output: &str| training_with(world.path(), output, &[("--save-every", "100000")]);
    let long = |output: &str| {
        let mut command = long(output);
        command.arg("--plot");
        command
    };
    // Enough text for the training to be interrupted.
    fs::write(world.path().join("train.txt"), TEXT.repeat(400)).unwrap();
    success(&long("whole").output().unwrap());
    let out = world.path().join("out");
    let log = out.join("training/log.jsonl");
    for signal in ["-INT", "-TERM"] {
        let output = interrupt(&mut long("out"), &log, signal);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {message}");
        assert!(message.contains("interrupted after step "), "{message}");
        assert!(message.contains("run the same command\n"), "{message}");
        assert!(message.contains("gpt2 generate --preset out/training/last"), "{message}");
        assert!(!out.join("config.json").exists(), "no preset");
        let curves = fs::read_to_string(out.join("training/curves.svg")).unwrap();
        assert!(curves.contains("<polyline"), "{curves}");
        let mut generate = program("generate");
        generate.arg("--preset").arg(out.join("training/last")).args(["-n", "3", "ROMEO:"]);
        success(&generate.output().unwrap());
    }
    let output = long("out").output().unwrap();
    success(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("continues at step "), "{message}");
    let weights =
        |output: &str| fs::read(world.path().join(output).join("model.weights.h5")).unwrap();
    assert_eq!(weights("whole"), weights("out"), "the same bits");
    let steps = |output: &Path| {
        let log = fs::read_to_string(output.join("training/log.jsonl")).unwrap();
        serde_json::from_str::<Value>(log.lines().last().unwrap()).unwrap()["step"].as_u64()
    };
    check_log(&out, 3, steps(&world.path().join("whole")).unwrap());
}

#[test]
fn a_training_that_diverges_is_no_success() {
    let world = world();
    let changes = [("--optimizer", "sgd"), ("--learning-rate", "1e9"), ("--schedule", "constant")];
    let message = error(&mut training_with(world.path(), "out", &changes));
    assert!(message.contains("the training diverged: "), "{message}");
    assert!(message.contains("begin anew with --restart"), "{message}");
    assert!(!world.path().join("out/config.json").exists(), "{message}");
    // Neither the checkpoint nor the epoch's line of a model that is lost.
    assert!(!world.path().join("out/training/last").exists(), "{message}");
    assert!(!message.contains("epoch 1/3: ") && !message.contains("training/last"), "{message}");
    // The remedy of the message.
    success(&training(world.path(), "out").arg("--restart").output().unwrap());
}

#[test]
fn a_decay_does_not_rise() {
    let world = world();
    let with = |schedule: &str| {
        let changes = [("--learning-rate", "2e-5"), ("--schedule", schedule)];
        training_with(world.path(), "out", &changes)
    };
    for (schedule, found) in [
        ("linear", "from 2e-5 to the `end_learning_rate` of 0.0001 (its default)"),
        ("polynomial:end_learning_rate=0.1", "from 2e-5 to the `end_learning_rate` of 0.1, "),
    ] {
        let message = error(&mut with(schedule));
        assert!(message.contains(found), "{message}");
        assert!(message.contains(":end_learning_rate=0"), "{message}");
    }
    success(&with("linear:end_learning_rate=0").output().unwrap());
}

#[test]
fn the_curves_are_drawn_after_every_epoch() {
    let world = world();
    let curves = world.path().join("out/training/curves.svg");
    let mut command = training_with(world.path(), "out", &[("--epochs", "100000")]);
    let command = command.arg("--plot").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !curves.exists() {
        assert!(Instant::now() < deadline, "no curves");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fs::read_to_string(curves).unwrap().trim_end().ends_with("</svg>"), "it is whole");
}

#[test]
fn a_batch_of_all_examples_is_a_warning() {
    let world = world();
    let output =
        training_with(world.path(), "out", &[("--batch-size", "100000")]).output().unwrap();
    success(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("warning: --batch-size is 100000, and a batch holds all "),
        "{message}"
    );
    assert!(message.contains(" examples: the training has 3 steps\n"), "{message}");
}

#[test]
fn early_stopping_says_what_it_did() {
    let world = world();
    // The learning rate is far too high, so that the loss grows.
    let changes = [
        ("--early-stopping", "1"),
        ("--epochs", "6"),
        ("--schedule", "constant"),
        ("--learning-rate", "0.5"),
    ];
    let output = training_with(world.path(), "out", &changes).arg("--json").output().unwrap();
    let report: Value = serde_json::from_str(&success(&output)).unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let (stopped, kept) = (&report["stopped_epoch"], report["kept_epoch"].as_u64().unwrap());
    let expected = format!(
        "stopped after epoch {} of 6: val_loss did not improve for 1 epoch; weights of epoch {} kept",
        stopped.as_u64().expect("it gets worse") + 1,
        kept + 1
    );
    assert!(message.contains(&expected), "{expected}: {message}");
    assert!(world.path().join("out/training/best/config.json").exists());
}

#[test]
fn vocabularies_are_matched() {
    let world = world();
    let write = |text: &str| fs::write(world.path().join("config.json"), text).unwrap();
    let rest = r#""num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32,
        "max_sequence_length": 16}"#;
    write(&format!("{{{rest}"));
    let output = training(world.path(), "small").output().unwrap();
    success(&output);
    let config = fs::read_to_string(world.path().join("small/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["vocabulary_size"], 1024, "{config}");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("warning"));

    write(&format!("{{\"vocabulary_size\": 1100, {rest}"));
    let output = training(world.path(), "large").output().unwrap();
    success(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    let warnings: Vec<&str> =
        message.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{message}");
    assert!(warnings[0].contains("1100") && warnings[0].contains("1024 tokens"), "{message}");

    write(r#"{"n_layer": 1, "n_head": 2, "n_embd": 16, "vocab_size": 1024}"#);
    let message = error(&mut training(world.path(), "none"));
    assert!(message.contains("transformers' names"), "{message}");
    assert!(message.contains("`num_layers` for `n_layer`"), "{message}");
}

#[test]
fn an_adapter_is_saved_beside_the_merged_preset() {
    let world = world();
    let mut command = program("train");
    command.current_dir(world.path()).args(["--train", "train.txt", "--lora-rank", "2"]);
    command.args(["--lora-adapter", "mine.safetensors", "--sequence-length", "16"]);
    command.args(["--steps", "2", "--batch-size", "2", "--output", "out"]);
    let output = command.output().unwrap();
    success(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(" trainable (LoRA of rank 2)"), "{message}");
    assert!(world.path().join("mine.safetensors").metadata().unwrap().len() > 1000);
    assert!(world.path().join("out/config.json").exists());
}

#[test]
fn texts_of_lines_samples_and_a_long_warmup() {
    let world = world();
    let line = format!("{{\"body\": {}}}\n", serde_json::json!(TEXT));
    fs::write(world.path().join("lines.jsonl"), line.repeat(5)).unwrap();
    let mut command = program("train");
    command.current_dir(world.path()).args(["--train", "lines.jsonl", "--text-key", "body"]);
    command.args(["--sequence-length", "16", "--steps", "2", "--batch-size", "2"]);
    command.args(["--schedule", "cosine:warmup_steps=200", "--sample", "ROMEO:"]);
    let output = command.args(["--sample", "JULIET:", "--output", "out"]).output().unwrap();
    success(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("sample after epoch 1: ROMEO:"), "{message}");
    assert!(message.contains("sample after epoch 1: JULIET:"), "{message}");
    assert!(message.contains("warning: the warmup of 200 steps"), "{message}");
}

#[test]
fn unknown_characters_are_dropped_if_asked_for() {
    let world = world();
    let mut tokenizer = program("tokenizer train");
    tokenizer.current_dir(world.path());
    tokenizer.args(["train.txt", "--vocabulary-size", "300", "--output", "vocabulary"]);
    success(&tokenizer.output().unwrap());
    // A vocabulary without one of the text's bytes.
    let path = world.path().join("vocabulary/vocab.json");
    let vocabulary = fs::read_to_string(&path).unwrap();
    let mut vocabulary: Value = serde_json::from_str(&vocabulary).unwrap();
    let id = vocabulary.as_object_mut().unwrap().remove("#").unwrap();
    vocabulary["a-token-of-no-text"] = id;
    fs::write(&path, vocabulary.to_string()).unwrap();
    let _ = fs::remove_file(world.path().join("vocabulary/tokenizer.json"));
    fs::write(world.path().join("train.txt"), TEXT.repeat(20) + "#").unwrap();
    fs::remove_file(world.path().join("config.json")).unwrap();
    let config = r#"{"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32,
        "max_sequence_length": 16}"#;
    fs::write(world.path().join("config.json"), config).unwrap();
    let command = || {
        let mut command = program("train");
        command.current_dir(world.path()).args(["--config", "config.json", "--steps", "1"]);
        command.args(["--tokenizer", "vocabulary", "--train", "train.txt", "--output", "out"]);
        command
    };
    let message = error(&mut command());
    assert!(message.contains('#'), "{message}");
    success(&command().args(["--unknown", "drop"]).output().unwrap());
}

#[test]
fn a_killed_training_ends_with_the_same_bits() {
    let world = world();
    success(&training(world.path(), "whole").output().unwrap());
    let mut kills = 0;
    for attempt in 0.. {
        assert!(attempt < 200, "it never ends");
        let mut command = training(world.path(), "killed");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // The delay grows, so that even a slow machine makes progress.
        let deadline = Instant::now() + Duration::from_millis(60 * (attempt + 1));
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => sleep(Duration::from_millis(1)),
            }
        };
        match status {
            // A process killed after its end: the next run reports that the preset exists.
            Some(status) if !status.success() => {
                let message = error(&mut training(world.path(), "killed"));
                assert!(message.contains("--force"), "attempt {attempt}: {message}");
                break;
            }
            Some(_) => break,
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
        }
    }
    assert!(kills > 0, "the first attempt is too short to end");
    let weights =
        |output: &str| fs::read(world.path().join(output).join("model.weights.h5")).unwrap();
    assert_eq!(weights("whole"), weights("killed"), "after {kills} kills");
}

#[test]
fn lora_and_steps_train_a_preset() {
    let world = world();
    let mut command = program("train");
    command.current_dir(world.path()).args(["--train", "train.txt", "--lora-rank", "2"]);
    command.args(["--sequence-length", "16", "--steps", "5", "--steps-per-epoch", "2"]);
    command.args(["--batch-size", "2", "--output", "out", "--json"]);
    let report: Value = serde_json::from_str(&success(&command.output().unwrap())).unwrap();
    assert_eq!(report["steps"], 5);
    assert_eq!(report["epoch"], serde_json::json!([0, 1, 2]));
    let mut generate = program("generate");
    generate.arg("--preset").arg(world.path().join("out")).args(["--max-length", "12", "ROMEO:"]);
    success(&generate.output().unwrap());
}

#[test]
fn mistakes_are_explained() {
    let world = world();
    let path = |name: &str| world.path().join(name);
    fs::write(path("binary.txt"), b"\x00\x01\xff").unwrap();
    fs::write(path("empty.txt"), b"").unwrap();
    fs::write(path("short.txt"), b"ROMEO").unwrap();
    fs::write(path("lines.jsonl"), "{\"body\": \"ROMEO\"}\n").unwrap();
    let typo = r#"{"vocabulary_size": 1024, "num_layers": 1, "num_heads": 2, "hidden_dim": 16,
        "intermediate_dim": 32, "max_sequence_length": 16, "dropuot": 0}"#;
    fs::write(path("typo.json"), typo).unwrap();
    fs::write(path("bad.json"), b"{\"num_layers\": 1}").unwrap();
    let with = |arguments: &[&str]| {
        let mut command = program("train");
        command.current_dir(world.path()).args(arguments).args(["--output", "out"]);
        error(&mut command)
    };
    for (arguments, expected) in [
        (&["--train", "absent.txt"][..], "absent.txt"),
        (&["--train", "binary.txt"], "binary.txt"),
        (&["--train", "empty.txt"], "empty.txt"),
        (&["--train", "train.txt", "--batch-size", "0"], "`--batch-size` must be at least 1"),
        (&["--train", "train.txt", "--optimizer", "adamm"], "did you mean `adam`?"),
        (&["--train", "train.txt", "--optimizer", "adamw:wd=0.1"], "`weight_decay`"),
        (
            &["--train", "train.txt", "--schedule", "cosine:foo=1"],
            "unknown argument `foo`, expected",
        ),
        (&["--train", "train.txt", "--steps", "-2"], "expected a whole number from 0, found -2"),
        (&["--train", "train.txt", "--schedule", "cosin"], "did you mean `cosine`?"),
        (&["--train", "train.txt", "--steps", "0"], "`--steps` must be at least 1"),
        (&["--train", "train.txt", "--epochs", "0"], "`--epochs` must be at least 1"),
        (&["--train", "train.txt", "--validation", "short.txt"], "the validation data: "),
        (&["--train", "short.txt"], "the training data: "),
        (&["--train", "lines.jsonl"], "set `--text-key`"),
        (&["--train", "-"], "read several times"),
        (&["--train", "no/*.txt"], "leave the quotes off"),
        (&["train.txt"], "'--train train.txt'"),
        (
            &["--train", "train.txt", "--learning-rate", "-1"],
            "`--learning-rate` must be at least 0",
        ),
        (&["--train", "train.txt", "--learning-rate", "nan"], "expected a number, found nan"),
        (&["--train", "train.txt", "--lora-rank", "1", "--lora-adapter", "a.bin"], ".safetensors"),
        (&["--train", "train.txt", "--lora-adapter", "a.safetensors"], "--lora-rank"),
        (&["--train", "train.txt", "--lora-rank", "0"], "rank"),
        (&["--train", "train.txt", "--sequence-length", "5000"], "`--sequence-length` must be"),
        (&["--train", "train.txt", "--sequence-length", "0"], "`--sequence-length` must be"),
        (&["--train", "train.txt", "--dropout", "2"], "dropout"),
        (&["--train", "train.txt", "--tokenizer", "x"], "--config"),
        (
            &["--train", "train.txt", "--learning-rate", "1", "--optimizer", "sgd:learning_rate=1"],
            "given twice",
        ),
        // The loss is still finite; the weights after the only step are not.
        (
            &[
                "--train",
                "train.txt",
                "--steps",
                "1",
                "--optimizer",
                "sgd:learning_rate=1e30,weight_decay=1e30",
            ],
            "diverged",
        ),
        (
            &[
                "--train",
                "train.txt",
                "--config",
                "typo.json",
                "--tokenizer",
                "gpt2_tiny_shakespeare",
            ],
            "unknown key `dropuot`",
        ),
        (
            &[
                "--train",
                "train.txt",
                "--config",
                "bad.json",
                "--tokenizer",
                "gpt2_tiny_shakespeare",
            ],
            "bad.json",
        ),
    ] {
        let message = with(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
        // A training that has started keeps its log.
        let litter = path("out").exists();
        assert_eq!(litter, expected == "diverged", "{arguments:?} leaves a folder");
        assert!(!path("out/config.json").exists(), "{arguments:?} writes a preset");
        let _ = fs::remove_dir_all(path("out"));
    }
}

#[test]
fn a_preset_is_not_replaced_and_another_training_not_resumed() {
    let world = world();
    success(&training(world.path(), "out").output().unwrap());
    let message = error(&mut training(world.path(), "out"));
    assert!(message.contains("--force"), "{message}");
    success(&training(world.path(), "out").arg("--force").output().unwrap());

    // A training that is killed after its first checkpoint, then resumed with other settings.
    let checkpoint = world.path().join("other/training/training.checkpoint.safetensors");
    let mut command = training(world.path(), "other");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if checkpoint.exists() {
        let before = fs::read(&checkpoint).unwrap();
        let other = || {
            let changes = [("--dropout", "0.5"), ("--learning-rate", "0.001")];
            training_with(world.path(), "other", &changes)
        };
        let message = error(&mut other());
        assert!(message.contains("--dropout: was not given, is 0.5"), "{message}");
        assert!(message.contains("--learning-rate: was 0.01, is 0.001"), "{message}");
        assert!(message.contains("--restart") && !message.contains("--seed"), "{message}");
        assert_eq!(fs::read(&checkpoint).unwrap(), before);
        let output = other().arg("--restart").output().unwrap();
        success(&output);
        assert!(!String::from_utf8(output.stderr).unwrap().contains("continues at"));
    }
}
