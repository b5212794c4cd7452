//! `cargo xtask train-tokenizer` as a command: a folder that a tokenizer can be opened from.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use gpt2_presets::FromPreset;
use gpt2_tokenizer::Gpt2Tokenizer;

fn train(file: &Path, output: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("train-tokenizer").arg(file).arg("--output").arg(output);
    command.args(more).output().unwrap()
}

#[test]
fn what_is_written_opens_as_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let (texts, output) = (folder.path().join("texts"), folder.path().join("output"));
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join("a.txt"), "the cat sat on the mat ".repeat(3)).unwrap();
    fs::write(texts.join("b.jsonl"), "{\"body\": \"the hat\"}\n").unwrap();
    let result = train(&texts, &output, &["--vocabulary-size", "260", "--text-key", "body"]);
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    let message = String::from_utf8(result.stdout).unwrap();
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
    assert!(train(&text, &output, &size).status.success());
    let before = fs::read(output.join("merges.txt")).unwrap();
    fs::write(&text, "cd cd cd").unwrap();
    let result = train(&text, &output, &size);
    assert_eq!(result.status.code(), Some(2));
    assert!(String::from_utf8(result.stderr).unwrap().contains("--force"));
    assert_eq!(fs::read(output.join("merges.txt")).unwrap(), before);
    assert!(train(&text, &output, &["--vocabulary-size", "258", "--force"]).status.success());
    assert_ne!(fs::read(output.join("merges.txt")).unwrap(), before);
}

#[test]
fn faults_are_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (text, output) = (folder.path().join("a.txt"), folder.path().join("output"));
    fs::write(&text, "ab\0").unwrap();
    for (size, expected) in [("100", "found 100"), ("300", "at offset 2")] {
        let result = train(&text, &output, &["--vocabulary-size", size]);
        assert_eq!(result.status.code(), Some(2));
        let message = String::from_utf8(result.stderr).unwrap();
        assert!(message.contains(expected), "{message}");
    }
    assert!(!output.exists());
}
