//! `cargo xtask train-tokenizer` as a command: its output opens as a tokenizer.

use std::fs;
use std::path::Path;

use gpt2_presets::FromPreset;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::support::{refusal, success, xtask};

fn train(file: &Path, output: &Path, more: &[&str]) -> std::process::Output {
    let mut command = xtask("train-tokenizer");
    command.arg(file).arg("--output").arg(output).args(more).output().unwrap()
}

#[test]
fn what_is_written_opens_as_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let (texts, output) = (folder.path().join("texts"), folder.path().join("output"));
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join("a.txt"), "the cat sat on the mat ".repeat(3)).unwrap();
    fs::write(texts.join("b.jsonl"), "{\"body\": \"the hat\"}\n").unwrap();
    let message =
        success(train(&texts, &output, &["--vocabulary-size", "260", "--text-key", "body"]));
    assert!(message.starts_with("260 tokens, 3 of them merges"), "{message}");

    let tokenizer = Gpt2Tokenizer::from_preset(output.to_str().unwrap()).unwrap();
    assert_eq!(tokenizer.end_token_id(), 259);
    let text = "Any text: 字!<|endoftext|>";
    assert_eq!(tokenizer.detokenize(&tokenizer.tokenize(text).unwrap()).unwrap(), text);
    assert!(tokenizer.tokenize(" at").unwrap().len() < 3, "a frequent pair is a token");
}

#[test]
fn a_vocabulary_is_replaced_by_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (text, output) = (folder.path().join("a.txt"), folder.path().join("output"));
    fs::write(&text, "ab ab ab").unwrap();
    let size = ["--vocabulary-size", "258"];
    success(train(&text, &output, &size));
    let before = fs::read(output.join("merges.txt")).unwrap();
    fs::write(&text, "cd cd cd").unwrap();
    let message = refusal(train(&text, &output, &size));
    assert!(message.contains("--force"), "{message}");
    assert_eq!(fs::read(output.join("merges.txt")).unwrap(), before);
    success(train(&text, &output, &["--vocabulary-size", "258", "--force"]));
    assert_ne!(fs::read(output.join("merges.txt")).unwrap(), before);
}

#[test]
fn faults_are_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (text, output) = (folder.path().join("a.txt"), folder.path().join("output"));
    fs::write(&text, "ab\0").unwrap();
    for (size, expected) in [("100", "found 100"), ("300", "at offset 2")] {
        let message = refusal(train(&text, &output, &["--vocabulary-size", size]));
        assert!(message.contains(expected), "{message}");
    }
    assert!(!output.exists());
}
