//! `cargo xtask verify-preset`: is a preset, as this library computes it, what a reference says?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use burn::tensor::Tensor;
use gpt2_presets::Preset;
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId};
use serde_json::{Value, json};

use crate::reference::Reference;

/// Names of the inputs in a reference file.
const INPUTS: [&str; 3] = ["token_ids", "padding_mask", "score_targets"];

/// Compares hidden states, logits and score losses with those of a reference file.
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name, or a folder in Keras' or transformers' format
    preset: String,
    /// safetensors file: `token_ids` and `padding_mask` [B, T], and any of `hidden` [B, T, C],
    /// `logits` [B, T, V], `score_targets` with `score_loss` [B, T]
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// The largest absolute difference that passes
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// Device to compute on
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How far one quantity is from its reference.
struct Comparison {
    name: &'static str,
    shape: Vec<usize>,
    /// Over unmasked positions; infinite where a value is not finite.
    difference: f64,
}

/// Computes, compares and prints.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ensure!(arguments.tolerance >= 0.0, "--tolerance must not be negative");
    let reference = Reference::open(&arguments.reference)?;
    let tokens = read_tokens(&reference)?;
    let device = gpt2_backbone::parse_device(&arguments.device)?;
    let backbone = Preset::open(&arguments.preset)?.backbone(&device)?;
    let model = Gpt2CausalLm::new(backbone, None)?;

    let comparisons = compare(&model, &tokens, &reference)?;
    let passed = comparisons.iter().all(|one| one.difference <= arguments.tolerance);
    let checked: Vec<&str> = comparisons.iter().map(|one| one.name).collect();
    let not_checked: Vec<String> = reference
        .names()?
        .into_iter()
        .filter(|name| !checked.contains(&name.as_str()) && !INPUTS.contains(&name.as_str()))
        .collect();
    if arguments.json {
        println!("{:#}", report(arguments, &comparisons, &not_checked, passed));
    } else {
        print_table(arguments, &comparisons, &not_checked);
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_tokens(reference: &Reference) -> anyhow::Result<TokenBatch> {
    let ids = reference.integers("token_ids")?.context("the reference has no `token_ids`")?;
    let mask =
        reference.integers("padding_mask")?.context("the reference has no `padding_mask`")?;
    ensure!(
        mask.iter().flatten().all(|value| matches!(value, 0 | 1)),
        "`padding_mask` must hold 0 and 1 only"
    );
    let mask = mask.into_iter().map(|row| row.into_iter().map(|value| value == 1).collect());
    Ok(TokenBatch::new(token_ids("token_ids", ids)?, mask.collect())?)
}

fn token_ids(name: &str, rows: Vec<Vec<i64>>) -> anyhow::Result<Vec<Vec<TokenId>>> {
    rows.into_iter()
        .map(|row| row.into_iter().map(TokenId::try_from).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()
        .with_context(|| format!("`{name}` holds an id that is negative or too large"))
}

fn compare(
    model: &Gpt2CausalLm,
    tokens: &TokenBatch,
    reference: &Reference,
) -> anyhow::Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    if let Some(expected) = reference.floats("hidden")? {
        let backbone = model.backbone();
        let (ids, mask) =
            tokens.to_tensors(backbone.config().vocabulary_size, &backbone.device())?;
        let found = backbone.forward(ids, Some(mask))?;
        comparisons.push(difference("hidden", found, expected, tokens)?);
    }
    if let Some(expected) = reference.floats("logits")? {
        let found = model.score_logits(tokens, None)?;
        comparisons.push(difference("logits", found, expected, tokens)?);
    }
    if let Some(expected) = reference.floats("score_loss")? {
        let targets = reference
            .integers("score_targets")?
            .context("the reference has `score_loss` but no `score_targets`")?;
        let found = model.score_loss(tokens, &token_ids("score_targets", targets)?, None)?;
        comparisons.push(difference("score_loss", found, expected, tokens)?);
    }
    if comparisons.is_empty() {
        bail!("the reference has none of `hidden`, `logits` and `score_loss`");
    }
    Ok(comparisons)
}

fn difference<const D: usize>(
    name: &'static str,
    found: Tensor<D>,
    (expected, shape): (Vec<f64>, Vec<usize>),
    tokens: &TokenBatch,
) -> anyhow::Result<Comparison> {
    let found_shape = found.dims();
    ensure!(
        shape == found_shape,
        "`{name}` has the shape {shape:?} in the reference, {found_shape:?} here"
    );
    let found: Vec<f32> = found.try_into_vec_as().context("reading the result")?;
    // Every position of the mask has this many values.
    let width = found.len() / (tokens.batch_size() * tokens.sequence_length());
    let positions = tokens.padding_mask().iter().flatten();
    let rows = found.chunks_exact(width).zip(expected.chunks_exact(width));
    let differences = positions
        .zip(rows)
        .filter(|(real, _)| **real)
        .flat_map(|(_, (found, expected))| found.iter().zip(expected))
        .map(|(&found, &expected)| (f64::from(found) - expected).abs());
    let difference = differences.fold(0.0, |largest: f64, one| {
        // A NaN must not pass for a small difference.
        if one.is_nan() { f64::INFINITY } else { largest.max(one) }
    });
    Ok(Comparison { name, shape, difference })
}

fn report(
    arguments: &Arguments,
    comparisons: &[Comparison],
    not_checked: &[String],
    passed: bool,
) -> Value {
    let results: Vec<Value> = comparisons
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "shape": one.shape,
                "max_abs_difference": one.difference.is_finite().then_some(one.difference),
                "passed": one.difference <= arguments.tolerance,
            })
        })
        .collect();
    json!({
        "preset": arguments.preset,
        "tolerance": arguments.tolerance,
        "passed": passed,
        "results": results,
        "not_checked": not_checked,
    })
}

fn print_table(arguments: &Arguments, comparisons: &[Comparison], not_checked: &[String]) {
    println!(
        "{:<12} {:<18} {:>16}  tolerance {:e}",
        "", "shape", "max |difference|", arguments.tolerance
    );
    for one in comparisons {
        let verdict = if one.difference <= arguments.tolerance { "ok" } else { "TOO LARGE" };
        let shape = format!("{:?}", one.shape);
        println!("{:<12} {shape:<18} {:>16.3e}  {verdict}", one.name, one.difference);
    }
    if !not_checked.is_empty() {
        println!("not checked: {}", not_checked.join(", "));
    }
}
