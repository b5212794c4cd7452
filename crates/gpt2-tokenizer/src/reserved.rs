//! Splits a text into segments: reserved tokens that the text spells, and the text between them.
//!
//! Reserved tokens are `<|endoftext|>` and the unsplittable tokens. The leftmost match wins, and
//! the longest of several matches at one position, as for the added tokens of `tokenizers`.

use crate::TokenId;
use crate::config::{Gpt2TokenizerConfig, SpecialText};
use crate::error::{Result, TokenizerError};
use crate::vocabulary::Vocabulary;

/// Token that begins and ends documents.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";

/// Reserved tokens to look for.
#[derive(Debug)]
pub(crate) struct ReservedTokens {
    /// Tokens, the longest first.
    tokens: Vec<(String, TokenId)>,
    /// Whether a token begins with the byte.
    begins: [bool; 256],
}

/// Segment of a text, with its byte offset.
#[derive(Debug, PartialEq)]
pub(crate) enum Segment<'a> {
    /// Text between reserved tokens, never empty.
    Text(&'a str, usize),
    /// Reserved token.
    Token(TokenId, usize),
}

impl ReservedTokens {
    /// Looks up the tokens that `config` names. `special` is the special token and its id.
    pub(crate) fn new(
        config: &Gpt2TokenizerConfig,
        vocabulary: &Vocabulary,
        special: (&str, TokenId),
    ) -> Result<Self> {
        let mut tokens = Vec::new();
        for token in &config.unsplittable_tokens {
            match vocabulary.id(token) {
                Some(id) if !token.is_empty() => tokens.push((token.clone(), id)),
                _ => return Err(TokenizerError::UnsplittableToken { token: token.clone() }),
            }
        }
        tokens.retain(|(token, _)| token != special.0);
        if config.special_text != SpecialText::Ordinary {
            tokens.push((special.0.to_owned(), special.1));
        }
        tokens.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let mut begins = [false; 256];
        for (token, _) in &tokens {
            begins[usize::from(token.as_bytes()[0])] = true;
        }
        Ok(Self { tokens, begins })
    }

    /// Segments of a text, in order.
    pub(crate) fn segments<'a>(&'a self, text: &'a str) -> Segments<'a> {
        Segments { reserved: self, text, position: 0 }
    }

    /// Next reserved token from `position` on: its offset, its length and its id.
    fn find(&self, text: &str, position: usize) -> Option<(usize, usize, TokenId)> {
        let bytes = text.as_bytes();
        (position..bytes.len()).filter(|&start| self.begins[usize::from(bytes[start])]).find_map(
            |start| {
                let rest = &bytes[start..];
                let (token, id) =
                    self.tokens.iter().find(|(token, _)| rest.starts_with(token.as_bytes()))?;
                Some((start, token.len(), *id))
            },
        )
    }
}

/// Iterator of [`ReservedTokens::segments`].
pub(crate) struct Segments<'a> {
    reserved: &'a ReservedTokens,
    text: &'a str,
    position: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let position = self.position;
        if position == self.text.len() {
            return None;
        }
        match self.reserved.find(self.text, position) {
            Some((start, length, id)) if start == position => {
                self.position = start + length;
                Some(Segment::Token(id, position))
            }
            found => {
                let end = found.map_or(self.text.len(), |(start, _, _)| start);
                self.position = end;
                Some(Segment::Text(&self.text[position..end], position))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftmost_then_longest() {
        let vocabulary = Vocabulary::from_pairs([("ab", 0), ("abc", 1), ("é", 2)]).unwrap();
        let config = Gpt2TokenizerConfig::new()
            .with_unsplittable_tokens(["ab", "abc", "é"])
            .with_special_text(SpecialText::Ordinary);
        let reserved = ReservedTokens::new(&config, &vocabulary, ("<e>", 9)).unwrap();
        let segments: Vec<_> = reserved.segments("xabcabéa").collect();
        let expected = [
            Segment::Text("x", 0),
            Segment::Token(1, 1),
            Segment::Token(0, 4),
            Segment::Token(2, 6),
            Segment::Text("a", 8),
        ];
        assert_eq!(segments, expected);
        assert_eq!(reserved.segments("").count(), 0);
    }
}
