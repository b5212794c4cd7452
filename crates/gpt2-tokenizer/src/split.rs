//! Splits text into words: GPT-2's regular expression as a scanner.
//!
//! The expression is
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` (OpenAI,
//! `encoder.py`). On a long run of spaces, a backtracking engine overflows its stack or gives up at
//! `\s+(?!\S)`. The scanner below reads every character at most twice.

use crate::char_class::{CharClass, CharClasses};

/// Words of a text, in order. Joined, they are the text.
pub(crate) struct Words<'a> {
    text: &'a str,
    position: usize,
    classes: &'static CharClasses,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0, classes: CharClasses::get() }
    }

    /// Class and byte length of the character at `position`. None at the end.
    fn class_at(&self, position: usize) -> Option<(CharClass, usize)> {
        let byte = *self.text.as_bytes().get(position)?;
        if byte.is_ascii() {
            return Some((self.classes.of_ascii(byte), 1));
        }
        let character = self.text[position..].chars().next()?;
        Some((self.classes.of(character), character.len_utf8()))
    }

    /// End of the run of `class` that contains `position`.
    fn run_end(&self, mut position: usize, class: CharClass) -> usize {
        while let Some((found, length)) = self.class_at(position)
            && found == class
        {
            position += length;
        }
        position
    }

    /// End of `\s+(?!\S)|\s+`: a run of whitespace leaves its last character to the following word,
    /// unless the run has only one character.
    fn whitespace_end(&self, start: usize) -> usize {
        let (mut last, mut end) = (start, start);
        while let Some((CharClass::Whitespace, length)) = self.class_at(end) {
            last = end;
            end += length;
        }
        if end == self.text.len() || last == start { end } else { last }
    }

    /// End of the word that begins at `start`.
    fn word_end(&self, start: usize, class: CharClass, length: usize) -> usize {
        if let Some(length) = contraction_length(&self.text.as_bytes()[start..]) {
            return start + length;
        }
        if class != CharClass::Whitespace {
            return self.run_end(start + length, class);
        }
        match self.class_at(start + length) {
            Some((next, _))
                if next != CharClass::Whitespace && self.text.as_bytes()[start] == b' ' =>
            {
                self.run_end(start + length, next)
            }
            _ => self.whitespace_end(start),
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.position;
        let (class, length) = self.class_at(start)?;
        self.position = self.word_end(start, class, length);
        Some(&self.text[start..self.position])
    }
}

/// Byte length of `'s|'t|'re|'ve|'m|'ll|'d` at the beginning of `bytes`.
fn contraction_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\'', b's' | b't' | b'm' | b'd', ..] => Some(2),
        [b'\'', b'r' | b'v', b'e', ..] | [b'\'', b'l', b'l', ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    /// Words that `tokenizers` finds with the expression itself.
    fn expression_words(text: &str) -> Vec<&str> {
        let mut pieces = PreTokenizedString::from(text);
        ByteLevel::new(false, true, true).pre_tokenize(&mut pieces).unwrap();
        let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(_, (start, end), _)| &text[start..end]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

        #[test]
        fn words_are_those_of_the_expression(
            text in r"([ \n\t'a-e0-2.,strvml\u{a0}\u{3000}é字🙂\u{301}٣½]|'ll|'re|'S|\PC|\s){0,24}")
        {
            let expected = if text.is_empty() { vec![] } else { expression_words(&text) };
            prop_assert_eq!(words(&text), expected);
        }
    }

    fn words(text: &str) -> Vec<&str> {
        Words::new(text).collect()
    }

    #[test]
    fn contractions_stand_alone_in_lower_case() {
        assert_eq!(
            words("don't DON'T we'll'x"),
            ["don", "'t", " DON", "'", "T", " we", "'ll", "'", "x"]
        );
        assert_eq!(words(" 'so"), [" '", "so"]);
        assert_eq!(words("'so'r"), ["'s", "o", "'", "r"]);
    }

    #[test]
    fn whitespace_leaves_its_last_character_to_the_next_word() {
        assert_eq!(words("a\n\nb"), ["a", "\n", "\n", "b"]);
        assert_eq!(words("a   b  "), ["a", "  ", " b", "  "]);
        assert_eq!(words("a\u{3000}\u{a0}b"), ["a", "\u{3000}", "\u{a0}", "b"]);
        assert_eq!(words(" \n x"), [" \n", " x"]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn letters_numbers_and_the_rest_do_not_mix() {
        assert_eq!(words("x2½ ٣…é!"), ["x", "2½", " ٣", "…", "é", "!"]);
    }
}
