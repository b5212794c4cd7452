//! `gpt2 train`: a preset from text, interruptions, mistakes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{program, refusal, success};

const TEXT: &str =
    "ROMEO:\nBut, soft! what light through yonder window breaks?\n\nJULIET:\nO Romeo!\n\n";

/// A folder with a text and the config of a very small model.
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
    let mut command = program("train");
    command.current_dir(world);
    command.args(["--config", "config.json", "--tokenizer", "gpt2_tiny_shakespeare"]);
    command.args(["--train", "train.txt", "--validation", "validation.txt"]);
    command.args(["--batch-size", "4", "--epochs", "3", "--save-every", "2", "--seed", "3"]);
    command.args(["--learning-rate", "1e-2", "--schedule", "cosine:warmup_steps=2"]);
    command.args(["--optimizer", "adamw:global_clipnorm=1", "--output", output]);
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
    let log = fs::read_to_string(out.join("training/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(fs::read_to_string(out.join("training/curves.svg")).unwrap().starts_with("<svg"));
    assert!(!out.join("training/training.checkpoint.safetensors").exists());

    let mut generate = program("generate");
    generate.arg("--preset").arg(&out).args(["--max-length", "12", "ROMEO:"]);
    assert!(success(&generate.output().unwrap()).starts_with("ROMEO:"));
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
        // Later and later, so that it gets on however slow the machine is.
        let deadline = Instant::now() + Duration::from_millis(60 * (attempt + 1));
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => sleep(Duration::from_millis(1)),
            }
        };
        match status {
            // Killed when all was done, it is told that the preset is there.
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
        (&["--train", "train.txt", "--batch-size", "0"], "`--batch-size`"),
        (&["--train", "train.txt", "--optimizer", "adamm"], "adafactor, adam, adamw"),
        (&["--train", "train.txt", "--schedule", "cosin"], "cosine"),
        (&["--train", "train.txt", "--lora-rank", "0"], "rank"),
        (&["--train", "train.txt", "--sequence-length", "5000"], "5001"),
        (&["--train", "train.txt", "--sequence-length", "200"], "max_sequence_length"),
        (&["--train", "train.txt", "--dropout", "2"], "dropout"),
        (&["--train", "train.txt", "--tokenizer", "x"], "--config"),
        (
            &["--train", "train.txt", "--learning-rate", "1", "--optimizer", "sgd:learning_rate=1"],
            "given twice",
        ),
        // Its loss is a number still; the weights after the only step are not.
        (
            &[
                "--train",
                "train.txt",
                "--steps",
                "1",
                "--optimizer",
                "sgd:learning_rate=1e30,weight_decay=1e30",
            ],
            "not finite",
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
    }
    assert!(!path("out/config.json").exists(), "nothing was written");
}

#[test]
fn a_preset_is_not_replaced_and_another_training_not_resumed() {
    let world = world();
    success(&training(world.path(), "out").output().unwrap());
    let message = error(&mut training(world.path(), "out"));
    assert!(message.contains("--force"), "{message}");
    success(&training(world.path(), "out").arg("--force").output().unwrap());

    // A training that is killed once it has a checkpoint, and then goes on with other settings.
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
        let message = error(training(world.path(), "other").args(["--dropout", "0.5"]));
        assert!(message.contains("does not belong to this training"), "{message}");
        assert_eq!(fs::read(&checkpoint).unwrap(), before);
    }
}
