//! Ids to bytes, and bytes to text.

use crate::error::{Result, TokenizerError};
use crate::vocabulary::Vocabulary;
use crate::{TokenId, byte_alphabet};

/// Bytes of every token.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Indexed by id; `None` is a gap in the ids.
    bytes: Vec<Option<Box<[u8]>>>,
    vocabulary_size: usize,
}

impl Decoder {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        let mut bytes = vec![None; vocabulary.max_token_id() as usize + 1];
        for (token, id) in vocabulary.iter() {
            bytes[id as usize] = Some(byte_alphabet::token_bytes(token));
        }
        Self { bytes, vocabulary_size: vocabulary.len() }
    }

    /// Bytes of one token, which may be invalid UTF-8 on their own.
    pub(crate) fn bytes(&self, id: TokenId) -> Result<&[u8]> {
        let bytes = self.bytes.get(id as usize).and_then(Option::as_deref);
        bytes.ok_or_else(|| self.out_of_range(id))
    }

    /// Error for an id without a token.
    pub(crate) fn out_of_range(&self, id: TokenId) -> TokenizerError {
        TokenizerError::IdOutOfRange {
            id,
            vocabulary_size: self.vocabulary_size,
            max_token_id: (self.bytes.len() - 1) as TokenId,
        }
    }
}
