//! Errors of the tokenizer.

use gpt2_files::FileError;

use crate::TokenId;

/// Result with a [`TokenizerError`].
pub type Result<T, E = TokenizerError> = std::result::Result<T, E>;

/// Reason why a tokenizer cannot be built or cannot process its input.
///
/// Every message names the thing, the expected and found values, and the remedy. A cause is the
/// [`source`](std::error::Error::source); the message does not repeat it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary's JSON text is malformed, or is not an object.
    #[error(
        "cannot read the vocabulary: expected a JSON object that maps each token to its id, \
         found: {detail}; pass the content of vocabulary.json (vocab.json)"
    )]
    VocabularySyntax {
        /// Error of the JSON parser, with line and column.
        detail: String,
    },
    /// An id is not a non-negative integer.
    #[error(
        "token {token:?} of the vocabulary: expected a whole number from 0 as its id, \
         found {found}; correct the vocabulary file"
    )]
    InvalidId {
        /// Token with the invalid id.
        token: String,
        /// Value of the id.
        found: String,
    },
    /// An id exceeds the limit of this crate's tables.
    #[error(
        "token {token:?} of the vocabulary: expected an id of at most {limit}, found {id}; \
         renumber the vocabulary"
    )]
    IdTooLarge {
        /// Token with the invalid id.
        token: String,
        /// Found id.
        id: u64,
        /// Largest accepted id.
        limit: TokenId,
    },
    /// A token occurs twice in the vocabulary.
    #[error(
        "token {token:?} occurs twice in the vocabulary, expected it once; remove one of the two"
    )]
    DuplicateToken {
        /// Repeated token.
        token: String,
    },
    /// Two tokens of the vocabulary have the same id.
    #[error(
        "tokens {first:?} and {second:?} of the vocabulary both have the id {id}, expected one \
         token per id; renumber one of them"
    )]
    DuplicateId {
        /// Id that two tokens have.
        id: TokenId,
        /// First token with the id.
        first: String,
        /// Second token with the id.
        second: String,
    },
    /// A special token is not in the vocabulary.
    #[error(
        "Cannot find special token `'{token}'` in the provided vocabulary for `Gpt2Tokenizer`. \
         Please ensure `'{token}'` is in the provided vocabulary when creating the Tokenizer."
    )]
    MissingSpecialToken {
        /// Special token.
        token: String,
    },
    /// A merge rule does not consist of two tokens.
    #[error(
        "line {line} of the merges: expected two tokens with one space between them, \
         found {found:?}; correct or remove the line"
    )]
    MergeSyntax {
        /// Line of the file, or position in the list of rules, from 1.
        line: usize,
        /// Found line.
        found: String,
    },
    /// A merge rule uses or makes a token that is not in the vocabulary.
    #[error(
        "line {line} of the merges: rule {rule:?} needs token {token:?}, which is not in the \
         vocabulary; use the merges that belong to this vocabulary"
    )]
    MergeNotInVocabulary {
        /// Line of the file, or position in the list of rules, from 1.
        line: usize,
        /// Rule, its parts separated by a space.
        rule: String,
        /// Missing token: one of the parts, or the joined parts.
        token: String,
    },
    /// `sequence_length` is zero.
    #[error(
        "sequence_length of the tokenizer: expected at least 1, found 0; leave it unset to \
         keep every sequence at its own length"
    )]
    SequenceLengthZero,
    /// An unsplittable token is empty or not in the vocabulary.
    #[error(
        "unsplittable token {token:?}: expected a non-empty token of the vocabulary; add it to \
         the vocabulary or remove it from unsplittable_tokens"
    )]
    UnsplittableToken {
        /// Entry of `unsplittable_tokens`.
        token: String,
    },
    /// A `tokenizer.json` is malformed.
    #[error(
        "cannot read the tokenizer.json: expected the JSON of a byte-level BPE tokenizer as \
         transformers saves it, found: {detail}"
    )]
    TokenizerJsonSyntax {
        /// Error of the JSON parser, with line and column.
        detail: String,
    },
    /// A `tokenizer.json` describes a tokenizer of another kind than GPT-2's.
    #[error(
        "`{field}` of the tokenizer.json: expected {expected}, found {found}; only byte-level \
         BPE tokenizers of the GPT-2 kind are supported"
    )]
    UnsupportedTokenizerJson {
        /// Path of the field in the JSON.
        field: &'static str,
        /// Value for GPT-2's tokenizer.
        expected: &'static str,
        /// Value in the file.
        found: String,
    },
    /// A file cannot be read or written, or is not text.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text has a character that the vocabulary cannot express.
    #[error(
        "character {character:?} at byte {position} of the text: expected a token for its byte \
         {byte:#04x} in the vocabulary, found none; add the byte's symbol to the vocabulary, or \
         set `unknown` to UnknownBytes::Drop"
    )]
    UnknownByte {
        /// Character that cannot be expressed.
        character: char,
        /// Byte offset in the text.
        position: usize,
        /// First of the character's UTF-8 bytes that has no token.
        byte: u8,
    },
    /// The text contains a special token, and the configuration forbids it.
    #[error(
        "the text contains {token:?} at byte {position}, expected no special token in it; \
         remove it, or set `special_text` to SpecialText::Ordinary or SpecialText::Parse"
    )]
    SpecialTokenInText {
        /// Special token.
        token: String,
        /// Byte offset in the text.
        position: usize,
    },
    /// A text or a row of ids in a batch causes an error.
    #[error("cannot use row {row} of the batch")]
    InBatch {
        /// Index of the row, from 0.
        row: usize,
        /// Error of the row.
        source: Box<TokenizerError>,
    },
    /// An id has no token.
    #[error(
        "Id {id} is out of vocabulary range: expected the id of one of the {vocabulary_size} \
         tokens, the largest of which is {max_token_id}; use ids made with this vocabulary"
    )]
    IdOutOfRange {
        /// Id without a token.
        id: TokenId,
        /// Number of tokens in the vocabulary.
        vocabulary_size: usize,
        /// Largest id in the vocabulary.
        max_token_id: TokenId,
    },
    /// The requested vocabulary size is out of range.
    #[error(
        "the vocabulary to learn: expected between {least} tokens (256 bytes and \
         `<|endoftext|>`) and {most}, found {found}; choose another `vocabulary_size`"
    )]
    InvalidVocabularySize {
        /// Smallest accepted size.
        least: usize,
        /// Largest accepted size.
        most: usize,
        /// Requested size.
        found: usize,
    },
    /// The training texts have no words.
    #[error(
        "the text to learn a vocabulary from: expected at least one word, found none; pass text"
    )]
    NoTrainingText,
    /// A vocabulary was to be learnt from more text than its trainer can address.
    #[error(
        "the text to learn a vocabulary from: expected different words of at most {limit} bytes \
         together, found {found}; a sample of the text gives nearly the same vocabulary"
    )]
    TooMuchTrainingText {
        /// Most bytes.
        limit: u64,
        /// Bytes of the different words.
        found: u64,
    },
    /// A token is not in the vocabulary.
    #[error(
        "Token {token:?} is not in the vocabulary; write tokens as the vocabulary does, a space \
         as `Ġ`"
    )]
    TokenNotInVocabulary {
        /// Token that was looked up.
        token: String,
    },
}
