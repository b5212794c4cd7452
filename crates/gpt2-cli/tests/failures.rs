//! Errors: exit codes, text, JSON.

use serde_json::Value;

use crate::support::{program, refusal};

#[test]
fn errors_are_one_line_without_a_backtrace() {
    let mut command = program("generate");
    let output = command.args(["--device", "abacus", "a"]).env("RUST_BACKTRACE", "1").output();
    let message = refusal(&output.unwrap());
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("error: `abacus` is not a device"), "{message}");
}

#[test]
fn a_cause_is_printed_once() {
    let message = refusal(&program("train --train absent.txt --output o").output().unwrap());
    assert_eq!(message.matches("No such file").count(), 1, "{message}");
    assert!(message.trim_end().ends_with("; check the path and its permissions"), "{message}");
}

#[test]
fn errors_are_json_too() {
    for (arguments, kind) in [
        (&["generate", "--max-length", "300", "a"][..], "error"),
        (&["generate", "--no-such-flag", "a"], "usage"),
        (&["generate", "--preset", "no_such_preset", "a"], "preset"),
    ] {
        let output = program("--json").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["schema_version"], 1);
        assert_eq!(object["error"]["kind"], kind, "{object}");
        assert!(object["error"]["message"].is_string(), "{object}");
        let hint = &object["error"]["hint"];
        assert!(hint.is_string() || hint.is_null(), "{object}");
    }
}

#[test]
fn remedies_are_those_of_the_command() {
    for (arguments, expected) in [
        (&["--sampler", "top_k:k=0", "a"][..], "sampler `top_k`: `k` must be"),
        (&["--offline", "--preset", "gpt2_base_en", "a"], "`--offline` forbids"),
        (&["--preset", "gpt2_bas", "a"], "did you mean `gpt2_base_en`?"),
        (&["--preset", "./x.gguf", "a"], "there is no such file or folder"),
        (&["--max-length", "3", "What is the matter?"], "raise it to at most 128"),
    ] {
        let mut command = program("generate");
        command.env_remove("GPT2_OFFLINE");
        let message = refusal(&command.args(arguments).output().unwrap());
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!message.contains("HubOptions"), "{message}");
    }
}

#[test]
fn numbers_below_zero_are_values() {
    for (command, expected) in [
        ("generate --seed -1 a", "'-1' for '--seed <N>': expected a whole number from 0"),
        ("generate -n 1e3 a", "'1e3' for '--max-new-tokens <N>': expected a whole number from 0"),
        ("generate --top-p abc a", "'abc' for '--top-p <P>': expected a number"),
        ("bench --rounds -5", "'-5' for '--rounds <N>': expected a whole number from 0"),
        ("tokenizer train a --output b --vocabulary-size -3", "expected a whole number from 0"),
        ("generate --sampler top_k:k=-1 a", "sampler `top_k`: `k` must be a whole number from 0"),
        ("convert a b --max-shard-size -1", "expected a number of gigabytes above 0"),
    ] {
        let message = refusal(&program(command).output().unwrap());
        assert!(message.contains(expected), "{command}: {message}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_ends_with_130() {
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::Duration;

    for signal in ["INT", "TERM"] {
        let mut command = program("bench --rounds 100000 -q");
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        // Until the handlers are installed, a signal ends the process at once.
        sleep(Duration::from_millis(1500));
        let id = child.id().to_string();
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_conversion_leaves_nothing_behind() {
    use std::fs;
    use std::process::{Command, Stdio};

    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program("convert gpt2_tiny_shakespeare");
        command.arg(folder.path().join("a")).args(["--verify", "-q"]).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap().flatten();
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        while names().is_empty() && child.try_wait().unwrap().is_none() {}
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        match child.wait().unwrap().code() {
            // The conversion was faster than the signal.
            Some(0) => continue,
            code => assert_eq!((code, names()), (Some(130), Vec::new())),
        }
        return;
    }
    panic!("no conversion was interrupted");
}
