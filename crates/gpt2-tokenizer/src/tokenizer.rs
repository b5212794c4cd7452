//! The tokenizer: its stages joined, under KerasHub's interface.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::batch::{in_parts, in_rows};
use crate::config::{Gpt2TokenizerConfig, SpecialText, SplitPattern, UnknownBytes};
use crate::decode_stream::DecodeStream;
use crate::encode::Workspace;
use crate::error::{Result, TokenizerError};
use crate::merges::Merges;
use crate::reserved::{END_OF_TEXT, ReservedTokens, Segment};
use crate::split::Words;
use crate::tables::Tables;
use crate::vocabulary::Vocabulary;
use crate::{TokenId, tokenizer_json};

/// The id that sequences are padded with. It is the token `!`: a mask, never the id, tells
/// padding from text.
const PAD_TOKEN_ID: TokenId = 0;

/// GPT-2's tokenizer: text to token ids and back.
///
/// KerasHub's `GPT2Tokenizer` (`gpt2_tokenizer.py`, `byte_pair_tokenizer.py`), with these
/// differences: words are cut as by OpenAI's encoder unless
/// [`SplitPattern::KerasHub`] is asked for; characters that a small vocabulary cannot express,
/// and ids that it does not hold, are errors.
///
/// Cheap to clone, and shared freely between threads.
#[doc(alias = "GPT2Tokenizer")]
#[doc(alias = "BytePairTokenizer")]
#[derive(Clone)]
pub struct Gpt2Tokenizer {
    tables: Arc<Tables>,
    options: Arc<Options>,
}

/// The configuration, and what follows from it.
struct Options {
    config: Gpt2TokenizerConfig,
    reserved: ReservedTokens,
}

impl Gpt2Tokenizer {
    /// Makes a tokenizer of a vocabulary, the merges that belong to it, and options.
    ///
    /// # Errors
    ///
    /// `<|endoftext|>` or an unsplittable token is not in the vocabulary, a merge rule uses or
    /// makes a token that is not, or an option is out of range.
    pub fn new(
        vocabulary: Vocabulary,
        merges: Merges,
        config: Gpt2TokenizerConfig,
    ) -> Result<Self> {
        let tables = Tables::new(vocabulary, merges)?;
        let options = Options::new(config, &tables)?;
        Ok(Self { tables: Arc::new(tables), options: Arc::new(options) })
    }

    /// Makes a tokenizer of the text of a `tokenizer.json` of transformers or KerasHub.
    ///
    /// Vocabulary, merges, added tokens and `add_prefix_space` are taken; added tokens other
    /// than `<|endoftext|>` become unsplittable.
    ///
    /// # Errors
    ///
    /// Malformed JSON, a tokenizer that is not byte-level BPE with GPT-2's (or KerasHub's) split,
    /// and all that [`new`](Self::new) refuses.
    pub fn from_tokenizer_json(json: &str) -> Result<Self> {
        let (vocabulary, merges, config) = tokenizer_json::parse(json)?;
        Self::new(vocabulary, merges, config)
    }

    /// The same vocabulary and merges, shared, under other options.
    ///
    /// # Errors
    ///
    /// An unsplittable token is not in the vocabulary, or an option is out of range.
    pub fn with_config(&self, config: Gpt2TokenizerConfig) -> Result<Self> {
        let options = Options::new(config, &self.tables)?;
        Ok(Self { tables: Arc::clone(&self.tables), options: Arc::new(options) })
    }

    /// The ids of a text, cut or right-padded to `sequence_length` if the options set it.
    ///
    /// # Errors
    ///
    /// A character that the vocabulary cannot express, or a special token in the text, where the
    /// options make that an error.
    pub fn tokenize(&self, text: &str) -> Result<Vec<TokenId>> {
        self.tokenize_in(text, &mut Workspace::default())
    }

    /// The ids of each text, cut or right-padded to `sequence_length` if the options set it.
    ///
    /// A batch of more than 128 KiB is spread over the cores of the machine.
    ///
    /// # Errors
    ///
    /// As [`tokenize`](Self::tokenize), with the number of the first row that has one.
    pub fn tokenize_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<TokenId>>> {
        in_parts(texts, |part| {
            let mut work = Workspace::default();
            in_rows(texts, part, |text| self.tokenize_in(text.as_ref(), &mut work))
        })
    }

    /// The tokens of a text as the vocabulary writes them, as KerasHub's `dtype="string"`:
    /// `["quick", "Ġbrown"]`.
    ///
    /// # Errors
    ///
    /// As [`tokenize`](Self::tokenize); also where padding is asked for and id 0 has no token.
    pub fn tokenize_to_strings(&self, text: &str) -> Result<Vec<String>> {
        let ids = self.tokenize(text)?;
        ids.into_iter().map(|id| self.id_to_token(id).map(str::to_owned)).collect()
    }

    /// The text of ids; bytes that are no valid UTF-8 become U+FFFD.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn detokenize(&self, ids: &[TokenId]) -> Result<String> {
        Ok(lossy(self.decode_bytes(ids)?))
    }

    /// The text of ids without the special tokens among them.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn detokenize_skip_special(&self, ids: &[TokenId]) -> Result<String> {
        let end_token_id = self.tables.end_token_id;
        Ok(lossy(self.join_bytes(ids.iter().copied().filter(|id| *id != end_token_id))?))
    }

    /// The text of each row of ids.
    ///
    /// # Errors
    ///
    /// An id out of range, with the number of the row.
    pub fn detokenize_batch<T: AsRef<[TokenId]>>(&self, rows: &[T]) -> Result<Vec<String>> {
        in_rows(rows, 0..rows.len(), |ids| self.detokenize(ids.as_ref()))
    }

    /// The bytes of ids, which need not be valid UTF-8: a token may end inside a character.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn decode_bytes(&self, ids: &[TokenId]) -> Result<Vec<u8>> {
        self.join_bytes(ids.iter().copied())
    }

    /// A decoder for ids that arrive one by one; `skip_special` leaves special tokens out.
    pub fn decode_stream(&self, skip_special: bool) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.tables), skip_special)
    }

    /// Number of tokens. With gaps in the ids this is less than
    /// [`max_token_id`](Self::max_token_id) + 1, which an embedding must have rows for.
    pub fn vocabulary_size(&self) -> usize {
        self.tables.vocabulary.len()
    }

    /// The largest id.
    pub fn max_token_id(&self) -> TokenId {
        self.tables.vocabulary.max_token_id()
    }

    /// The token with an id, written in the byte alphabet.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn id_to_token(&self, id: TokenId) -> Result<&str> {
        self.tables.vocabulary.token(id).ok_or_else(|| self.tables.decoder.out_of_range(id))
    }

    /// The id of a token, written in the byte alphabet.
    ///
    /// # Errors
    ///
    /// A token that is not in the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Result<TokenId> {
        let id = self.tables.vocabulary.id(token);
        id.ok_or_else(|| TokenizerError::TokenNotInVocabulary { token: token.into() })
    }

    /// The vocabulary.
    #[doc(alias = "get_vocabulary")]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.tables.vocabulary
    }

    /// The merge rules.
    pub fn merges(&self) -> &Merges {
        &self.tables.merges
    }

    /// The options.
    pub fn config(&self) -> &Gpt2TokenizerConfig {
        &self.options.config
    }

    /// The id of the token that begins documents, `<|endoftext|>`: 50256 in GPT-2.
    pub fn start_token_id(&self) -> TokenId {
        self.tables.end_token_id
    }

    /// The id of the token that ends documents, `<|endoftext|>`: 50256 in GPT-2.
    pub fn end_token_id(&self) -> TokenId {
        self.tables.end_token_id
    }

    /// The id that sequences are padded with: 0. In GPT-2 it is also the token `!`.
    pub fn pad_token_id(&self) -> TokenId {
        PAD_TOKEN_ID
    }

    /// The special tokens: `<|endoftext|>`.
    pub fn special_tokens(&self) -> [&'static str; 1] {
        [END_OF_TEXT]
    }

    /// The ids of the special tokens, in the order of [`special_tokens`](Self::special_tokens).
    pub fn special_token_ids(&self) -> [TokenId; 1] {
        [self.tables.end_token_id]
    }

    /// Does the work of [`tokenize`](Self::tokenize); a batch shares what it needs for that.
    fn tokenize_in(&self, text: &str, work: &mut Workspace) -> Result<Vec<TokenId>> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        for segment in self.options.reserved.segments(text) {
            match segment {
                Segment::Token(id, position) => ids.push(self.accept_reserved(id, position)?),
                Segment::Text(text, position) => {
                    self.check_bytes(text, position)?;
                    self.encode_segment(text, work, &mut ids);
                }
            }
        }
        if let Some(length) = self.options.config.sequence_length {
            ids.resize(length, PAD_TOKEN_ID);
        }
        Ok(ids)
    }

    /// Refuses the special token in a text, if the options do.
    fn accept_reserved(&self, id: TokenId, position: usize) -> Result<TokenId> {
        if id == self.tables.end_token_id && self.options.config.special_text == SpecialText::Error
        {
            return Err(TokenizerError::SpecialTokenInText { token: END_OF_TEXT.into(), position });
        }
        Ok(id)
    }

    /// Refuses the first character that the vocabulary cannot express, unless it is to be
    /// dropped. `start` is where the segment begins in the text.
    fn check_bytes(&self, segment: &str, start: usize) -> Result<()> {
        let encoder = &self.tables.encoder;
        if self.options.config.unknown == UnknownBytes::Drop || encoder.knows_all_bytes() {
            return Ok(());
        }
        let segment_with_prefix = self.with_prefix_space(segment);
        let prefix = segment_with_prefix.len() - segment.len();
        for (position, character) in segment_with_prefix.char_indices() {
            let mut buffer = [0; 4];
            let mut bytes = character.encode_utf8(&mut buffer).bytes();
            if let Some(byte) = bytes.find(|byte| !encoder.knows(*byte)) {
                let position = start + position.saturating_sub(prefix);
                return Err(TokenizerError::UnknownByte { character, position, byte });
            }
        }
        Ok(())
    }

    /// The segment as it is encoded: with the space before it that the options ask for.
    fn with_prefix_space<'a>(&self, segment: &'a str) -> Cow<'a, str> {
        if self.options.config.add_prefix_space && !segment.starts_with(' ') {
            return format!(" {segment}").into();
        }
        segment.into()
    }

    /// Appends the ids of a segment that holds no reserved token.
    fn encode_segment(&self, segment: &str, work: &mut Workspace, ids: &mut Vec<TokenId>) {
        let encoder = &self.tables.encoder;
        let segment = self.with_prefix_space(segment);
        match self.options.config.split {
            SplitPattern::OpenAi => {
                Words::new(&segment).for_each(|word| encoder.encode(word, work, ids));
            }
            SplitPattern::KerasHub => encoder.encode(&segment, work, ids),
        }
    }

    fn join_bytes(&self, ids: impl Iterator<Item = TokenId>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for id in ids {
            bytes.extend_from_slice(self.tables.decoder.bytes(id)?);
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Gpt2Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gpt2Tokenizer")
            .field("vocabulary_size", &self.vocabulary_size())
            .field("merges", &self.merges().len())
            .field("config", self.config())
            .finish()
    }
}

impl Options {
    fn new(config: Gpt2TokenizerConfig, tables: &Tables) -> Result<Self> {
        config.check()?;
        let special = (END_OF_TEXT, tables.end_token_id);
        let reserved = ReservedTokens::new(&config, &tables.vocabulary, special)?;
        Ok(Self { config, reserved })
    }
}

/// Text of bytes, without a copy where they are valid UTF-8.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
