//! The tokenizer: its stages combined, under KerasHub's interface.

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

/// Id of the padding. It is also the token `!`: only a mask tells padding from text.
const PAD_TOKEN_ID: TokenId = 0;

/// GPT-2's tokenizer: text to token ids and back.
///
/// Follows KerasHub's `GPT2Tokenizer` (`gpt2_tokenizer.py`, `byte_pair_tokenizer.py`), with two
/// differences. Words are split as by OpenAI's encoder unless [`SplitPattern::KerasHub`] is set.
/// Characters that a small vocabulary cannot express, and ids that it does not contain, are errors.
///
/// Clones are cheap: they share the tables. A tokenizer can be shared between threads.
#[doc(alias = "GPT2Tokenizer")]
#[doc(alias = "BytePairTokenizer")]
#[derive(Clone)]
pub struct Gpt2Tokenizer {
    tables: Arc<Tables>,
    options: Arc<Options>,
}

/// Configuration, and the reserved tokens that follow from it.
struct Options {
    config: Gpt2TokenizerConfig,
    reserved: ReservedTokens,
}

impl Gpt2Tokenizer {
    /// Makes a tokenizer from a vocabulary, the merges that belong to it, and options.
    ///
    /// # Errors
    ///
    /// `<|endoftext|>` or an unsplittable token is not in the vocabulary, a merge rule uses or
    /// makes a token that is not in the vocabulary, or an option is out of range.
    pub fn new(
        vocabulary: Vocabulary,
        merges: Merges,
        config: Gpt2TokenizerConfig,
    ) -> Result<Self> {
        let tables = Tables::new(vocabulary, merges)?;
        let options = Options::new(config, &tables)?;
        Ok(Self { tables: Arc::new(tables), options: Arc::new(options) })
    }

    /// Makes a tokenizer from the text of a `tokenizer.json` of transformers or KerasHub.
    ///
    /// Reads vocabulary, merges, added tokens and `add_prefix_space`. Added tokens other than
    /// `<|endoftext|>` become unsplittable.
    ///
    /// # Errors
    ///
    /// Malformed JSON, a tokenizer that is not byte-level BPE with GPT-2's or KerasHub's split, and
    /// all errors of [`new`](Self::new).
    pub fn from_tokenizer_json(json: &str) -> Result<Self> {
        let (vocabulary, merges, config) = tokenizer_json::parse(json)?;
        Self::new(vocabulary, merges, config)
    }

    /// Tokenizer with other options that shares the vocabulary and merges.
    ///
    /// # Errors
    ///
    /// An unsplittable token is not in the vocabulary, or an option is out of range.
    pub fn with_config(&self, config: Gpt2TokenizerConfig) -> Result<Self> {
        let options = Options::new(config, &self.tables)?;
        Ok(Self { tables: Arc::clone(&self.tables), options: Arc::new(options) })
    }

    /// Ids of a text, truncated or right-padded to `sequence_length` if the options set it.
    ///
    /// # Errors
    ///
    /// A character that the vocabulary cannot express, or a special token in the text, if the
    /// options make it an error.
    pub fn tokenize(&self, text: &str) -> Result<Vec<TokenId>> {
        self.tokenize_in(text, &mut Workspace::default())
    }

    /// Ids of each text, truncated or right-padded to `sequence_length` if the options set it.
    ///
    /// A batch of 128 KiB or more is spread over the cores of the machine.
    ///
    /// # Errors
    ///
    /// Those of [`tokenize`](Self::tokenize), with the number of the first row that fails.
    pub fn tokenize_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<TokenId>>> {
        in_parts(texts, |part| {
            let mut work = Workspace::default();
            in_rows(texts, part, |text| self.tokenize_in(text.as_ref(), &mut work))
        })
    }

    /// Tokens of a text in the byte alphabet, like KerasHub's `dtype="string"`:
    /// `["quick", "Ġbrown"]`.
    ///
    /// # Errors
    ///
    /// Those of [`tokenize`](Self::tokenize), and padding with a vocabulary that has no token with
    /// id 0.
    pub fn tokenize_to_strings(&self, text: &str) -> Result<Vec<String>> {
        let ids = self.tokenize(text)?;
        ids.into_iter().map(|id| self.id_to_token(id).map(str::to_owned)).collect()
    }

    /// Text of ids. Bytes that are not valid UTF-8 become U+FFFD.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn detokenize(&self, ids: &[TokenId]) -> Result<String> {
        Ok(lossy(self.decode_bytes(ids)?))
    }

    /// Text of ids, without the special tokens.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn detokenize_skip_special(&self, ids: &[TokenId]) -> Result<String> {
        let end_token_id = self.tables.end_token_id;
        Ok(lossy(self.join_bytes(ids.iter().copied().filter(|id| *id != end_token_id))?))
    }

    /// Text of each row of ids.
    ///
    /// # Errors
    ///
    /// An id out of range, with the number of the row.
    pub fn detokenize_batch<T: AsRef<[TokenId]>>(&self, rows: &[T]) -> Result<Vec<String>> {
        in_rows(rows, 0..rows.len(), |ids| self.detokenize(ids.as_ref()))
    }

    /// Bytes of ids, which may be invalid UTF-8: a token may end inside a character.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn decode_bytes(&self, ids: &[TokenId]) -> Result<Vec<u8>> {
        self.join_bytes(ids.iter().copied())
    }

    /// Decoder for ids that arrive one by one. `skip_special` omits special tokens.
    pub fn decode_stream(&self, skip_special: bool) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.tables), skip_special)
    }

    /// Number of tokens. If ids have gaps, this is less than [`max_token_id`](Self::max_token_id) +
    /// 1, the number of rows that an embedding needs.
    pub fn vocabulary_size(&self) -> usize {
        self.tables.vocabulary.len()
    }

    /// Largest id.
    pub fn max_token_id(&self) -> TokenId {
        self.tables.vocabulary.max_token_id()
    }

    /// Token with an id, in the byte alphabet.
    ///
    /// # Errors
    ///
    /// An id out of range.
    pub fn id_to_token(&self, id: TokenId) -> Result<&str> {
        self.tables.vocabulary.token(id).ok_or_else(|| self.tables.decoder.out_of_range(id))
    }

    /// Id of a token, which is written in the byte alphabet.
    ///
    /// # Errors
    ///
    /// A token that is not in the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Result<TokenId> {
        let id = self.tables.vocabulary.id(token);
        id.ok_or_else(|| TokenizerError::TokenNotInVocabulary { token: token.into() })
    }

    /// Vocabulary.
    #[doc(alias = "get_vocabulary")]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.tables.vocabulary
    }

    /// Merge rules.
    pub fn merges(&self) -> &Merges {
        &self.tables.merges
    }

    /// Options.
    pub fn config(&self) -> &Gpt2TokenizerConfig {
        &self.options.config
    }

    /// Id of the token that begins documents, `<|endoftext|>`: 50256 in GPT-2.
    pub fn start_token_id(&self) -> TokenId {
        self.tables.end_token_id
    }

    /// Id of the token that ends documents, `<|endoftext|>`: 50256 in GPT-2.
    pub fn end_token_id(&self) -> TokenId {
        self.tables.end_token_id
    }

    /// Id of the padding: 0. In GPT-2 it is also the token `!`.
    pub fn pad_token_id(&self) -> TokenId {
        PAD_TOKEN_ID
    }

    /// Special tokens: `<|endoftext|>`.
    pub fn special_tokens(&self) -> [&'static str; 1] {
        [END_OF_TEXT]
    }

    /// Ids of the special tokens, in the order of [`special_tokens`](Self::special_tokens).
    pub fn special_token_ids(&self) -> [TokenId; 1] {
        [self.tables.end_token_id]
    }

    /// Tokenizes a text for [`tokenize`](Self::tokenize). The texts of a batch share `work`.
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

    /// Rejects the special token in a text, if the options do.
    fn accept_reserved(&self, id: TokenId, position: usize) -> Result<TokenId> {
        if id == self.tables.end_token_id && self.options.config.special_text == SpecialText::Error
        {
            return Err(TokenizerError::SpecialTokenInText { token: END_OF_TEXT.into(), position });
        }
        Ok(id)
    }

    /// Rejects the first character that the vocabulary cannot express, unless the options drop it.
    /// `start` is the segment's offset in the text.
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

    /// Segment with the prefix space that the options ask for.
    fn with_prefix_space<'a>(&self, segment: &'a str) -> Cow<'a, str> {
        if self.options.config.add_prefix_space && !segment.starts_with(' ') {
            return format!(" {segment}").into();
        }
        segment.into()
    }

    /// Appends the ids of a segment without reserved tokens.
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

/// Converts bytes to text. Valid UTF-8 is not copied.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
