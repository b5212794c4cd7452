//! Converts text to the model's input, and the model's output to text.

use std::ops::Range;
use std::str::FromStr;

use gpt2_tokenizer::{Gpt2Tokenizer, TokenId};
use serde::{Deserialize, Serialize};

use crate::error::TaskError;
use crate::start_end_packer::{MAX_SEQUENCE_LENGTH, StartEndPacker, check_length};
use crate::token_batch::TokenBatch;
use crate::training_batch::{TrainingBatch, weights_of_mask};

/// Settings of a [`Gpt2CausalLmPreprocessor`], under KerasHub's keys and with its defaults.
///
/// ```
/// use gpt2_task::PreprocessorConfig;
///
/// let config = PreprocessorConfig::new().with_sequence_length(128);
/// assert_eq!((config.sequence_length, config.add_start_token), (128, true));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PreprocessorConfig {
    /// Length of a packed row, in tokens. Default: 1024.
    pub sequence_length: usize,
    /// Whether the start token precedes every text. Default: true.
    pub add_start_token: bool,
    /// Whether the end token follows every training text. Default: true.
    pub add_end_token: bool,
}

impl Default for PreprocessorConfig {
    fn default() -> Self {
        Self { sequence_length: 1024, add_start_token: true, add_end_token: true }
    }
}

impl PreprocessorConfig {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the length of a packed row, in tokens.
    #[must_use]
    pub fn with_sequence_length(mut self, sequence_length: usize) -> Self {
        self.sequence_length = sequence_length;
        self
    }

    /// Sets whether the start token precedes every text.
    #[must_use]
    pub fn with_add_start_token(mut self, add_start_token: bool) -> Self {
        self.add_start_token = add_start_token;
        self
    }

    /// Sets whether the end token follows every training text.
    #[must_use]
    pub fn with_add_end_token(mut self, add_end_token: bool) -> Self {
        self.add_end_token = add_end_token;
        self
    }
}

/// Side on which a prompt that is too long is truncated. As text: `left` or `right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// Drops the first tokens, after the start token.
    Left,
    /// Drops the last tokens, as KerasHub does silently.
    Right,
}

impl FromStr for Truncate {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        match text {
            "left" => Ok(Self::Left),
            "right" => Ok(Self::Right),
            _ => Err(TaskError::invalid_text("the end to cut", "`left` or `right`", text)),
        }
    }
}

/// Tokenizes and packs texts for training and for generation
/// (`keras_hub/src/models/gpt2/gpt2_causal_lm_preprocessor.py`).
#[doc(alias = "GPT2CausalLMPreprocessor")]
#[derive(Debug, Clone)]
pub struct Gpt2CausalLmPreprocessor {
    tokenizer: Gpt2Tokenizer,
    config: PreprocessorConfig,
}

impl Gpt2CausalLmPreprocessor {
    /// A preprocessor for one tokenizer.
    ///
    /// # Errors
    ///
    /// [`TaskError::SequenceLengthTooShort`] if start and end token alone do not fit.
    pub fn new(tokenizer: Gpt2Tokenizer, config: PreprocessorConfig) -> Result<Self, TaskError> {
        let preprocessor = Self { tokenizer, config };
        preprocessor.packer(preprocessor.config.sequence_length, true).pack(&[vec![]])?;
        Ok(preprocessor)
    }

    /// Tokenizer of the texts.
    pub fn tokenizer(&self) -> &Gpt2Tokenizer {
        &self.tokenizer
    }

    /// Settings of the preprocessor.
    pub fn config(&self) -> &PreprocessorConfig {
        &self.config
    }

    /// Length of a packed row, in tokens.
    pub fn sequence_length(&self) -> usize {
        self.config.sequence_length
    }

    /// Changes the length of a packed row.
    ///
    /// # Errors
    ///
    /// [`TaskError::SequenceLengthTooShort`]. The length is unchanged then.
    pub fn set_sequence_length(&mut self, sequence_length: usize) -> Result<(), TaskError> {
        self.packer(sequence_length, true).pack(&[vec![]])?;
        self.config.sequence_length = sequence_length;
        Ok(())
    }

    /// Training input: each text between start and end token, the targets, and their weights.
    ///
    /// A text that is too long is truncated at its end, but keeps the end token.
    ///
    /// # Errors
    ///
    /// [`TaskError::Tokenizer`], [`TaskError::EmptyBatch`] or [`TaskError::SequenceLengthTooShort`].
    #[doc(alias = "call")]
    pub fn preprocess(&self, texts: &[impl AsRef<str>]) -> Result<TrainingBatch, TaskError> {
        self.preprocess_to(texts, self.config.sequence_length)
    }

    /// As [`preprocess`](Self::preprocess), with another length than the configured one.
    ///
    /// # Errors
    ///
    /// As [`preprocess`](Self::preprocess).
    pub fn preprocess_to(
        &self,
        texts: &[impl AsRef<str>],
        sequence_length: usize,
    ) -> Result<TrainingBatch, TaskError> {
        check_length("sequence_length", sequence_length, MAX_SEQUENCE_LENGTH)?;
        // One token more than the model's input: the last one is only a target.
        let rows = self.tokenize(texts)?;
        let packed = self.packer(sequence_length + 1, true).pack(&rows)?;
        Ok(TrainingBatch {
            x: TokenBatch::new(
                columns(packed.token_ids(), 0..sequence_length),
                columns(packed.padding_mask(), 0..sequence_length),
            )?,
            y: columns(packed.token_ids(), 1..sequence_length + 1),
            sample_weight: weights_of_mask(&columns(packed.padding_mask(), 1..sequence_length + 1)),
        })
    }

    /// Generation input: the start token and the prompt in each row, right-padded to the configured
    /// length.
    ///
    /// # Errors
    ///
    /// [`TaskError::PromptTooLong`], [`TaskError::Tokenizer`], [`TaskError::EmptyBatch`] or
    /// [`TaskError::SequenceLengthTooShort`].
    pub fn generate_preprocess(
        &self,
        prompts: &[impl AsRef<str>],
    ) -> Result<TokenBatch, TaskError> {
        self.generate_preprocess_with(prompts, self.config.sequence_length, None)
    }

    /// As [`generate_preprocess`](Self::generate_preprocess), with another length than the
    /// configured one, and for prompts that are too long the side at which they are truncated.
    ///
    /// # Errors
    ///
    /// As [`generate_preprocess`](Self::generate_preprocess), but no
    /// [`TaskError::PromptTooLong`] if `truncate` is set.
    pub fn generate_preprocess_with(
        &self,
        prompts: &[impl AsRef<str>],
        sequence_length: usize,
        truncate: Option<Truncate>,
    ) -> Result<TokenBatch, TaskError> {
        let packer = self.packer(sequence_length, false);
        let room = sequence_length.saturating_sub(packer.start_value.len());
        let mut rows = self.tokenize(prompts)?;
        for (row, ids) in rows.iter_mut().enumerate() {
            let surplus = ids.len().saturating_sub(room);
            match truncate {
                _ if surplus == 0 => {}
                Some(Truncate::Left) => drop(ids.drain(..surplus)),
                Some(Truncate::Right) => ids.truncate(room),
                None => {
                    let tokens = ids.len() + packer.start_value.len();
                    let max_length = sequence_length;
                    return Err(TaskError::PromptTooLong { row, tokens, max_length });
                }
            }
        }
        packer.pack(&rows)
    }

    /// Text of the real tokens in each row, without special tokens.
    ///
    /// # Errors
    ///
    /// [`TaskError::Tokenizer`] for an id that the tokenizer does not have.
    pub fn generate_postprocess(&self, tokens: &TokenBatch) -> Result<Vec<String>, TaskError> {
        let rows = tokens.token_ids().iter().zip(tokens.padding_mask());
        rows.map(|(ids, mask)| {
            let real = ids.iter().zip(mask).filter(|(_, real)| **real).map(|(&id, _)| id);
            self.text(&real.collect::<Vec<_>>())
        })
        .collect()
    }

    /// Text of token ids, without special tokens.
    ///
    /// # Errors
    ///
    /// [`TaskError::Tokenizer`] for an id that the tokenizer does not have.
    pub fn text(&self, token_ids: &[TokenId]) -> Result<String, TaskError> {
        Ok(self.tokenizer.detokenize_skip_special(token_ids)?)
    }

    fn tokenize(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<TokenId>>, TaskError> {
        texts.iter().map(|text| Ok(self.tokenizer.tokenize(text.as_ref())?)).collect()
    }

    fn packer(&self, sequence_length: usize, with_end: bool) -> StartEndPacker {
        let mut packer =
            StartEndPacker::new(sequence_length).with_pad_value(self.tokenizer.pad_token_id());
        if self.config.add_start_token {
            packer = packer.with_start_value(vec![self.tokenizer.start_token_id()]);
        }
        if with_end && self.config.add_end_token {
            packer = packer.with_end_value(vec![self.tokenizer.end_token_id()]);
        }
        packer
    }
}

fn columns<T: Copy>(rows: &[Vec<T>], range: Range<usize>) -> Vec<Vec<T>> {
    rows.iter().map(|row| row[range.clone()].to_vec()).collect()
}
