//! Runner of this library, which repeats a scenario's work and prints the times.

use std::fs;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use burn::tensor::Device;
use gpt2_backbone::{LoraConfig, WeightDtype, check_float_type, parse_device};
use gpt2_presets::{FromPreset, LoadOptions, Preset};
use gpt2_task::{
    CompileOptions, GenerateOptions, Gpt2CausalLm, Precision, StopTokenIds, TokenBatch, TokenId,
    TrainingBatch, samplers,
};
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Value, json};

use super::prose::Random;
use super::{compute_device, limits, process};

/// Limit of random prompts' ids, a little less than GPT-2's vocabulary.
const RANDOM_IDS: usize = 50_000;

/// Work in the form that `Work::request` writes.
#[derive(clap::Args)]
pub struct Arguments {
    /// A JSON object
    request: String,
}

/// Prints `{"values": […], "peak_bytes": …}`: seconds of a prefill, a step or a load, or bytes per
/// second. The tasks `device` and `limits` print their findings.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let request =
        Request(serde_json::from_str(&arguments.request).context("cannot read the request")?);
    gpt2_task::reuse_memory();
    let name = request.text("device")?;
    let device = parse_device(name)?;
    let values = match request.text("task")? {
        "generate" => generate(&request, &device)?,
        "train" => train(&request, &device)?,
        "load" => vec![load(&request, &device)?],
        "first-token" => first_token(&request, &device)?,
        "tokenize" => tokenize(&request)?,
        "limits" => {
            let dtype = request.dtype()?;
            check_float_type(&device, dtype.tensor())?;
            let rates = if compute_device::is_cpu(&device) {
                limits::of_cpu(&device, dtype, request.count("threads")?)?
            } else {
                limits::of_gpu(&device, dtype)?
            };
            vec![rates.bytes, rates.operations]
        }
        "device" => {
            println!("{}", compute_device::describe(name, &device));
            return Ok(ExitCode::SUCCESS);
        }
        task => bail!("unknown task `{task}`"),
    };
    println!("{}", json!({"values": values, "peak_bytes": process::peak_bytes()}));
    Ok(ExitCode::SUCCESS)
}

/// A request of `Setup::request` or of the rounds.
struct Request(Value);

impl Request {
    fn text(&self, key: &str) -> anyhow::Result<&str> {
        self.0[key].as_str().with_context(|| format!("the request has a text `{key}`"))
    }

    fn count(&self, key: &str) -> anyhow::Result<usize> {
        count(&self.0[key]).with_context(|| format!("the request has a number `{key}`"))
    }

    fn flag(&self, key: &str) -> anyhow::Result<bool> {
        self.0[key].as_bool().with_context(|| format!("the request has `{key}`, true or false"))
    }

    fn dtype(&self) -> anyhow::Result<WeightDtype> {
        Ok(self.text("dtype")?.parse()?)
    }

    fn model(&self, options: LoadOptions) -> anyhow::Result<Gpt2CausalLm> {
        Ok(Preset::open(self.text("model")?)?.causal_lm(options)?)
    }

    /// Options of loading a model of the requested type for generation.
    fn options(&self, device: &Device) -> anyhow::Result<LoadOptions> {
        Ok(LoadOptions::new(device).with_dtype(self.dtype()?))
    }

    /// Values of all repetitions, after the discarded ones.
    fn repeat(&self, mut run: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<Vec<f64>> {
        for _ in 0..self.count("warm_ups")? {
            run()?;
        }
        (0..self.count("repetitions")?).map(|_| run()).collect()
    }
}

fn count(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn load(request: &Request, device: &Device) -> anyhow::Result<f64> {
    let options = request.options(device)?;
    let start = Instant::now();
    let model = request.model(options)?;
    device.sync()?;
    let seconds = start.elapsed().as_secs_f64();
    // The drop is not timed.
    drop(model);
    Ok(seconds)
}

/// Returns no values: only the parent process knows the time since the start.
fn first_token(request: &Request, device: &Device) -> anyhow::Result<Vec<f64>> {
    let mut model = request.model(request.options(device)?)?;
    model.compile(samplers::get("greedy")?)?;
    let options = GenerateOptions::new()
        .with_max_length(request.count("max_length")?)
        .with_stop_token_ids(StopTokenIds::None);
    model.generate(request.text("prompt")?, &options)?;
    Ok(Vec::new())
}

fn generate(request: &Request, device: &Device) -> anyhow::Result<Vec<f64>> {
    // Loads as programs do that generate for long.
    let mut model = request.model(request.options(device)?.with_memory_map(false))?;
    model.compile(samplers::get(match request.text("search")? {
        "beam" => "beam:num_beams=5",
        "contrastive" => "contrastive:k=5,alpha=0.6",
        "top_k" => "top_k:k=5,seed=1",
        "top_p" => "top_p:p=0.9,seed=1",
        search => search,
    })?)?;
    let lengths = request.0["lengths"].as_array().context("the request has `lengths`")?;
    let lengths = lengths.iter().map(count).collect::<Option<Vec<_>>>();
    let lengths = lengths.context("lengths are whole numbers")?;
    let steps = request.count("steps")?;
    let mut random = Random(1);
    let mut seconds = |new_tokens: usize| -> anyhow::Result<f64> {
        let width = lengths.iter().max().copied().unwrap_or_default() + new_tokens;
        let token_ids = random_rows(&mut random, lengths.len(), width);
        let mask =
            |&length: &usize| (0..width).map(|position| position < length).collect::<Vec<_>>();
        let batch = TokenBatch::new(token_ids, lengths.iter().map(mask))?;
        let start = Instant::now();
        model.generate_step(&batch, &[], &mut |_| ControlFlow::Continue(()))?;
        Ok(start.elapsed().as_secs_f64())
    };
    request.repeat(|| {
        let first = seconds(1)?;
        if steps == 0 {
            return Ok(first);
        }
        Ok((seconds(steps + 1)? - first) / steps as f64)
    })
}

/// Trains with Keras' Adam and its defaults, and dropout from the config. The weights are 32-bit
/// floats.
fn train(request: &Request, device: &Device) -> anyhow::Result<Vec<f64>> {
    let mut model = request.model(LoadOptions::new(device))?;
    model.compile(CompileOptions::new().with_precision(Precision::mixed(request.dtype()?)))?;
    if request.flag("lora")? {
        model.enable_lora(LoraConfig::new(4).with_seed(0))?;
    }
    let (batch_size, length) = (request.count("batch_size")?, request.count("length")?);
    let mut random = Random(1);
    request.repeat(|| {
        let x = TokenBatch::unpadded(random_rows(&mut random, batch_size, length))?;
        let y = random_rows(&mut random, batch_size, length);
        let batch = TrainingBatch::new(x, y)?;
        let start = Instant::now();
        model.train_on_batch(batch)?;
        Ok(start.elapsed().as_secs_f64())
    })
}

fn tokenize(request: &Request) -> anyhow::Result<Vec<f64>> {
    let tokenizer = Gpt2Tokenizer::from_preset(request.text("model")?)?;
    let path = request.text("text")?;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let batch = request.flag("batch")?;
    request.repeat(|| {
        let start = Instant::now();
        if batch {
            tokenizer.tokenize_batch(&lines)?;
        } else {
            tokenizer.tokenize(&text)?;
        }
        Ok(text.len() as f64 / start.elapsed().as_secs_f64())
    })
}

fn random_rows(random: &mut Random, rows: usize, width: usize) -> Vec<Vec<TokenId>> {
    let mut row = |_| (0..width).map(|_| random.below(RANDOM_IDS) as TokenId).collect();
    (0..rows).map(&mut row).collect()
}
