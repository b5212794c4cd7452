//! `gpt2 generate`: its output, options and errors.

use assert_cmd::Command;
use serde_json::Value;

use crate::support::{program, refusal};

fn generate() -> Command {
    Command::from_std(program("generate"))
}

fn json(arguments: &[&str], input: &str) -> Value {
    let output = generate().arg("--json").args(arguments).write_stdin(input).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// JSON objects, one a line.
fn json_lines(arguments: &[&str], input: &str) -> Vec<Value> {
    let output = generate().arg("--json").args(arguments).write_stdin(input).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn error(arguments: &[&str]) -> String {
    let output = generate().args(arguments).write_stdin("").output().unwrap();
    assert!(output.stdout.is_empty(), "{arguments:?} gives text");
    refusal(&output)
}

#[test]
fn a_prompt_gives_its_text_and_nothing_else() {
    let output = generate().args(["--sampler", "greedy", "--max-length", "20", "ROMEO:"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ROMEO:\n"), "{text}");
    assert!(output.stderr.is_empty(), "it is quiet where it is not on a terminal");
}

#[test]
fn json_tells_everything() {
    let arguments = ["--sampler", "greedy", "--max-length", "12", "ROMEO:", "What"];
    let object = json(&arguments, "");
    let outputs = object["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[0]["prompt"], "ROMEO:");
    assert!(outputs[0]["text"].as_str().unwrap().starts_with("ROMEO:"));
    let ids = outputs[0]["token_ids"].as_array().unwrap();
    let new_tokens = outputs[0]["new_tokens"].as_u64().unwrap() as usize;
    let all_new: u64 = outputs.iter().map(|one| one["new_tokens"].as_u64().unwrap()).sum();
    assert_eq!(ids.len(), 12);
    assert_eq!(ids[0], 1023, "the start token comes first");
    assert_eq!(object["prompt_tokens"].as_u64().unwrap() + all_new, 24);
    assert!(new_tokens > 0 && new_tokens < 12);
    assert!(object["seconds_to_first_token"].as_f64().unwrap() > 0.0);
    assert!(object["tokens_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn prompts_come_from_standard_input_too() {
    let arguments = ["--sampler", "greedy", "--max-length", "12"];
    let piped = json_lines(&arguments, "ROMEO:\n\nWhat\n");
    let given = json(&[&arguments[..], &["ROMEO:", "What"]].concat(), "");
    assert_eq!(piped.len(), 2);
    for (index, line) in piped.iter().enumerate() {
        assert_eq!((&line["schema_version"], &line["index"]), (&1.into(), &index.into()));
        for (key, value) in given["outputs"][index].as_object().unwrap() {
            assert_eq!(&line[key], value, "{key}");
        }
    }
    // The whole standard input is one prompt.
    let whole = json(&[&arguments[..], &["-"]].concat(), "ROMEO:\n\nWhat\n");
    assert_eq!(whole["outputs"][0]["prompt"], "ROMEO:\n\nWhat");
}

#[test]
fn a_seed_makes_random_samplers_repeat_themselves() {
    for sampler in ["top_k", "top_p:p=0.9", "random:temperature=0.8"] {
        let run =
            |seed| json(&["--sampler", sampler, "--seed", seed, "--max-length", "30", "A"], "");
        assert_eq!(run("1")["outputs"], run("1")["outputs"]);
        assert_ne!(run("1")["outputs"], run("2")["outputs"]);
    }
}

#[test]
fn options_reach_the_generation() {
    let greedy = ["--sampler", "greedy", "--max-length", "20", "ROMEO:"];
    let whole = json(&greedy, "")["outputs"][0].clone();
    let stripped = json(&[&["--strip-prompt"], &greedy[..]].concat(), "")["outputs"][0].clone();
    let text = |output: &Value| output["text"].as_str().unwrap().to_owned();
    assert_eq!(format!("ROMEO:{}", text(&stripped)), text(&whole));
    assert_eq!(stripped["token_ids"], whole["token_ids"]);

    // 198 is the line break, which is generated first.
    let stopped = json(&[&["--stop-token-ids", "198"], &greedy[..]].concat(), "");
    assert_eq!(stopped["outputs"][0]["new_tokens"], 1);

    let beams = "beam:num_beams=3,return_all_beams=true";
    let beams = json(&["--sampler", beams, "--max-length", "20", "ROMEO:"], "");
    let beams = beams["outputs"][0]["beams"].as_array().unwrap().clone();
    let scores: Vec<f64> =
        beams.iter().map(|beam| beam["log_probability"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn mistakes_are_explained() {
    for (arguments, expected) in [
        (&[][..], "no prompt"),
        (&["--prompt-file", "-", "-"], "`-` is given twice"),
        (&["--preset", "gpt3", "a"], "Unknown preset identifier"),
        (&["--preset", "hf://nobody/nothing", "a"], "GPT2_OFFLINE forbids requests to the hub"),
        (&["--device", "abacus", "a"], "`abacus` is not a device"),
        (&["--device", "cuda:0", "a"], "--features cuda"),
        (&["--sampler", "topk", "a"], "did you mean `top_k`?"),
        (&["--sampler", "top_k:k=0", "a"], "`k` must be between 1 and 1024, found 0"),
        (&["--sampler", "random:temperature=0", "a"], "`temperature` must be"),
        (&["--max-length", "0", "a"], "`--max-length` must be between 1 and 128, found 0"),
        (&["--max-length", "129", "a"], "between 1 and 128, found 129"),
        (&["--max-length", "3", "What is the matter?"], "more than the `--max-length` of 3"),
        (&["--stop-token-ids", "1024", "a"], "`--stop-token-ids` holds the token id 1024"),
        (&["--stop-token-ids", "x", "a"], "expected `auto`, `none`, or token ids"),
    ] {
        let message = error(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn the_flags_of_other_programs_are_understood() {
    let greedy = |more: &[&str]| json(&[more, &["ROMEO:"]].concat(), "")["outputs"][0].clone();
    assert_eq!(greedy(&["--temperature", "0", "-n", "5"])["new_tokens"], 5);
    let named = greedy(&["--sampler", "greedy", "--max-new-tokens", "5"]);
    assert_eq!(named, greedy(&["--temperature", "0", "-n", "5"]));
    let single = ["--top-p", "0.9", "--top-k", "9", "--temperature", "0.7", "--seed", "1"];
    let sampler = "Top-P:p=0.9,k=9,temperature=0.7";
    let named = ["--sampler", sampler, "--seed", "1", "--model", "gpt2_tiny_shakespeare"];
    assert_eq!(greedy(&single), greedy(&named));
}

#[test]
fn batches_of_any_size_give_the_same_answers() {
    let prompts = ["ROMEO:", "What", "O, Juliet, my dear,"];
    let run = |size: &str| {
        let options = ["--sampler", "greedy", "-n", "7", "--batch-size", size];
        json(&[&options[..], &prompts].concat(), "")["outputs"].clone()
    };
    let outputs = run("8");
    assert_eq!(outputs, run("1"));
    for output in outputs.as_array().unwrap() {
        assert_eq!(output["new_tokens"], 7);
        assert_eq!(output["stop_reason"], "length");
    }
}

#[test]
fn long_prompts_are_cut_when_that_is_asked_for() {
    let prompt = "What is the matter? ".repeat(100);
    let message = error(&[&prompt]);
    assert!(message.contains("--truncate start"), "{message}");
    let options = ["--truncate", "start", "-n", "5", "--sampler", "greedy"];
    let output = json(&[&options[..], &[prompt.as_str()]].concat(), "")["outputs"][0].clone();
    assert_eq!(output["new_tokens"], 5);
    // A quarter of the text is left for the answer, or kept of the prompt.
    let counts = |more: &[&str]| {
        let options = ["--truncate", "start", "--stop-token-ids", "none"];
        let output =
            json(&[&options[..], more, &[prompt.as_str()]].concat(), "")["outputs"][0].clone();
        (output["prompt_tokens"].clone(), output["new_tokens"].clone())
    };
    assert_eq!(counts(&[]), (96.into(), 32.into()));
    assert_eq!(counts(&["--max-length", "40"]), (30.into(), 10.into()));
    assert_eq!(counts(&["-n", "500"]), (32.into(), 96.into()));
}

#[test]
fn more_tokens_than_the_model_has_are_warned_of() {
    let output = generate().args(["-n", "500", "ROMEO:"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, "warning: texts end at the model's 128 tokens, before -n 500\n");
}

#[test]
fn several_texts_and_beams_are_told_apart() {
    let run = |arguments: &[&str]| {
        let output = generate().args(arguments).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["--max-length", "12", "ROMEO:", "What"]);
    assert!(text.starts_with("==> 1 <==\nROMEO:") && text.contains("\n==> 2 <==\nWhat"), "{text}");
    let sampler = "beam:num_beams=3,return_all_beams=true";
    let text = run(&["--sampler", sampler, "--max-length", "12", "ROMEO:"]);
    assert_eq!(text.matches("--- beam ").count(), 3, "{text}");
}

#[test]
fn settings_of_the_task_go_first_and_new_tokens_have_all_positions() {
    let folder = tempfile::tempdir().unwrap();
    let preset = folder.path().join("preset");
    let path = preset.to_str().unwrap();
    let converted = program("convert gpt2_tiny_shakespeare --to keras").arg(path).output().unwrap();
    crate::support::success(&converted);
    let file = preset.join("task.json");
    let mut task: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    task["config"]["preprocessor"]["config"]["sequence_length"] = 12.into();
    std::fs::write(&file, task.to_string()).unwrap();

    let prompt = "ROMEO: what is it that you say to all of them, my good lord, and why?";
    let options = ["--preset", path, "--sampler", "greedy", "--stop-token-ids", "none"];
    let short = json(&[&options[..], &["ROMEO:"]].concat(), "");
    assert_eq!(short["outputs"][0]["token_ids"].as_array().unwrap().len(), 12);
    let message = error(&[&options[..], &[prompt]].concat());
    assert!(message.contains("more than the `--max-length` of 12"), "{message}");
    let longer = json(&[&options[..], &["-n", "5", prompt]].concat(), "");
    assert_eq!(longer["outputs"][0]["new_tokens"], 5);
}
