//! `gpt2 generate`: text from any preset, in batch, as a stream, or as JSON.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gpt2_presets::WeightDtype;
use gpt2_task::samplers::SamplerConfig;
use gpt2_task::{GenerateOptions, Generation, Gpt2CausalLm, StopTokenIds, TokenEvent, TokenId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::answer::Answer;
use crate::context::{Context, say};
use crate::model;

/// Generate text with a GPT-2 preset.
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name; handle hf://, kaggle:// or modelscope://; folder in Keras' or transformers'
    /// format; .keras file; or GGUF file
    #[arg(long, default_value = "gpt2_tiny_shakespeare")]
    preset: String,
    /// cpu, auto, wgpu, vulkan:0, cuda:0, …; others than cpu need their cargo feature
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Float type of weights, activations and cache: float32, float16 or bfloat16
    #[arg(long, default_value = "float32")]
    dtype: WeightDtype,
    /// beam, contrastive, greedy, random, top_k or top_p, with arguments as in `top_p:p=0.9,k=1000`
    #[arg(long, default_value = "top_k")]
    sampler: SamplerConfig,
    /// Length of the whole text in tokens, start token and prompt included [default: the preset's]
    #[arg(long)]
    max_length: Option<usize>,
    /// auto (the end token), none, or ids: 13,198
    #[arg(long, default_value = "auto", value_parser = parse_stop_token_ids)]
    stop_token_ids: StopTokenIds,
    /// Print the new text only
    #[arg(long)]
    strip_prompt: bool,
    /// Makes random samplers reproducible
    #[arg(long)]
    seed: Option<u64>,
    /// Prompts, one batch together; without any they are read from standard input, one a line
    prompts: Vec<String>,
}

/// Loads the model and generates.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let prompts = &read_prompts(arguments.prompts.clone())?;
    let device = model::device(&arguments.device)?;
    let model = &mut model::load(&arguments.preset, &device, arguments.dtype, context)?;
    let sampler = match arguments.seed {
        Some(seed) => arguments.sampler.clone().with_default_seed(seed),
        None => arguments.sampler.clone(),
    };
    model.compile(sampler.build())?;
    let options = GenerateOptions {
        max_length: arguments.max_length,
        stop_token_ids: arguments.stop_token_ids.clone(),
        strip_prompt: arguments.strip_prompt,
        ..GenerateOptions::default()
    };
    let mut out = io::stdout().lock();
    let terminal = out.is_terminal() && !context.json;
    let mut watch = Watch::start();
    let generations = if terminal && prompts.len() == 1 {
        stream(model, &prompts[0], &options, &mut watch, &mut out)?
    } else {
        let generations = batch(model, prompts, &options, &mut watch)?;
        if context.json {
            context.print_json(report(prompts, &generations, &watch))?;
        } else {
            let texts: Vec<&str> = generations.iter().map(|one| one.text.as_str()).collect();
            context.print(texts.join("\n\n"))?;
        }
        generations
    };
    if terminal {
        let tokens = new_tokens(&generations);
        let speed = watch.tokens_per_second(tokens);
        context.note(format_args!("\n{tokens} tokens, {speed:.1} tokens per second"));
    }
    Ok(Answer::Yes)
}

/// Prints the text of one prompt as it is made.
fn stream(
    model: &mut Gpt2CausalLm,
    prompt: &str,
    options: &GenerateOptions,
    watch: &mut Watch,
    out: &mut impl Write,
) -> anyhow::Result<Vec<Generation>> {
    let preprocessor = model.preprocessor().context("the preset has no tokenizer")?;
    let mut decoder = preprocessor.tokenizer().decode_stream(true);
    if !options.strip_prompt {
        write!(out, "{prompt}")?;
        out.flush()?;
    }
    let mut failure = None;
    let generations = model.generate_with(&[prompt], options, &mut |event: TokenEvent| {
        watch.token();
        let mut print = || -> anyhow::Result<()> {
            if let Some(text) = decoder.push(event.token_id)? {
                write!(out, "{text}")?;
                out.flush()?;
            }
            Ok(())
        };
        match print() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    watch.stop();
    writeln!(out, "{}", decoder.finish().unwrap_or_default())?;
    Ok(generations)
}

/// Generates for several prompts; a bar shows the progress where standard error is a terminal.
fn batch(
    model: &mut Gpt2CausalLm,
    prompts: &[String],
    options: &GenerateOptions,
    watch: &mut Watch,
) -> anyhow::Result<Vec<Generation>> {
    let style = ProgressStyle::with_template("{spinner} {pos} tokens, {per_sec}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    // A beam search reports its tokens at its end only, and must not look dead until then.
    bar.enable_steady_tick(Duration::from_millis(100));
    let generations = model.generate_with(prompts, options, &mut |_| {
        watch.token();
        bar.inc(1);
        ControlFlow::Continue(())
    })?;
    watch.stop();
    bar.finish_and_clear();
    Ok(generations)
}

fn report(prompts: &[String], generations: &[Generation], watch: &Watch) -> serde_json::Value {
    let outputs: Vec<_> = prompts
        .iter()
        .zip(generations)
        .map(|(prompt, generation)| {
            let mut output = json!({
                "prompt": prompt,
                "text": generation.text,
                "token_ids": generation.token_ids,
                "new_tokens": generation.new_tokens(),
            });
            if !generation.beams.is_empty() {
                let beams = generation.beams.iter().map(|beam| {
                    json!({
                        "text": beam.text,
                        "token_ids": beam.token_ids,
                        "log_probability": beam.log_probability,
                    })
                });
                output["beams"] = beams.collect();
            }
            output
        })
        .collect();
    json!({
        "outputs": outputs,
        "prompt_tokens": generations.iter().map(|one| one.prompt_tokens).sum::<usize>(),
        "seconds_to_first_token": watch.first_token,
        "tokens_per_second": watch.tokens_per_second(new_tokens(generations)),
    })
}

/// Times a generation, without the loading of the model.
struct Watch {
    start: Instant,
    /// Seconds to the first token, if there was one.
    first_token: Option<f64>,
    seconds: f64,
}

impl Watch {
    fn start() -> Self {
        Self { start: Instant::now(), first_token: None, seconds: 0.0 }
    }

    fn token(&mut self) {
        self.first_token.get_or_insert_with(|| self.start.elapsed().as_secs_f64());
    }

    fn stop(&mut self) {
        self.seconds = self.start.elapsed().as_secs_f64();
    }

    fn tokens_per_second(&self, tokens: usize) -> f64 {
        if self.seconds > 0.0 { tokens as f64 / self.seconds } else { 0.0 }
    }
}

fn new_tokens(generations: &[Generation]) -> usize {
    generations.iter().map(Generation::new_tokens).sum()
}

fn read_prompts(arguments: Vec<String>) -> anyhow::Result<Vec<String>> {
    if !arguments.is_empty() {
        return Ok(arguments);
    }
    if io::stdin().is_terminal() {
        say("Prompts, one a line; Ctrl-D ends:");
    }
    let lines: Vec<String> =
        io::stdin().lock().lines().collect::<Result<_, _>>().context("reading standard input")?;
    let prompts: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    if prompts.is_empty() {
        bail!("no prompt: pass one as an argument, or some on standard input, one a line");
    }
    Ok(prompts)
}

fn parse_stop_token_ids(text: &str) -> Result<StopTokenIds, String> {
    match text {
        "auto" => Ok(StopTokenIds::Auto),
        "none" => Ok(StopTokenIds::None),
        ids => {
            let ids: Result<Vec<TokenId>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
            ids.map(StopTokenIds::Ids)
                .map_err(|_| "expected `auto`, `none`, or token ids such as `13,198`".to_owned())
        }
    }
}
