//! Generations with one model and fixed options.

use std::ops::ControlFlow;

use anyhow::{Context as _, bail};
use gpt2_task::{
    GenerateOptions, Generation, Gpt2CausalLm, Gpt2CausalLmPreprocessor, StopTokenIds, TaskError,
    TokenEvent, TokenId, Truncate,
};

use super::Arguments;

/// Inverse share of a text's length that a truncated prompt leaves for the answer without
/// `--max-new-tokens`, and that it keeps for itself with a large one.
const SHARE: usize = 4;

/// A model and the options of its generations.
pub(super) struct Session {
    pub(super) model: Gpt2CausalLm,
    pub(super) limits: Limits,
    pub(super) stop_token_ids: StopTokenIds,
    pub(super) strip_prompt: bool,
}

/// Limits on the length of prompts.
pub(super) struct Limits {
    max_length: Option<usize>,
    pub(super) new_tokens: Option<usize>,
    /// Number of tokens that the model accepts.
    pub(super) positions: usize,
    truncate: Option<Truncate>,
}

impl Limits {
    pub(super) fn new(arguments: &Arguments, positions: usize) -> Self {
        let truncate = arguments.truncate.map(Truncate::from);
        let (max_length, new_tokens) = (arguments.max_length, arguments.max_new_tokens);
        Self { max_length, new_tokens, positions, truncate }
    }

    /// Returns an error for prompts that are too long.
    pub(super) fn check(
        &self,
        preprocessor: &Gpt2CausalLmPreprocessor,
        prompts: &[String],
    ) -> anyhow::Result<()> {
        let limit = self.limit(preprocessor);
        let packed = preprocessor.generate_preprocess_with(prompts, limit, self.truncate);
        packed.map(drop).map_err(|error| self.explain(error))
    }

    /// Number of tokens to which prompts are truncated, in texts of `limit` tokens.
    pub(super) fn room(&self, limit: usize) -> usize {
        let answer = self.new_tokens.unwrap_or((limit / SHARE).max(1));
        // A start token and one of the prompt.
        limit.saturating_sub(answer).max(limit / SHARE).max(2)
    }

    /// Number of new tokens without a limit by the user: a share of the positions.
    pub(super) fn default_answer(&self) -> usize {
        (self.positions / SHARE).max(1)
    }

    fn limit(&self, preprocessor: &Gpt2CausalLmPreprocessor) -> usize {
        match (self.max_length, self.new_tokens) {
            (Some(length), _) => length,
            // The text ends after the prompt's new tokens.
            (None, Some(_)) => self.positions,
            (None, None) => preprocessor.sequence_length().min(self.positions),
        }
    }

    /// The error with remedies in terms of this command's flags.
    fn explain(&self, error: TaskError) -> anyhow::Error {
        let TaskError::PromptTooLong { row, tokens, max_length } = error else {
            return error.into();
        };
        let number = row + 1;
        let raise = match self.positions {
            positions if positions > max_length => {
                format!("raise it to at most {positions}, shorten the prompt,")
            }
            _ => "which is the model's maximum; shorten the prompt,".to_owned(),
        };
        let separator = if raise.starts_with("which") { "," } else { ";" };
        anyhow::anyhow!(
            "prompt {number} has {tokens} tokens, the start token included, more than the \
             `--max-length` of {max_length}{separator} {raise} or pass --truncate start or \
             --truncate end"
        )
    }
}

impl Session {
    pub(super) fn preprocessor(&self) -> anyhow::Result<&Gpt2CausalLmPreprocessor> {
        self.model.preprocessor().context("the preset has no tokenizer")
    }

    /// Generates for several prompts together.
    pub(super) fn generate(
        &mut self,
        prompts: &[String],
        on_token: &mut dyn FnMut(TokenEvent) -> ControlFlow<()>,
    ) -> anyhow::Result<Vec<Generation>> {
        let prompts = &self.fit(prompts)?;
        let mut options = GenerateOptions::new()
            .with_stop_token_ids(self.stop_token_ids.clone())
            .with_strip_prompt(self.strip_prompt);
        options.max_length = self.length(prompts)?;
        options.truncate = self.limits.truncate;
        let generated = self.model.generate_with(prompts, &options, on_token);
        let mut generations = generated.map_err(|error| self.limits.explain(error))?;
        if let Some(count) = self.limits.new_tokens {
            for generation in &mut generations {
                self.cut(generation, count)?;
            }
        }
        Ok(generations)
    }

    /// Prompts, truncated if allowed to leave room for the new tokens.
    fn fit(&self, prompts: &[String]) -> anyhow::Result<Vec<String>> {
        let Some(truncate) = self.limits.truncate else { return Ok(prompts.to_vec()) };
        let room = self.limits.room(self.limits.limit(self.preprocessor()?));
        prompts.iter().map(|prompt| self.cut_prompt(prompt, room, truncate)).collect()
    }

    /// The prompt, truncated to at most `room` tokens including the start token.
    pub(super) fn cut_prompt(
        &self,
        prompt: &str,
        room: usize,
        truncate: Truncate,
    ) -> anyhow::Result<String> {
        let tokenizer = self.preprocessor()?.tokenizer();
        let ids = tokenizer.tokenize(prompt)?;
        // Plus one for the start token.
        let excess = (ids.len() + 1).saturating_sub(room);
        if excess == 0 {
            return Ok(prompt.to_owned());
        }
        let kept = match truncate {
            Truncate::Left => &ids[excess..],
            Truncate::Right => &ids[..ids.len() - excess],
        };
        // A cut within a character leaves invalid bytes, which decode to U+FFFD.
        Ok(tokenizer.detokenize(kept)?.trim_matches('\u{fffd}').to_owned())
    }

    /// Length for the longest prompt and its new tokens.
    fn length(&self, prompts: &[String]) -> anyhow::Result<Option<usize>> {
        let Limits { max_length, new_tokens, positions, truncate } = self.limits;
        let Some(count) = new_tokens else { return Ok(max_length) };
        let packed = self.preprocessor()?.generate_preprocess_with(prompts, positions, truncate);
        let packed = packed.map_err(|error| self.limits.explain(error))?;
        let longest = packed.row_lengths()?.into_iter().max().unwrap_or(0);
        if longest == positions {
            bail!(
                "the prompt has {longest} tokens, which is the model's maximum; shorten the \
                 prompt, or pass --truncate start"
            );
        }
        Ok(Some(longest.saturating_add(count).min(positions)))
    }

    /// Cuts an answer to `count` new tokens, because the prompts of a batch differ in length.
    fn cut(&self, generation: &mut Generation, count: usize) -> anyhow::Result<()> {
        let length = generation.prompt_tokens.saturating_add(count);
        if generation.token_ids.len() > length {
            generation.token_ids.truncate(length);
            let first = if self.strip_prompt { generation.prompt_tokens } else { 0 };
            generation.text = self.preprocessor()?.text(&generation.token_ids[first..])?;
        }
        Ok(())
    }

    /// Reason why an answer ended: `stop_token` or `length`.
    pub(super) fn stop_reason(&self, generation: &Generation) -> &'static str {
        let stops = |id: TokenId| match &self.stop_token_ids {
            StopTokenIds::Auto => self
                .model
                .preprocessor()
                .is_some_and(|preprocessor| preprocessor.tokenizer().end_token_id() == id),
            StopTokenIds::None => false,
            StopTokenIds::Ids(ids) => ids.contains(&id),
        };
        let last = generation.token_ids.last().copied();
        if generation.new_tokens() > 0 && last.is_some_and(stops) { "stop_token" } else { "length" }
    }
}
