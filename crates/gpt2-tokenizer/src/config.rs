//! Options of a tokenizer, under KerasHub's names.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Result, TokenizerError};

/// Way of splitting a text into words. Merges never cross a word boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SplitPattern {
    /// OpenAI's regular expression, which the published weights were trained with
    /// (`encoder.py` of GPT-2): `"a\n\nb"` is 64, 198, 198, 65.
    #[default]
    #[serde(rename = "openai")]
    OpenAi,
    /// No split at all, like `generate()` of KerasHub 0.32: `"a\n\nb"` is 64, 628, 65.
    ///
    /// KerasHub passes its expression as a literal string, which never matches
    /// (`byte_pair_tokenizer.py`, the path without TensorFlow).
    #[serde(rename = "keras_hub")]
    KerasHub,
}

/// Treatment of the special token `<|endoftext|>` in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialText {
    /// The text becomes the token's id, as in KerasHub. Untrusted text can then end a document.
    #[default]
    Parse,
    /// The text is tokenized like any other.
    Ordinary,
    /// The text is an error, as in tiktoken.
    Error,
}

/// Treatment of a character whose bytes have no token. Only small vocabularies lack tokens for
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownBytes {
    /// The character is an error that names it and its position.
    #[default]
    Error,
    /// The bytes are dropped silently, as in KerasHub.
    Drop,
}

/// Options of a [`Gpt2Tokenizer`](crate::Gpt2Tokenizer).
///
/// They serialize under KerasHub's keys. Keys of its `tokenizer.json` that are not options here
/// (`name`, `trainable`, `dtype`, …) are ignored.
///
/// ```
/// use gpt2_tokenizer::{Gpt2TokenizerConfig, SpecialText, SplitPattern};
///
/// let config = Gpt2TokenizerConfig::new()
///     .with_sequence_length(8)
///     .with_split(SplitPattern::KerasHub)
///     .with_special_text(SpecialText::Error);
/// assert_eq!(config.sequence_length, Some(8));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Gpt2TokenizerConfig {
    /// Length to which every tokenized text is truncated or right-padded. Default: none, each text
    /// keeps its own length.
    pub sequence_length: Option<usize>,
    /// Whether a text gets a prefix space unless it begins with a space. Its first word then
    /// becomes the same token as inside a sentence.
    pub add_prefix_space: bool,
    /// Tokens of the vocabulary that are never split where a text contains them.
    ///
    /// The list may contain `<|endoftext|>`, as in KerasHub; `special_text` decides about it.
    #[serde(deserialize_with = "null_as_empty")]
    pub unsplittable_tokens: Vec<String>,
    /// Split of a text into words.
    pub split: SplitPattern,
    /// Treatment of `<|endoftext|>` in a text.
    pub special_text: SpecialText,
    /// Treatment of characters that the vocabulary cannot express.
    pub unknown: UnknownBytes,
}

impl Gpt2TokenizerConfig {
    /// Default options: OpenAI's ids, no fixed length, special tokens in text are parsed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`sequence_length`](Self::sequence_length).
    #[must_use]
    pub fn with_sequence_length(mut self, sequence_length: usize) -> Self {
        self.sequence_length = Some(sequence_length);
        self
    }

    /// Sets [`add_prefix_space`](Self::add_prefix_space).
    #[must_use]
    pub fn with_add_prefix_space(mut self, add_prefix_space: bool) -> Self {
        self.add_prefix_space = add_prefix_space;
        self
    }

    /// Sets [`unsplittable_tokens`](Self::unsplittable_tokens).
    #[must_use]
    pub fn with_unsplittable_tokens<T: Into<String>>(
        mut self,
        tokens: impl IntoIterator<Item = T>,
    ) -> Self {
        self.unsplittable_tokens = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`split`](Self::split).
    #[must_use]
    pub fn with_split(mut self, split: SplitPattern) -> Self {
        self.split = split;
        self
    }

    /// Sets [`special_text`](Self::special_text).
    #[must_use]
    pub fn with_special_text(mut self, special_text: SpecialText) -> Self {
        self.special_text = special_text;
        self
    }

    /// Sets [`unknown`](Self::unknown).
    #[must_use]
    pub fn with_unknown(mut self, unknown: UnknownBytes) -> Self {
        self.unknown = unknown;
        self
    }

    /// Rejects options that are invalid for every vocabulary.
    pub(crate) fn check(&self) -> Result<()> {
        if self.sequence_length == Some(0) {
            return Err(TokenizerError::SequenceLengthZero);
        }
        Ok(())
    }
}

/// KerasHub writes `null` where no list was given.
fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
