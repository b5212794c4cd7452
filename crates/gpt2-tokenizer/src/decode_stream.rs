//! Decodes ids one by one into text, as soon as its characters are complete.

use std::sync::Arc;

use crate::TokenId;
use crate::error::Result;
use crate::tables::Tables;

/// Decoder of ids that arrive one by one. Made by
/// [`Gpt2Tokenizer::decode_stream`](crate::Gpt2Tokenizer::decode_stream).
///
/// A token may end inside a character. Its bytes then wait for the tokens that complete the
/// character. The joined pieces always equal the text that
/// [`detokenize`](crate::Gpt2Tokenizer::detokenize) returns for all ids.
///
/// ```
/// # use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};
/// // "é" has the bytes C3 A9, which are two tokens here.
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
    /// Bytes of an incomplete character, at most three.
    pending: Vec<u8>,
}

impl DecodeStream {
    pub(crate) fn new(tables: Arc<Tables>, skip_special: bool) -> Self {
        Self { tables, skip_special, pending: Vec::new() }
    }

    /// Takes one id and returns the text that it completes, if any.
    ///
    /// # Errors
    ///
    /// An id out of range. The stream does not change then.
    pub fn push(&mut self, id: TokenId) -> Result<Option<String>> {
        let bytes = self.tables.decoder.bytes(id)?;
        if !(self.skip_special && id == self.tables.end_token_id) {
            self.pending.extend_from_slice(bytes);
        }
        let text = self.take_complete();
        Ok((!text.is_empty()).then_some(text))
    }

    /// Ends the stream and returns its last text. An incomplete character at the end becomes
    /// U+FFFD. The stream is empty afterwards.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    /// Takes the pending bytes, except an incomplete character at their end.
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

/// Length of the last invalid bytes of a text, if further bytes could complete them to a character.
fn incomplete_length(invalid: &[u8]) -> usize {
    match std::str::from_utf8(invalid) {
        Err(error) if error.error_len().is_none() => invalid.len(),
        _ => 0,
    }
}
