//! `gpt2 verify`: comparison of a preset's results with a reference.

mod reference;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use burn::tensor::Tensor;
use gpt2_task::optimizers::{Adam, Optimizer};
use gpt2_task::{CompileOptions, Gpt2CausalLm, TokenBatch, TokenId, TrainingBatch};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::model;
use reference::Reference;

/// Maximum number of unchecked tensors to name.
const NAMED: usize = 8;

/// Names of a reference file's inputs.
const INPUTS: [&str; 8] = [
    "token_ids",
    "padding_mask",
    "score_targets",
    "train.token_ids",
    "train.padding_mask",
    "train.targets",
    "train.sample_weight",
    "train.learning_rate",
];

/// Compare a preset with a reference file; exits with 1 beyond the tolerance
///
/// Compares hidden states, logits, score losses and training losses
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name; handle hf://, kaggle:// or modelscope://; folder in Keras' or transformers'
    /// format; .keras file; or GGUF file
    preset: String,
    /// safetensors file: `token_ids` and `padding_mask` [B, T], and any of `hidden` [B, T, C],
    /// `logits` [B, T, V], `score_targets` with `score_loss` [B, T], or `train.losses` of n
    /// steps of Adam on `train.token_ids`, `train.padding_mask`, `train.targets`,
    /// `train.sample_weight` [B, T] at `train.learning_rate`, without dropout
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// Largest absolute difference that passes
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// Device to compute on
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// Largest difference of one result from its reference.
struct Comparison {
    name: &'static str,
    shape: Vec<usize>,
    /// Over unmasked positions; infinite if a value is non-finite.
    difference: f64,
}

/// Computes, compares and prints.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    ensure!(arguments.tolerance >= 0.0, "--tolerance must not be negative");
    let reference = Reference::open(&arguments.reference)?;
    let device = model::device(&arguments.device)?;
    let backbone =
        model::open(&arguments.preset, context)?.backbone(model::load_options(&device, context))?;
    let mut model = Gpt2CausalLm::new(backbone, None)?;

    let mut comparisons = compare(&model, &reference)?;
    comparisons.extend(compare_training(&mut model, &reference)?);
    if comparisons.is_empty() {
        bail!("the reference has none of `hidden`, `logits`, `score_loss` and `train.losses`");
    }
    let passed = comparisons.iter().all(|one| one.difference <= arguments.tolerance);
    let checked: Vec<&str> = comparisons.iter().map(|one| one.name).collect();
    let not_checked: Vec<String> = reference
        .names()?
        .into_iter()
        .filter(|name| !checked.contains(&name.as_str()) && !INPUTS.contains(&name.as_str()))
        .collect();
    if context.json {
        context.print_json(report(arguments, &comparisons, &not_checked, passed))?;
    } else {
        print_table(arguments, context, &comparisons, &not_checked)?;
    }
    Ok(if passed { Answer::Yes } else { Answer::No })
}

fn read_tokens(reference: &Reference, prefix: &str) -> anyhow::Result<TokenBatch> {
    let read = |name: &str| {
        let name = format!("{prefix}{name}");
        let rows = reference.integers(&name)?;
        rows.with_context(|| format!("the reference has no `{name}`"))
    };
    let (ids, mask) = (read("token_ids")?, read("padding_mask")?);
    ensure!(
        mask.iter().flatten().all(|value| matches!(value, 0 | 1)),
        "`{prefix}padding_mask` must hold 0 and 1 only"
    );
    let mask =
        mask.into_iter().map(|row| row.into_iter().map(|value| value == 1).collect::<Vec<_>>());
    Ok(TokenBatch::new(token_ids("token_ids", ids)?, mask)?)
}

fn token_ids(name: &str, rows: Vec<Vec<i64>>) -> anyhow::Result<Vec<Vec<TokenId>>> {
    rows.into_iter()
        .map(|row| row.into_iter().map(TokenId::try_from).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()
        .with_context(|| format!("`{name}` holds an id that is negative or too large"))
}

fn compare(model: &Gpt2CausalLm, reference: &Reference) -> anyhow::Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    let outputs = ["hidden", "logits", "score_loss"];
    let names = reference.names()?;
    if !names.iter().any(|name| outputs.contains(&name.as_str())) {
        return Ok(comparisons);
    }
    let tokens = &read_tokens(reference, "")?;
    if let Some(expected) = reference.floats("hidden")? {
        let backbone = model.backbone();
        let (ids, mask) =
            tokens.to_tensors(backbone.config().vocabulary_size, &backbone.device())?;
        let found = backbone.forward(ids, Some(mask))?;
        comparisons.push(difference("hidden", found, expected, tokens)?);
    }
    if let Some(expected) = reference.floats("logits")? {
        let found = model.score_logits(tokens)?;
        comparisons.push(difference("logits", found, expected, tokens)?);
    }
    if let Some(expected) = reference.floats("score_loss")? {
        let targets = reference
            .integers("score_targets")?
            .context("the reference has `score_loss` but no `score_targets`")?;
        let found = model.score_loss(tokens, &token_ids("score_targets", targets)?)?;
        comparisons.push(difference("score_loss", found, expected, tokens)?);
    }
    Ok(comparisons)
}

/// Trains on one batch with Keras' Adam, and compares the loss of each step.
fn compare_training(
    model: &mut Gpt2CausalLm,
    reference: &Reference,
) -> anyhow::Result<Option<Comparison>> {
    let Some((expected, shape)) = reference.floats("train.losses")? else { return Ok(None) };
    ensure!(!expected.is_empty(), "`train.losses` is empty");
    let floats = |name: &str| -> anyhow::Result<Vec<f64>> {
        let found = reference.floats(name)?;
        Ok(found.with_context(|| format!("the reference has no `{name}`"))?.0)
    };
    let x = read_tokens(reference, "train.")?;
    let targets = reference.integers("train.targets")?;
    let targets = targets.context("the reference has `train.losses` but no `train.targets`")?;
    let weights = floats("train.sample_weight")?;
    let weights: Vec<f32> = weights.into_iter().map(|weight| weight as f32).collect();
    let rows = weights.chunks(x.sequence_length());
    let batch =
        TrainingBatch::new(x, token_ids("train.targets", targets)?)?.with_sample_weight(rows)?;
    let rate = floats("train.learning_rate")?;
    let &[rate] = rate.as_slice() else { bail!("`train.learning_rate` must be one number") };

    let mut backbone = model.backbone().clone();
    backbone.set_dropout(0.0)?;
    model.set_backbone(backbone)?;
    let optimizer = Optimizer::new(Adam::default(), rate);
    model.compile(CompileOptions::new().with_optimizer(optimizer))?;
    let mut difference = 0f64;
    for expected in expected {
        let found = model.train_on_batch(&batch)?.get("loss").context("a step has a loss")?;
        let one = (found - expected).abs();
        difference = if one.is_nan() { f64::INFINITY } else { difference.max(one) };
    }
    Ok(Some(Comparison { name: "train.losses", shape, difference }))
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
    let found: Vec<f32> = found.try_into_vec_as().context("cannot read the result")?;
    // Number of values at every position of the mask.
    let width = found.len() / (tokens.batch_size() * tokens.sequence_length());
    let positions = tokens.padding_mask().iter().flatten();
    let rows = found.chunks_exact(width).zip(expected.chunks_exact(width));
    let differences = positions
        .zip(rows)
        .filter(|(real, _)| **real)
        .flat_map(|(_, (found, expected))| found.iter().zip(expected))
        .map(|(&found, &expected)| (f64::from(found) - expected).abs());
    let difference = differences.fold(0.0, |largest: f64, one| {
        // A NaN counts as an infinite difference.
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

fn print_table(
    arguments: &Arguments,
    context: &Context,
    comparisons: &[Comparison],
    not_checked: &[String],
) -> anyhow::Result<()> {
    context.print(format_args!(
        "{:<12} {:<18} {:>16}  tolerance {:e}",
        "", "shape", "max |difference|", arguments.tolerance
    ))?;
    for one in comparisons {
        let verdict = if one.difference <= arguments.tolerance { "ok" } else { "TOO LARGE" };
        let shape = format!("{:?}", one.shape);
        context.print(format_args!(
            "{:<12} {shape:<18} {:>16.3e}  {verdict}",
            one.name, one.difference
        ))?;
    }
    if !not_checked.is_empty() {
        let more = not_checked.len().saturating_sub(NAMED);
        let named = not_checked[..not_checked.len() - more].join(", ");
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        context.print(format_args!("not checked: {named}{rest}"))?;
    }
    Ok(())
}
