//! Tables of a vocabulary and its merges, which a tokenizer shares with its streams.

use crate::TokenId;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::error::{Result, TokenizerError};
use crate::merges::Merges;
use crate::reserved::END_OF_TEXT;
use crate::vocabulary::Vocabulary;

/// Vocabulary and merges, with the encoder and decoder for them.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) merges: Merges,
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Decoder,
    pub(crate) end_token_id: TokenId,
}

impl Tables {
    /// Checks that the merges belong to the vocabulary, and that it has the special token.
    pub(crate) fn new(vocabulary: Vocabulary, merges: Merges) -> Result<Self> {
        let end_token_id = vocabulary
            .id(END_OF_TEXT)
            .ok_or_else(|| TokenizerError::MissingSpecialToken { token: END_OF_TEXT.into() })?;
        let rules = merges.resolve(&vocabulary)?;
        let encoder = Encoder::new(&vocabulary, &rules);
        let decoder = Decoder::new(&vocabulary);
        Ok(Self { vocabulary, merges, encoder, decoder, end_token_id })
    }
}
