//! llama.cpp loads exported models and computes the same. Needs a Python with llama-cpp-python.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FromPreset, Save, SaveOptions, WeightDtype};
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, TokenBatch};
use gpt2_test_support::skip;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Value, json};

use crate::gguf::open_file;
use crate::interop::{BUNDLED, bundled, run, script, small, with_config};
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

/// The Python, if it has `module`; else the test is skipped.
fn python(module: &str) -> Option<OsString> {
    let python = std::env::var_os(VARIABLE).filter(|python| {
        let import = Command::new(python).args(["-c", &format!("import {module}")]).output();
        import.unwrap().status.success()
    });
    if python.is_none() {
        skip(format!("{VARIABLE} names no Python with {module}"));
    }
    python
}

/// For each prompt, the ids generated and the logits of all positions.
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
        let logits = model.score_logits(&batch).unwrap();
        let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
        let logits: Vec<_> = logits.chunks(vocabulary_size).collect();
        json!({"prompt_ids": prompt, "ids": ids, "logits": logits})
    };
    prompts.iter().map(continued).collect()
}

/// Loads a file on both sides. `tokenizer` tells whether the file has one; `tolerance` is relative
/// to the largest logit.
fn compare(
    python: &OsStr,
    path: &Path,
    preprocessor: &Gpt2CausalLmPreprocessor,
    tolerance: f64,
    tokenizer: bool,
) {
    let backbone = Gpt2Backbone::from_preset_with(path.to_str().unwrap(), &device()).unwrap();
    let ids = |text: &&str| preprocessor.tokenizer().tokenize(text).unwrap();
    let (texts, prompts) = (TEXTS.iter().map(ids), PROMPTS.iter().map(ids));
    let (texts, prompts): (Vec<_>, Vec<_>) = (texts.collect(), prompts.collect());
    let mut model = Gpt2CausalLm::new(backbone, Some(preprocessor.clone())).unwrap();
    let expected = json!({
        "texts": if tokenizer { json!([TEXTS, texts]) } else { Value::Null },
        "end_token_id": preprocessor.tokenizer().end_token_id(),
        "continuations": continuations(&mut model, &prompts),
        "tolerance": tolerance,
    });
    fs::write(path.with_extension("json"), expected.to_string()).unwrap();
    run(script(python, "check_llama_cpp.py").arg(path));
}

#[test]
fn llama_cpp_loads_what_is_exported() {
    let Some(python) = python("llama_cpp") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = bundled();
    let preprocessor = model.preprocessor().unwrap();
    // ggml looks the activation up in a float16 table. With 16-bit kernels it also rounds the other
    // factor of a product.
    for (name, dtype, tolerance) in [
        ("bundled_f32.gguf", WeightDtype::F32, 5e-4),
        ("bundled_f16.gguf", WeightDtype::F16, 5e-4),
        ("bundled_bf16.gguf", WeightDtype::Bf16, 5e-3),
    ] {
        let path = folder.path().join(name);
        model.save(&path, SaveOptions::gguf().with_dtype(dtype)).unwrap();
        compare(&python, &path, preprocessor, tolerance, true);
    }
    let path = folder.path().join("backbone.gguf");
    model.backbone().export_to_gguf(&path).unwrap();
    compare(&python, &path, preprocessor, 5e-4, false);
}

#[test]
fn llama_cpp_loads_other_configs() {
    let Some(python) = python("llama_cpp") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, config) in [
        ("small.gguf", small()),
        ("untied.gguf", Gpt2BackboneConfig { tie_weights: false, ..small() }),
        ("epsilon.gguf", Gpt2BackboneConfig { layer_norm_epsilon: 0.1, ..small() }),
        // Ids without a token are padded.
        ("wide.gguf", Gpt2BackboneConfig { vocabulary_size: 1030, ..small() }),
    ] {
        let (path, model) = (folder.path().join(name), with_config(&config));
        model.export_to_gguf(&path).unwrap();
        compare(&python, &path, model.preprocessor().unwrap(), 4e-3, true);
    }
}

/// llama.cpp rounds the inputs of quantized kernels to 8 bits, so the logits differ more.
#[test]
fn what_llama_cpp_quantizes_is_loaded() {
    let Some(python) = python("llama_cpp") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = bundled();
    let exported = folder.path().join("f32.gguf");
    model.export_to_gguf(&exported).unwrap();
    for kind in ["q8_0", "q4_0"] {
        let path = folder.path().join(format!("{kind}.gguf"));
        run(script(&python, "quantize.py").args([&exported, &path, Path::new(kind)]));
        compare(&python, &path, model.preprocessor().unwrap(), 2e-2, true);
    }
}

#[test]
fn what_gguf_py_writes_of_a_transformers_folder_is_the_same_model() {
    let Some(python) = python("gguf") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("transformers"), folder.path().join("model.gguf"));
    let model = bundled();
    model.export_to_transformers(&source).unwrap();
    run(script(&python, "make_gguf.py").args([&source, &path]));
    let again = open_file(&path).unwrap().causal_lm(&device()).unwrap();
    // Bit for bit, and therefore the logits too.
    assert_same(&again, &model, TEXTS[0]);
    let tokenizer = Gpt2Tokenizer::from_preset(BUNDLED).unwrap();
    for text in TEXTS {
        let found = again.preprocessor().unwrap().tokenizer().tokenize(text).unwrap();
        assert_eq!(found, tokenizer.tokenize(text).unwrap());
    }
}
