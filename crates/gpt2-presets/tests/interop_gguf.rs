//! llama.cpp loads what is exported, and computes the same. Needs a Python with llama-cpp-python.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{
    ExportOptions, ExportToGguf, ExportToTransformers, FromPreset, FromPresetOnDevice, WeightDtype,
};
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, TokenBatch};
use serde_json::{Value, json};

use crate::gguf::open_file;
use crate::interop::{BUNDLED, bundled, small, with_config};
use crate::saving::assert_same;
use crate::support::device;

const VARIABLE: &str = "GPT2_TRANSFORMERS_PYTHON";
const TEXTS: [&str; 5] = [
    "What, art thou mad?\nIs not the truth the truth?",
    "  two  spaces,\ttab\r\n\n\nlines ",
    "it's we'll I'D don't 1234 5,678.90 -- !?!",
    "na\u{ef}ve \u{4f60}\u{597d} \u{1F600} e\u{301}\u{200d}\u{a0}x",
    "one<|endoftext|>two",
];
const PROMPTS: [&str; 4] = ["ROMEO:", "What, art thou", "KING RICHARD III:\nNow", "the"];
const NEW_TOKENS: usize = 64;

/// Runs a script of `tests/interop`, if there is a Python that has `module`.
fn run(script: &str, module: &str, arguments: &[&Path]) -> bool {
    let python = std::env::var_os(VARIABLE).filter(|python| {
        let import = Command::new(python).args(["-c", &format!("import {module}")]).output();
        import.unwrap().status.success()
    });
    let Some(python) = python else {
        println!("skipped: {VARIABLE} names no Python with {module}");
        return false;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    print!("{}", text(&output.stdout));
    true
}

/// What the model gives for prompts: the ids that follow, and the logits of all positions.
fn continuations(model: &mut Gpt2CausalLm, prompts: &[Vec<u32>]) -> Vec<Value> {
    model.compile(GreedySampler::new()).unwrap();
    let vocabulary_size = model.backbone().config().vocabulary_size;
    let continued = |prompt: &Vec<u32>| {
        let width = prompt.len() + NEW_TOKENS;
        let mut row = prompt.clone();
        row.resize(width, 0);
        let mask: Vec<_> = (0..width).map(|position| position < prompt.len()).collect();
        let batch = TokenBatch::new(vec![row], vec![mask]).unwrap();
        let decoded = model.generate_step(&batch, &[], &mut |_| ControlFlow::Continue(())).unwrap();
        let ids = decoded.rows[0].clone();
        let batch = TokenBatch::unpadded(vec![ids.clone()]).unwrap();
        let logits = model.score_logits(&batch, None).unwrap();
        let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
        let logits: Vec<_> = logits.chunks(vocabulary_size).collect();
        json!({"prompt_ids": prompt, "ids": ids, "logits": logits})
    };
    prompts.iter().map(continued).collect()
}

/// Exports a model, and lets llama.cpp compute the same. `tokenizer` tells whether it has one.
fn check(name: &str, model: &Gpt2CausalLm, dtype: WeightDtype, tolerance: f64, tokenizer: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{name}.gguf"));
    let options = ExportOptions::new().with_dtype(dtype);
    if tokenizer {
        model.export_to_gguf_with(&path, &options).unwrap();
    } else {
        model.backbone().export_to_gguf_with(&path, &options).unwrap();
    }
    // Rounded, as the other side has it.
    let rounded = Gpt2Backbone::from_preset(path.to_str().unwrap(), &device()).unwrap();
    let preprocessor = model.preprocessor().cloned();
    let ids = |text: &&str| preprocessor.as_ref().unwrap().tokenizer().tokenize(text).unwrap();
    let (texts, prompts) = (TEXTS.iter().map(ids), PROMPTS.iter().map(ids));
    let (texts, prompts): (Vec<_>, Vec<_>) = (texts.collect(), prompts.collect());
    let mut rounded = Gpt2CausalLm::new(rounded, preprocessor.clone()).unwrap();
    let expected = json!({
        "texts": if tokenizer { json!([TEXTS, texts]) } else { Value::Null },
        "end_token_id": preprocessor.as_ref().unwrap().tokenizer().end_token_id(),
        "continuations": continuations(&mut rounded, &prompts),
        "tolerance": tolerance,
    });
    fs::write(path.with_extension("json"), expected.to_string()).unwrap();
    run("check_llama_cpp.py", "llama_cpp", &[&path]);
}

#[test]
fn llama_cpp_loads_what_is_exported() {
    if std::env::var_os(VARIABLE).is_none() {
        println!("skipped: {VARIABLE} names no Python with llama_cpp");
        return;
    }
    // ggml looks the activation up in a table of float16, and with kernels of 16 bits it rounds the
    // other factor of a product too.
    for (name, dtype, tolerance) in [
        ("bundled_f32", WeightDtype::F32, 2e-3),
        ("bundled_f16", WeightDtype::F16, 2e-3),
        ("bundled_bf16", WeightDtype::Bf16, 2e-2),
    ] {
        check(name, &bundled(), dtype, tolerance, true);
    }
    check("backbone", &bundled(), WeightDtype::F32, 2e-3, false);
    let configs = [
        ("small", small()),
        ("untied", Gpt2BackboneConfig { tie_weights: false, ..small() }),
        ("epsilon", Gpt2BackboneConfig { layer_norm_epsilon: 0.1, ..small() }),
        // Ids without a token are filled up.
        ("wide", Gpt2BackboneConfig { vocabulary_size: 1030, ..small() }),
    ];
    for (name, config) in configs {
        check(name, &with_config(&config), WeightDtype::F32, 2e-3, true);
    }
}

#[test]
fn what_gguf_py_writes_of_a_transformers_folder_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("transformers"), folder.path().join("model.gguf"));
    let model = bundled();
    model.export_to_transformers(&source).unwrap();
    if !run("make_gguf.py", "gguf", &[&source, &path]) {
        return;
    }
    let again = open_file(&path).unwrap().causal_lm(&device()).unwrap();
    // Bit for bit, so the logits are too.
    assert_same(&again, &model, TEXTS[0]);
    let tokenizer = Gpt2CausalLmPreprocessor::from_preset(BUNDLED).unwrap();
    for text in TEXTS {
        let found = again.preprocessor().unwrap().tokenizer().tokenize(text).unwrap();
        assert_eq!(found, tokenizer.tokenizer().tokenize(text).unwrap());
    }
}
