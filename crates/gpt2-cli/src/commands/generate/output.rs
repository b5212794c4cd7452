//! Answers on standard output.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use gpt2_task::samplers::SamplerConfig;
use gpt2_task::{Generation, TokenEvent};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::prompts::Lines;
use super::session::Session;
use super::watch::Watch;
use super::{Arguments, streams};
use crate::context::Context;

/// Printer of answers.
pub(super) struct Report<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) sampler: &'a SamplerConfig,
    pub(super) context: &'a Context,
}

impl Report<'_> {
    /// Answers known prompts: as a stream, as texts, or as one JSON object.
    pub(super) fn given(&self, session: &mut Session, prompts: &[String]) -> anyhow::Result<()> {
        let mut watch = Watch::start();
        if let ([prompt], true) = (prompts, streams(self.context)) {
            if !session.strip_prompt {
                write(prompt)?;
            }
            let generation = stream(session, prompt, &mut watch)?;
            self.print_beams(&generation)?;
            self.print_speed(&watch);
            return Ok(());
        }
        let mut answers = Vec::new();
        for (index, batch) in prompts.chunks(self.batch_size()).enumerate() {
            let first = index * self.batch_size();
            let generations = self.batch(session, batch, &mut watch)?;
            if !self.context.json {
                self.print_texts(&generations, first, prompts.len() > 1)?;
            }
            answers.extend(generations);
        }
        if self.context.json {
            let pairs = prompts.iter().zip(&answers);
            let outputs = pairs.map(|(prompt, answer)| output(session, prompt, answer));
            let mut object = json!({"outputs": outputs.collect::<Vec<_>>()});
            self.add_details(&mut object, &answers, &watch);
            self.context.print_json(object)?;
        }
        if streams(self.context) {
            self.print_speed(&watch);
        }
        Ok(())
    }

    /// Answers lines of standard input, batch by batch.
    pub(super) fn lines(&self, session: &mut Session, mut lines: Lines) -> anyhow::Result<()> {
        let mut watch = Watch::start();
        let mut count = 0;
        loop {
            let batch = lines.batch(self.batch_size())?;
            if batch.is_empty() {
                break;
            }
            let generations = self.batch(session, &batch, &mut watch)?;
            if self.context.json {
                for (offset, (prompt, answer)) in batch.iter().zip(&generations).enumerate() {
                    let mut object = json!({"index": count + offset});
                    merge(&mut object, output(session, prompt, answer));
                    self.context.print_json_line(object)?;
                }
            } else {
                // Numbered, because more prompts may follow.
                self.print_texts(&generations, count, true)?;
            }
            count += batch.len();
        }
        if lines.blank() > 0 {
            self.context.detail(format_args!("skipped {} blank lines", lines.blank()));
        }
        if streams(self.context) {
            self.print_speed(&watch);
        }
        Ok(())
    }

    /// Number of prompts that are computed together. With `--max-new-tokens`, beam and contrastive
    /// searches compute one prompt at a time.
    fn batch_size(&self) -> usize {
        use SamplerConfig::{Beam, Contrastive};
        let searches = matches!(self.sampler, Beam(_) | Contrastive(_));
        if searches && self.arguments.max_new_tokens.is_some() {
            return 1;
        }
        self.arguments.batch_size
    }

    /// Generates for several prompts, with a progress bar if standard error is a terminal.
    fn batch(
        &self,
        session: &mut Session,
        prompts: &[String],
        watch: &mut Watch,
    ) -> anyhow::Result<Vec<Generation>> {
        let style = ProgressStyle::with_template("{spinner} {pos} tokens, {per_sec}")?;
        let bar = match self.context.quiet {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner().with_style(style),
        };
        // A beam search reports its tokens only at its end: the ticks show that it is still
        // running.
        bar.enable_steady_tick(Duration::from_millis(100));
        let generations = session.generate(prompts, &mut |_| {
            watch.token();
            bar.inc(1);
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        let generations = generations?;
        watch.stop(generations.iter().map(Generation::new_tokens).sum());
        Ok(generations)
    }

    /// Prints texts. If `several`, each follows a line with its number.
    fn print_texts(
        &self,
        generations: &[Generation],
        first: usize,
        several: bool,
    ) -> anyhow::Result<()> {
        for (offset, generation) in generations.iter().enumerate() {
            if several {
                let line = if first + offset == 0 { "" } else { "\n" };
                self.context.print(format_args!("{line}==> {} <==", first + offset + 1))?;
            }
            if generation.beams.is_empty() {
                self.context.print(&generation.text)?;
            }
            self.print_beams(generation)?;
        }
        Ok(())
    }

    /// Prints all beams, if the sampler returns them.
    fn print_beams(&self, generation: &Generation) -> anyhow::Result<()> {
        for (index, beam) in generation.beams.iter().enumerate() {
            let (number, score) = (index + 1, beam.log_probability);
            self.context.print(format_args!("--- beam {number}, log probability {score:.4}"))?;
            self.context.print(&beam.text)?;
        }
        Ok(())
    }

    fn print_speed(&self, watch: &Watch) {
        let (tokens, speed) = (watch.tokens(), watch.tokens_per_second());
        self.context.note(format_args!("\n{tokens} tokens, {speed:.1} tokens per second"));
    }

    /// Adds sizes, times and settings to the JSON object.
    fn add_details(&self, object: &mut Value, answers: &[Generation], watch: &Watch) {
        let details = json!({
            "prompt_tokens": answers.iter().map(|one| one.prompt_tokens).sum::<usize>(),
            "seconds_to_first_token": watch.first_token,
            "tokens_per_second": watch.tokens_per_second(),
            "preset": self.arguments.model.preset,
            "device": self.arguments.model.device,
            "dtype": self.arguments.model.dtype.name(),
            "sampler": self.sampler,
        });
        merge(object, details);
    }
}

/// Prints the new text of one prompt while it is generated.
pub(super) fn stream(
    session: &mut Session,
    prompt: &str,
    watch: &mut Watch,
) -> anyhow::Result<Generation> {
    let mut decoder = session.preprocessor()?.tokenizer().decode_stream(true);
    let mut failure = None;
    let mut made = 0;
    let generations = session.generate(&[prompt.to_owned()], &mut |event: TokenEvent| {
        watch.token();
        made += 1;
        let printed = decoder.push(event.token_id).map_err(anyhow::Error::from);
        match printed.and_then(|text| Ok(write(&text.unwrap_or_default())?)) {
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
    watch.stop(made);
    write(&decoder.finish().unwrap_or_default())?;
    write("\n")?;
    generations.into_iter().next().ok_or_else(|| anyhow::anyhow!("a prompt has an answer"))
}

/// Prints a piece of text and flushes.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One answer as JSON.
fn output(session: &Session, prompt: &str, generation: &Generation) -> Value {
    let mut output = json!({
        "prompt": prompt,
        "text": generation.text,
        "token_ids": generation.token_ids,
        "prompt_tokens": generation.prompt_tokens,
        "new_tokens": generation.new_tokens(),
        "stop_reason": session.stop_reason(generation),
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
}

fn merge(object: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
}
