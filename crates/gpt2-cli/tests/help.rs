//! Help, completions, manual pages.

use std::fs;

use crate::support::{program, success};

const COMMANDS: [&str; 13] = [
    "generate",
    "train",
    "score",
    "eval",
    "convert",
    "verify",
    "models",
    "tokenizer",
    "bench",
    "devices",
    "doctor",
    "completions",
    "man",
];

fn run(command: &str) -> String {
    success(&program(command).output().unwrap())
}

#[test]
fn every_command_has_help() {
    let all = run("--help");
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command}")), "{command}: {all}");
        assert!(run(&format!("{command} --help")).contains("Usage: gpt2"), "{command}");
    }
    assert!(run("--version").starts_with("gpt2 0."));
}

#[test]
fn lists_of_arguments_have_help_of_their_own() {
    for (command, expected) in [
        ("help samplers", "num_beams"),
        ("generate --help samplers", "num_beams"),
        ("help optimizers", "  weight_decay                  default: 0.004"),
        ("train --help schedules", "warmup_steps"),
    ] {
        assert!(run(command).contains(expected), "{command}");
    }
}

#[test]
fn names_of_presets_are_completed() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&format!("completions {shell}")).contains("gpt2"), "{shell}");
    }
    let mut command = program("-- gpt2 models show gpt2_b");
    let output = command.env("GPT2_COMPLETE", "fish").output().unwrap();
    let found = success(&output);
    assert!(found.contains("gpt2_base_en") && !found.contains("gpt2_large_en"), "{found}");
}

#[test]
fn manual_pages_and_the_reference_are_written() {
    assert!(run("man").contains(".TH gpt2 1"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("man --output");
    success(&command.arg(folder.path()).output().unwrap());
    assert!(fs::read_dir(folder.path()).unwrap().count() > COMMANDS.len());
    let reference = run("man --markdown");
    for command in COMMANDS {
        assert!(reference.contains(&format!("\n## gpt2 {command}\n")), "{command}");
    }
}
