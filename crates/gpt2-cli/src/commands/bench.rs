//! `gpt2 bench`: speed of a preset on a device.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{GenerateOptions, Gpt2CausalLm, StopTokenIds};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::machine::Machine;
use crate::model::ModelArguments;

const EXAMPLES: &str = "\
Examples:
  gpt2 bench
  gpt2 bench --preset gpt2_base_en --prompt-tokens 512 --new-tokens 128

Greedy generation of one text. Prefill is the prompt and the first new token, decode every token
after it. After one round to warm up, the median of the rounds is printed.";

/// Measure the speed of a preset on a device
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Length of the prompt in tokens, with the start token [default: half of the positions, at
    /// most 128]
    #[arg(long, value_name = "N", help_heading = "Measurement")]
    prompt_tokens: Option<usize>,
    /// Number of new tokens [default: the remaining positions, at most 128]
    #[arg(long, value_name = "N", help_heading = "Measurement")]
    new_tokens: Option<usize>,
    /// Number of rounds
    #[arg(long, default_value_t = 5, value_name = "N", help_heading = "Measurement")]
    rounds: usize,
}

/// Seconds of a round.
struct Round {
    prefill: f64,
    decode: f64,
}

/// Measures and prints the speed.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    ensure!(arguments.rounds > 0, "`--rounds` must be at least 1");
    let begin = Instant::now();
    let mut model = arguments.model.load(context)?;
    let load = begin.elapsed().as_secs_f64();
    model.compile(GreedySampler::new())?;
    let positions = model.backbone().config().max_sequence_length;
    let prompt_tokens = arguments.prompt_tokens.unwrap_or((positions / 2).clamp(1, 128));
    let left = positions.saturating_sub(prompt_tokens);
    let new_tokens = arguments.new_tokens.unwrap_or(left.min(128));
    ensure!(
        prompt_tokens >= 1 && new_tokens >= 2 && prompt_tokens + new_tokens <= positions,
        "`--prompt-tokens` and `--new-tokens` must be at least 1 and 2 and together at most \
         {positions}, found {prompt_tokens} and {new_tokens}"
    );
    let prompt = prompt(&model, prompt_tokens)?;
    let style = ProgressStyle::with_template("round {pos} of {len}")?;
    let bar = match context.quiet {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(arguments.rounds as u64).with_style(style),
    };
    round(&mut model, &prompt, prompt_tokens + new_tokens)?;
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        rounds.push(round(&mut model, &prompt, prompt_tokens + new_tokens)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let prefill = median(rounds.iter().map(|round| round.prefill));
    let decode = median(rounds.iter().map(|round| round.decode));
    let (prefill_speed, decode_speed) =
        (prompt_tokens as f64 / prefill, (new_tokens - 1) as f64 / decode);
    let machine = Machine::new();
    if context.json {
        context.print_json(json!({
            "preset": arguments.model.preset,
            "device": arguments.model.device,
            "dtype": arguments.model.dtype.name(),
            "processor": machine.processor,
            "threads": machine.threads,
            "rounds": arguments.rounds,
            "prompt_tokens": prompt_tokens,
            "new_tokens": new_tokens,
            "load_seconds": load,
            "prefill_seconds": prefill,
            "prefill_tokens_per_second": prefill_speed,
            "decode_seconds": decode,
            "decode_tokens_per_second": decode_speed,
        }))?;
        return Ok(Answer::Yes);
    }
    let ModelArguments { preset, device, dtype } = &arguments.model;
    context.print(format_args!(
        "{preset}, {dtype}, on {device}; {}, {} threads",
        machine.processor, machine.threads
    ))?;
    context.print(format_args!("load     {load:>9.3} s"))?;
    context.print(format_args!(
        "prefill  {prefill:>9.4} s for {prompt_tokens:>4} tokens  {prefill_speed:>10.1} tokens/s"
    ))?;
    context.print(format_args!(
        "decode   {decode:>9.4} s for {:>4} tokens  {decode_speed:>10.1} tokens/s",
        new_tokens - 1
    ))?;
    Ok(Answer::Yes)
}

/// A text of `tokens` tokens, including the start token.
fn prompt(model: &Gpt2CausalLm, tokens: usize) -> anyhow::Result<String> {
    let tokenizer = model.preprocessor().context("the preset has no tokenizer")?.tokenizer();
    // The repeated word is one token each time.
    let text = " the".repeat(tokens - 1);
    let found = tokenizer.tokenize(&text)?.len() + 1;
    ensure!(
        found == tokens,
        "cannot measure with this vocabulary: ` the` is not a single token \
             ({found} tokens, expected {tokens})"
    );
    Ok(text)
}

/// Generates once, up to the whole length.
fn round(model: &mut Gpt2CausalLm, prompt: &str, length: usize) -> anyhow::Result<Round> {
    let options =
        GenerateOptions::new().with_max_length(length).with_stop_token_ids(StopTokenIds::None);
    let begin = Instant::now();
    let mut first = None;
    model.generate_with(&[prompt], &options, &mut |_| {
        first.get_or_insert_with(|| begin.elapsed().as_secs_f64());
        ControlFlow::Continue(())
    })?;
    let prefill = first.context("a generation has a first token")?;
    Ok(Round { prefill, decode: begin.elapsed().as_secs_f64() - prefill })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
