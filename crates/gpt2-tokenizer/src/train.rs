//! Learns a vocabulary: counts the words of texts, and learns merges from the counts.

use std::collections::HashMap;

use crate::config::Gpt2TokenizerConfig;
use crate::error::{Result, TokenizerError};
use crate::learn_merges::{Learnt, learn_merges};
use crate::merges::Merges;
use crate::reserved::END_OF_TEXT;
use crate::split::Words;
use crate::tokenizer::Gpt2Tokenizer;
use crate::vocabulary::Vocabulary;

/// Tokens for the single bytes and `<|endoftext|>`.
const SMALLEST_VOCABULARY: usize = 257;
/// The largest id is 999,999.
const LARGEST_VOCABULARY: usize = 1_000_000;
/// Occurrences that a pair needs to become a token.
const MIN_FREQUENCY: u64 = 2;
/// Bytes of all different words, whose places are numbers of 32 bits.
const MAX_BYTES: u64 = u32::MAX as u64;

/// Trainer of a byte-level BPE vocabulary: the most frequent pair of tokens becomes a new token,
/// repeatedly.
///
/// Ids are laid out as in GPT-2: the 256 bytes, so that any text can be expressed, then the merges
/// in the order of learning, then `<|endoftext|>`. Words are those of
/// [`SplitPattern::OpenAi`](crate::SplitPattern::OpenAi), so that learning and tokenizing agree.
///
/// The result depends only on the counts of the words, not on the order of the texts. The trainer
/// keeps all distinct words in memory, but not the texts.
///
/// ```
/// use gpt2_tokenizer::TokenizerTrainer;
///
/// let mut trainer = TokenizerTrainer::new(259)?;
/// trainer.feed("low lower lowest");
/// let tokenizer = trainer.train()?;
/// assert_eq!(tokenizer.tokenize("low")?, [257]);
/// assert_eq!(tokenizer.end_token_id(), 258);
/// # Ok::<(), gpt2_tokenizer::TokenizerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenizerTrainer {
    vocabulary_size: usize,
    min_frequency: u64,
    words: HashMap<Box<str>, u64>,
}

impl TokenizerTrainer {
    /// Trainer without text, for a vocabulary of at most `vocabulary_size` tokens: the 256 bytes,
    /// merges, and `<|endoftext|>`.
    ///
    /// # Errors
    ///
    /// [`TokenizerError::InvalidVocabularySize`] unless the size is between 257 and 1,000,000.
    pub fn new(vocabulary_size: usize) -> Result<Self> {
        if !(SMALLEST_VOCABULARY..=LARGEST_VOCABULARY).contains(&vocabulary_size) {
            return Err(TokenizerError::InvalidVocabularySize {
                least: SMALLEST_VOCABULARY,
                most: LARGEST_VOCABULARY,
                found: vocabulary_size,
            });
        }
        Ok(Self { vocabulary_size, min_frequency: MIN_FREQUENCY, words: HashMap::new() })
    }

    /// Sets the number of occurrences that a pair needs to become a token. If too few pairs reach
    /// it, the vocabulary is smaller than requested. Default: 2.
    #[must_use]
    pub fn with_min_frequency(mut self, min_frequency: u64) -> Self {
        self.min_frequency = min_frequency;
        self
    }

    /// Counts the words of a document, or of a part of one that ends at a
    /// [`last_word_break`](crate::last_word_break).
    pub fn feed(&mut self, text: &str) {
        for word in text.split(END_OF_TEXT).flat_map(Words::new) {
            match self.words.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    self.words.insert(word.into(), 1);
                }
            }
        }
    }

    /// Learns the vocabulary from the words counted so far.
    ///
    /// # Errors
    ///
    /// [`TokenizerError::NoTrainingText`] if there are none, and
    /// [`TokenizerError::TooMuchTrainingText`] if the different words have more than 4 GiB.
    pub fn train(&self) -> Result<Gpt2Tokenizer> {
        if self.words.is_empty() {
            return Err(TokenizerError::NoTrainingText);
        }
        let found = self.words.keys().map(|word| word.len() as u64).sum();
        if found > MAX_BYTES {
            return Err(TokenizerError::TooMuchTrainingText { limit: MAX_BYTES, found });
        }
        let words = self.words.iter().map(|(word, &count)| (&**word, count));
        tokenizer_of(&learn_merges(words, self.vocabulary_size - 1, self.min_frequency))
    }

    /// Counts the words of further documents, and learns the vocabulary.
    ///
    /// # Errors
    ///
    /// Those of [`train`](Self::train).
    pub fn trained_on<T: AsRef<str>>(
        mut self,
        documents: impl IntoIterator<Item = T>,
    ) -> Result<Gpt2Tokenizer> {
        documents.into_iter().for_each(|document| self.feed(document.as_ref()));
        self.train()
    }
}

impl Gpt2Tokenizer {
    /// Learns a vocabulary of at most `vocabulary_size` tokens from documents, with the defaults
    /// of [`TokenizerTrainer`].
    ///
    /// # Errors
    ///
    /// Those of [`TokenizerTrainer::new`] and [`TokenizerTrainer::train`].
    pub fn train<T: AsRef<str>>(
        documents: impl IntoIterator<Item = T>,
        vocabulary_size: usize,
    ) -> Result<Self> {
        TokenizerTrainer::new(vocabulary_size)?.trained_on(documents)
    }
}

/// Adds `<|endoftext|>` to the learnt tokens.
fn tokenizer_of(learnt: &Learnt) -> Result<Gpt2Tokenizer> {
    let tokens = learnt.tokens.iter().map(String::as_str).chain([END_OF_TEXT]);
    let vocabulary = Vocabulary::from_pairs(tokens.zip(0..))?;
    let token = |id| &learnt.tokens[id as usize];
    let rules = learnt.merges.iter();
    let rules = rules.map(|&(left, right)| format!("{} {}", token(left), token(right)));
    Gpt2Tokenizer::new(vocabulary, Merges::from_rules(rules)?, Gpt2TokenizerConfig::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_document_count_as_the_whole() {
        let text = "don't  stop\n\nme now<|endoftext|>now";
        let mut whole = TokenizerTrainer::new(300).unwrap();
        whole.feed(text);
        let mut parts = TokenizerTrainer::new(300).unwrap();
        let cut = crate::cut::last_word_break(text).unwrap();
        parts.feed(&text[..cut]);
        parts.feed(&text[cut..]);
        assert_eq!(whole.words, parts.words);
        assert_eq!(whole.words["now"], 1);
        assert_eq!(whole.words[" now"], 1);
        assert!(whole.words.keys().all(|word| !word.contains("endoftext")));
    }
}
