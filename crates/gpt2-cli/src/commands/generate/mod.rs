//! `gpt2 generate`: text from any preset, in batches, as a stream, interactively, or as JSON.

mod dialogue;
mod output;
mod prompts;
mod sampling;
mod session;
mod watch;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use gpt2_presets::Preset;
use gpt2_task::samplers::SamplerConfig;
use gpt2_task::{Gpt2CausalLm, StopTokenIds, Truncate};

use crate::answer::Answer;
use crate::context::Context;
use crate::model::{self, ModelArguments};
use crate::values::parse_stop_token_ids;
use output::Report;
use prompts::Prompts;
use session::{Limits, Session};

const EXAMPLES: &str = "\
Examples:
  gpt2 generate \"ROMEO:\"
  gpt2 generate --temperature 0.8 --top-p 0.95 -n 40 \"ROMEO:\" \"JULIET:\"
  gpt2 generate --preset hf://openai-community/gpt2 --prompt-file story.txt
  gpt2 generate --json < prompts.txt

Without a prompt, a terminal gets a dialogue; other input has a prompt on each line.
Arguments of all samplers: gpt2 help samplers";

/// Generate text
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Prompts; `-` is standard input as one prompt
    #[arg(value_name = "PROMPT")]
    prompts: Vec<String>,
    /// Read a file, or `-`, as one prompt, without its last line break; may be repeated
    #[arg(long, value_name = "FILE")]
    prompt_file: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    sampling: sampling::Arguments,
    /// Limit the whole text to N tokens, with start token and prompt [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "Length")]
    max_length: Option<usize>,
    /// Limit the new text to N tokens
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        conflicts_with = "max_length",
        help_heading = "Length"
    )]
    max_new_tokens: Option<usize>,
    /// Truncate a prompt that is too long, at its start or its end, so that an answer has room
    /// [default: an error]
    #[arg(long, value_name = "SIDE", help_heading = "Length")]
    truncate: Option<Side>,
    /// End a text at: auto (the end token), none, or ids such as 13,198
    #[arg(long, default_value = "auto", value_name = "IDS", value_parser = parse_stop_token_ids, help_heading = "Length")]
    stop_token_ids: StopTokenIds,
    /// Print only the new text
    #[arg(long, help_heading = "Output")]
    strip_prompt: bool,
    /// Compute N prompts together, and print their answers together
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Output")]
    batch_size: usize,
}

/// Side at which a prompt is truncated.
#[derive(Clone, Copy, ValueEnum)]
enum Side {
    #[value(alias = "left")]
    Start,
    #[value(alias = "right")]
    End,
}

impl From<Side> for Truncate {
    fn from(side: Side) -> Self {
        match side {
            Side::Start => Self::Left,
            Side::End => Self::Right,
        }
    }
}

/// Checks everything that needs no weights, loads the model, and generates.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let sampler = arguments.sampling.sampler()?;
    if arguments.batch_size == 0 {
        bail!("--batch-size must be at least 1");
    }
    let prompts = Prompts::read(&arguments.prompts, &arguments.prompt_file)?;
    if context.json && matches!(prompts, Prompts::Dialogue) {
        bail!("no prompt: a dialogue is no JSON; pass a prompt as an argument or by a pipe");
    }
    let mut session = load(arguments, &sampler, &prompts, context)?;
    let report = Report { arguments, sampler: &sampler, context };
    match prompts {
        Prompts::Dialogue => dialogue::run(&mut session, context)?,
        Prompts::Given(given) => report.given(&mut session, &given)?,
        Prompts::Lines(lines) => report.lines(&mut session, lines)?,
    }
    Ok(Answer::Yes)
}

/// Opens the preset, checks the arguments against it, and loads its weights.
fn load(
    arguments: &Arguments,
    sampler: &SamplerConfig,
    prompts: &Prompts,
    context: &Context,
) -> anyhow::Result<Session> {
    let begin = Instant::now();
    let device = arguments.model.device()?;
    let preset = model::open(&arguments.model.preset, context)?;
    check(arguments, sampler, &preset)?;
    let preprocessor = preset.task_preprocessor()?.context("the preset has no tokenizer")?;
    let limits = Limits::new(arguments, preset.config().max_sequence_length);
    if let Some(count) = arguments.max_new_tokens
        && count >= limits.positions
    {
        let positions = limits.positions;
        context
            .warn(format_args!("texts end at the model's {positions} tokens, before -n {count}"));
    }
    if let Prompts::Given(given) = prompts {
        limits.check(&preprocessor, given)?;
    }
    let options = model::load_options(&device, context).with_dtype(arguments.model.dtype);
    let mut model = Gpt2CausalLm::new(preset.backbone(options)?, Some(preprocessor))?;
    model.compile(sampler.clone().build())?;
    context.detail(format_args!(
        "{} on {}, loaded in {:.2} s",
        arguments.model.preset,
        arguments.model.device,
        begin.elapsed().as_secs_f64()
    ));
    Ok(Session {
        model,
        limits,
        stop_token_ids: arguments.stop_token_ids.clone(),
        strip_prompt: arguments.strip_prompt,
    })
}

/// Checks the arguments that depend only on the preset's config.
fn check(arguments: &Arguments, sampler: &SamplerConfig, preset: &Preset) -> anyhow::Result<()> {
    let config = preset.config();
    sampler.clone().build().validate(config.vocabulary_size)?;
    let positions = config.max_sequence_length;
    if let Some(length) = arguments.max_length
        && !(1..=positions).contains(&length)
    {
        bail!("`--max-length` must be between 1 and {positions}, found {length}");
    }
    if arguments.max_new_tokens == Some(0) {
        bail!("`--max-new-tokens` must be at least 1");
    }
    if let StopTokenIds::Ids(ids) = &arguments.stop_token_ids
        && let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocabulary_size)
    {
        let largest = config.vocabulary_size - 1;
        bail!("`--stop-token-ids` holds the token id {id}, expected at most {largest}");
    }
    Ok(())
}

/// Whether the text of a single prompt is printed while it is generated.
fn streams(context: &Context) -> bool {
    io::stdout().is_terminal() && !context.json
}
