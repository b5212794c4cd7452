//! Errors between a file, a text and its token ids.

use gpt2_files::FileError;

use crate::TokenId;

/// Result of the operations of this crate.
pub type Result<T, E = TokenizerError> = std::result::Result<T, E>;

/// Reason why a tokenizer cannot be built, or cannot treat its input.
///
/// Every message names the thing, what was expected, what was found and the remedy. A cause is the
/// [`source`](std::error::Error::source), and no part of the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary's JSON text is malformed, or is not an object.
    #[error(
        "the vocabulary cannot be read: expected a JSON object that maps each token to its id, \
         found: {detail}; pass the content of vocabulary.json (vocab.json)"
    )]
    VocabularySyntax {
        /// Finding of the JSON parser, with line and column.
        detail: String,
    },
    /// An id is not a whole number of at least zero.
    #[error(
        "token {token:?} of the vocabulary: expected a whole number from 0 as its id, \
         found {found}; correct the vocabulary file"
    )]
    InvalidId {
        /// The token whose id is at fault.
        token: String,
        /// Value in place of the id.
        found: String,
    },
    /// An id lies above what the tables of this crate hold.
    #[error(
        "token {token:?} of the vocabulary: expected an id of at most {limit}, found {id}; \
         renumber the vocabulary"
    )]
    IdTooLarge {
        /// The token whose id is at fault.
        token: String,
        /// The id found.
        id: u64,
        /// The largest id allowed.
        limit: TokenId,
    },
    /// A token occurs twice in the vocabulary.
    #[error(
        "token {token:?} occurs twice in the vocabulary, expected it once; remove one of the two"
    )]
    DuplicateToken {
        /// The repeated token.
        token: String,
    },
    /// Two tokens of the vocabulary have the same id.
    #[error(
        "tokens {first:?} and {second:?} of the vocabulary both have the id {id}, expected one \
         token per id; renumber one of them"
    )]
    DuplicateId {
        /// The id that two tokens claim.
        id: TokenId,
        /// The token that claimed it first.
        first: String,
        /// The token that claimed it next.
        second: String,
    },
    /// A special token is not in the vocabulary.
    #[error(
        "Cannot find special token `'{token}'` in the provided vocabulary for `Gpt2Tokenizer`. \
         Please ensure `'{token}'` is in the provided vocabulary when creating the Tokenizer."
    )]
    MissingSpecialToken {
        /// The special token.
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
        /// The line as it was found.
        found: String,
    },
    /// A merge rule uses or makes a token that the vocabulary lacks.
    #[error(
        "line {line} of the merges: rule {rule:?} needs token {token:?}, which is not in the \
         vocabulary; use the merges that belong to this vocabulary"
    )]
    MergeNotInVocabulary {
        /// Line of the file, or position in the list of rules, from 1.
        line: usize,
        /// The rule, its parts separated by a space.
        rule: String,
        /// The token that is missing: a part, or the two parts joined.
        token: String,
    },
    /// `sequence_length` is zero.
    #[error(
        "sequence_length of the tokenizer: expected at least 1, found 0; leave it unset to \
         keep every sequence at its own length"
    )]
    SequenceLengthZero,
    /// An unsplittable token cannot be matched or has no id.
    #[error(
        "unsplittable token {token:?}: expected a non-empty token of the vocabulary; add it to \
         the vocabulary or remove it from unsplittable_tokens"
    )]
    UnsplittableToken {
        /// The entry of `unsplittable_tokens`.
        token: String,
    },
    /// A `tokenizer.json` is malformed.
    #[error(
        "the tokenizer.json cannot be read: expected the JSON of a byte-level BPE tokenizer as \
         transformers saves it, found: {detail}"
    )]
    TokenizerJsonSyntax {
        /// Finding of the JSON parser, with line and column.
        detail: String,
    },
    /// A `tokenizer.json` describes another kind of tokenizer than GPT-2's.
    #[error(
        "`{field}` of the tokenizer.json: expected {expected}, found {found}; only byte-level \
         BPE tokenizers of the GPT-2 kind are supported"
    )]
    UnsupportedTokenizerJson {
        /// The path of the field inside the JSON.
        field: &'static str,
        /// Value of GPT-2's tokenizer.
        expected: &'static str,
        /// Value of the file.
        found: String,
    },
    /// A file cannot be read or written, or is no text.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text has a character that the vocabulary cannot express.
    #[error(
        "character {character:?} at byte {position} of the text: expected a token for its byte \
         {byte:#04x} in the vocabulary, found none; add the byte's symbol to the vocabulary, or \
         set `unknown` to UnknownBytes::Drop"
    )]
    UnknownByte {
        /// The character.
        character: char,
        /// Offset in the text, in bytes.
        position: usize,
        /// The first of its UTF-8 bytes that has no token.
        byte: u8,
    },
    /// The text spells a special token, and the configuration forbids that.
    #[error(
        "the text contains {token:?} at byte {position}, expected no special token in it; \
         remove it, or set `special_text` to SpecialText::Ordinary or SpecialText::Parse"
    )]
    SpecialTokenInText {
        /// The special token.
        token: String,
        /// Offset in the text, in bytes.
        position: usize,
    },
    /// A text of a batch, or a row of ids, is at fault.
    #[error("row {row} of the batch cannot be used")]
    InBatch {
        /// Index of the row, from 0.
        row: usize,
        /// Error of the row.
        source: Box<TokenizerError>,
    },
    /// An id belongs to no token.
    #[error(
        "Id {id} is out of vocabulary range: expected the id of one of the {vocabulary_size} \
         tokens, the largest of which is {max_token_id}; use ids made with this vocabulary"
    )]
    IdOutOfRange {
        /// The id.
        id: TokenId,
        /// Number of tokens in the vocabulary.
        vocabulary_size: usize,
        /// The largest id in the vocabulary.
        max_token_id: TokenId,
    },
    /// A vocabulary of this size cannot be learnt.
    #[error(
        "the vocabulary to learn: expected between {least} tokens (256 bytes and \
         `<|endoftext|>`) and {most}, found {found}; choose another `vocabulary_size`"
    )]
    InvalidVocabularySize {
        /// The smallest that is accepted.
        least: usize,
        /// The largest that is accepted.
        most: usize,
        /// Size that was asked for.
        found: usize,
    },
    /// A vocabulary was to be learnt from nothing.
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
        /// The token.
        token: String,
    },
}
