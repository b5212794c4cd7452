//! Text of ids that arrive one by one, as soon as its characters are complete.

use std::sync::Arc;

use crate::TokenId;
use crate::error::Result;
use crate::tables::Tables;

/// Turns ids into text one at a time; made by
/// [`Gpt2Tokenizer::decode_stream`](crate::Gpt2Tokenizer::decode_stream).
///
/// A token may end inside a character; its bytes wait until the next tokens complete it. The
/// pieces, joined, always equal the text that
/// [`detokenize`](crate::Gpt2Tokenizer::detokenize) makes of all ids at once.
///
/// ```
/// # use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};
/// // "é" is the bytes C3 A9, here two tokens.
/// let vocabulary = Vocabulary::from_pairs([("Ã", 0), ("©", 1), ("<|endoftext|>", 2)])?;
/// let tokenizer =
///     Gpt2Tokenizer::new(vocabulary, Merges::default(), Gpt2TokenizerConfig::new())?;
/// let mut stream = tokenizer.decode_stream(true);
/// assert_eq!(stream.push(0)?, None);
/// assert_eq!(stream.push(1)?.as_deref(), Some("é"));
/// assert_eq!(stream.push(0)?, None);
/// assert_eq!(stream.finish().as_deref(), Some("\u{fffd}"));
/// # Ok::<(), gpt2_tokenizer::TokenizerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DecodeStream {
    tables: Arc<Tables>,
    skip_special: bool,
    /// Bytes of a character that is not complete yet, at most three.
    pending: Vec<u8>,
}

impl DecodeStream {
    pub(crate) fn new(tables: Arc<Tables>, skip_special: bool) -> Self {
        Self { tables, skip_special, pending: Vec::new() }
    }

    /// Takes one id and returns the text that is now complete, if there is any.
    ///
    /// # Errors
    ///
    /// An id out of range; the stream is then as it was before.
    pub fn push(&mut self, id: TokenId) -> Result<Option<String>> {
        let bytes = self.tables.decoder.bytes(id)?;
        if !(self.skip_special && id == self.tables.end_token_id) {
            self.pending.extend_from_slice(bytes);
        }
        let text = self.take_complete();
        Ok((!text.is_empty()).then_some(text))
    }

    /// Ends the stream: an incomplete character at its end becomes U+FFFD. The stream is empty
    /// afterwards.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    /// Takes all from the pending bytes but an incomplete character at their end.
    fn take_complete(&mut self) -> String {
        let incomplete = match self.pending.utf8_chunks().last() {
            Some(chunk) => incomplete_length(chunk.invalid()),
            None => 0,
        };
        let rest = self.pending.split_off(self.pending.len() - incomplete);
        let complete = std::mem::replace(&mut self.pending, rest);
        String::from_utf8_lossy(&complete).into_owned()
    }
}

/// Length of the last invalid bytes of a text, if more bytes could make a character of them.
fn incomplete_length(invalid: &[u8]) -> usize {
    match std::str::from_utf8(invalid) {
        Err(error) if error.error_len().is_none() => invalid.len(),
        _ => 0,
    }
}
