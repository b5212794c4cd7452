//! `gpt2 eval`: loss of a model on files.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use gpt2_presets::{TokenizeOptions, TrainingDataOptions, open_training_data, progress_bars};
use gpt2_task::Dataset;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::evaluation::{Evaluation, evaluate};
use crate::model::ModelArguments;
use crate::values::text_path;

const EXAMPLES: &str = "\
Examples:
  gpt2 eval validation.txt
  gpt2 eval --preset my_preset texts/ --metric bits-per-byte --at-most 1.2

The files are cut into windows of the sequence length; every token is predicted from those
before it in its window. With a threshold the exit code is 1 if the answer is no.";

/// Evaluate a model on files: loss, perplexity, bits per byte
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Text files, .jsonl files, .bin files of token ids, or folders of them
    #[arg(required = true, value_parser = text_path(), value_name = "PATH")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArguments,
    /// Evaluate windows of N tokens [default: the preset's length]
    #[arg(long, value_name = "N", help_heading = "Windows")]
    sequence_length: Option<usize>,
    /// Key of the text in .jsonl files [default: text]
    #[arg(long, value_name = "KEY", help_heading = "Windows")]
    text_key: Option<String>,
    /// Compute N windows together
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Windows")]
    batch_size: usize,
    /// Compare this metric with the threshold
    #[arg(long, default_value = "loss", value_name = "NAME", help_heading = "Threshold")]
    metric: Metric,
    /// Exit with 1 if the metric is below X
    #[arg(long, value_name = "X", help_heading = "Threshold")]
    at_least: Option<f64>,
    /// Exit with 1 if the metric is above X
    #[arg(long, value_name = "X", help_heading = "Threshold")]
    at_most: Option<f64>,
}

/// Metric that is compared with a threshold.
#[derive(Clone, Copy, ValueEnum)]
enum Metric {
    Loss,
    Perplexity,
    BitsPerByte,
}

impl Metric {
    fn of(self, evaluation: &Evaluation) -> f64 {
        match self {
            Self::Loss => evaluation.loss,
            Self::Perplexity => evaluation.perplexity(),
            Self::BitsPerByte => evaluation.bits_per_byte,
        }
    }
}

impl Arguments {
    /// The threshold that a metric does not meet.
    fn missed(&self, value: f64) -> String {
        let metric = self.metric.to_possible_value().expect("no metric is hidden");
        let metric = metric.get_name();
        match (self.at_least, self.at_most) {
            (Some(least), _) if value < least => format!("{metric} {value:.4} is below {least}"),
            (_, Some(most)) if value > most => format!("{metric} {value:.4} is above {most}"),
            _ => format!("{metric} {value:.4} meets no threshold"),
        }
    }
}

/// Bar of the windows, on a terminal.
fn bar(windows: usize, context: &Context) -> ProgressBar {
    if context.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("evaluating {wide_bar} {pos} of {len}, {eta} left");
    ProgressBar::new(windows as u64).with_style(style.expect("the template is valid"))
}

/// Evaluates, prints, and compares with the threshold.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    if arguments.batch_size == 0 {
        bail!("`--batch-size` must be at least 1");
    }
    let model = arguments.model.load(context)?;
    let preprocessor = model.preprocessor().context("the preset has no tokenizer")?;
    let positions = model.backbone().config().max_sequence_length;
    let length = match arguments.sequence_length {
        Some(length) if !(1..=positions).contains(&length) => {
            bail!("`--sequence-length` must be between 1 and {positions}, found {length}")
        }
        Some(length) => length,
        None => preprocessor.sequence_length().min(positions),
    };
    // Token ids of the files, which exist while the command runs.
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut tokenize = TokenizeOptions::new(folder.path());
    if !context.quiet {
        tokenize = tokenize.with_on_progress(progress_bars::tokenizing());
    }
    let mut options = TrainingDataOptions::new(length, tokenize);
    if let Some(key) = &arguments.text_key {
        options = options.with_text_key(key);
    }
    let data = open_training_data(&arguments.files, preprocessor.tokenizer(), &options)?;
    let begin = Instant::now();
    let bar = bar(data.len(), context);
    let evaluate_all =
        evaluate(&model, &data, arguments.batch_size, &|count| bar.inc(count as u64));
    bar.finish_and_clear();
    let evaluation = evaluate_all?;
    let seconds = begin.elapsed().as_secs_f64();
    let value = arguments.metric.of(&evaluation);
    // A NaN meets no threshold.
    let passed = arguments.at_least.is_none_or(|least| value >= least)
        && arguments.at_most.is_none_or(|most| value <= most);
    let Evaluation { loss, bits_per_byte, tokens, bytes } = evaluation;
    let perplexity = evaluation.perplexity();
    if context.json {
        context.print_json(json!({
            "preset": arguments.model.preset,
            "loss": loss,
            "perplexity": perplexity,
            "bits_per_byte": bits_per_byte,
            "tokens": tokens,
            "bytes": bytes,
            "windows": data.len(),
            "sequence_length": length,
            "seconds": seconds,
            "passed": passed,
        }))?;
    } else {
        context.print(format_args!(
            "loss {loss:.4} nats a token, perplexity {perplexity:.4}, {bits_per_byte:.4} bits a byte"
        ))?;
        context.note(format_args!(
            "{tokens} tokens of {bytes} bytes, in {} windows of {length}, {:.0} tokens per second",
            data.len(),
            tokens as f64 / seconds
        ));
        if !passed {
            context.note(format_args!("no: {}", arguments.missed(value)));
        }
    }
    Ok(if passed { Answer::Yes } else { Answer::No })
}
