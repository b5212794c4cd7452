//! Learns a vocabulary: counts the words of texts, and learns merges from the counts.

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use crate::config::Gpt2TokenizerConfig;
use crate::error::{Result, TokenizerError};
use crate::merges::Merges;
use crate::reserved::END_OF_TEXT;
use crate::split::Words;
use crate::tokenizer::Gpt2Tokenizer;
use crate::vocabulary::Vocabulary;
use crate::{TokenId, byte_alphabet};

/// Tokens for the single bytes and `<|endoftext|>`.
const SMALLEST_VOCABULARY: usize = 257;
/// The largest id is 999,999.
const LARGEST_VOCABULARY: usize = 1_000_000;
/// Occurrences that a pair needs to become a token.
const MIN_FREQUENCY: u64 = 2;
/// The trainer counts pairs in 32-bit integers.
const MAX_PAIR_COUNT: u64 = i32::MAX as u64;

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

/// Result of the trainer, in the form in which `tokenizers` serializes a model.
#[derive(Deserialize)]
struct Learnt {
    vocab: HashMap<String, TokenId>,
    merges: Vec<(String, String)>,
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
    /// [`TokenizerError::NoTrainingText`] if no words were counted.
    /// [`TokenizerError::TooMuchTrainingText`] if two bytes are neighbours more than 2,147,483,647
    /// times, which takes about 80 GB of English.
    pub fn train(&self) -> Result<Gpt2Tokenizer> {
        if self.words.is_empty() {
            return Err(TokenizerError::NoTrainingText);
        }
        self.check_pair_counts()?;
        let symbols = byte_alphabet::symbols();
        let in_symbols =
            |word: &str| word.bytes().map(|byte| symbols[usize::from(byte)]).collect::<String>();
        let words =
            self.words.iter().map(|(word, &count)| (in_symbols(word).as_str().into(), count));
        let trainer = BpeTrainer::builder()
            .vocab_size(self.vocabulary_size - 1)
            .min_frequency(self.min_frequency)
            .initial_alphabet(symbols.iter().copied().collect())
            .show_progress(false)
            .build();
        let mut model = BPE::default();
        trainer.do_train(&words.collect(), &mut model).expect("counts were checked");
        tokenizer_of(&model)
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

    /// Rejects counts that overflow the trainer's integers. A pair of tokens is at most as frequent
    /// as the two bytes at which they meet.
    fn check_pair_counts(&self) -> Result<()> {
        let mut counts: HashMap<(u8, u8), u64> = HashMap::new();
        for (word, count) in &self.words {
            for pair in word.as_bytes().windows(2) {
                *counts.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        match counts.into_values().max() {
            Some(found) if found > MAX_PAIR_COUNT => {
                Err(TokenizerError::TooMuchTrainingText { limit: MAX_PAIR_COUNT, found })
            }
            _ => Ok(()),
        }
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

/// Adds `<|endoftext|>` to the learnt vocabulary.
fn tokenizer_of(model: &BPE) -> Result<Gpt2Tokenizer> {
    // Only the model's JSON gives access to its merges.
    let json = serde_json::to_value(model).expect("a model is valid JSON");
    let Learnt { vocab, merges } =
        serde_json::from_value(json).expect("a model has a vocabulary and pairs of tokens");
    let end = (END_OF_TEXT.to_owned(), vocab.len() as TokenId);
    let vocabulary = Vocabulary::from_pairs(vocab.into_iter().chain([end]))?;
    let merges = Merges::from_rules(merges.iter().map(|(left, right)| format!("{left} {right}")))?;
    Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_beyond_the_trainers_integers_are_refused() {
        let mut trainer = TokenizerTrainer::new(300).unwrap();
        trainer.words.insert("ab".into(), MAX_PAIR_COUNT);
        let tokenizer = trainer.train().unwrap();
        assert_eq!(tokenizer.merges().iter().collect::<Vec<_>>(), [("a", "b")]);
        trainer.words.insert("cab".into(), 1);
        let error = trainer.train().unwrap_err();
        assert!(matches!(error, TokenizerError::TooMuchTrainingText { found: 0x8000_0000, .. }));
    }

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
