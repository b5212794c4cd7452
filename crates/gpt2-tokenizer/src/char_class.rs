//! The four kinds of characters that GPT-2's split tells apart.
//!
//! Taken from the tables of `regex-syntax`, which the regular expressions of tiktoken and
//! `tokenizers` are built on, so that all agree on the version of Unicode.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// Class of a character in GPT-2's split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CharClass {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`
    Whitespace,
    /// `[^\s\p{L}\p{N}]`
    Other,
}

/// Number of code points that one block of the table covers.
const BLOCK: usize = 256;
/// Number of code points of Unicode.
const CODE_POINTS: usize = char::MAX as usize + 1;

/// The class of every character, as a table in two steps: most blocks are equal to another.
pub(crate) struct CharClasses {
    block_of: Vec<u16>,
    blocks: Vec<[CharClass; BLOCK]>,
}

static CLASSES: LazyLock<CharClasses> = LazyLock::new(CharClasses::build);

impl CharClasses {
    /// The table, made at its first use.
    pub(crate) fn get() -> &'static Self {
        &CLASSES
    }

    fn build() -> Self {
        let mut classes = vec![CharClass::Other; CODE_POINTS];
        for (expression, class) in [
            (r"\p{L}", CharClass::Letter),
            (r"\p{N}", CharClass::Number),
            (r"\s", CharClass::Whitespace),
        ] {
            for (first, last) in ranges(expression) {
                classes[first as usize..=last as usize].fill(class);
            }
        }
        let mut known: HashMap<[CharClass; BLOCK], u16> = HashMap::new();
        let (mut block_of, mut blocks) = (Vec::new(), Vec::new());
        for block in classes.as_chunks::<BLOCK>().0 {
            let index = *known.entry(*block).or_insert_with(|| {
                blocks.push(*block);
                (blocks.len() - 1) as u16
            });
            block_of.push(index);
        }
        Self { block_of, blocks }
    }

    /// Class of any character.
    pub(crate) fn of(&self, character: char) -> CharClass {
        let code_point = character as usize;
        self.blocks[usize::from(self.block_of[code_point / BLOCK])][code_point % BLOCK]
    }

    /// Class of an ASCII character, the first of which share the first block.
    pub(crate) fn of_ascii(&self, byte: u8) -> CharClass {
        self.blocks[0][usize::from(byte)]
    }
}

/// The characters that a regular expression of one class matches.
fn ranges(expression: &str) -> Vec<(char, char)> {
    let parsed = regex_syntax::parse(expression).expect("a constant expression is valid");
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        kind => unreachable!("{expression} is a class of characters, not {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_each_kind() {
        let classes = CharClasses::get();
        for (text, class) in [
            ("aZéßλ字ªあ", CharClass::Letter),
            ("09٣½Ⅷ②", CharClass::Number),
            (" \t\n\r\u{b}\u{c}\u{85}\u{a0}\u{2009}\u{3000}", CharClass::Whitespace),
            ("!_'\0\u{200b}\u{301}🙂\u{feff}\u{10ffff}", CharClass::Other),
        ] {
            for character in text.chars() {
                assert_eq!(classes.of(character), class, "{character:?}");
            }
        }
        assert!((0..128).all(|byte: u8| classes.of_ascii(byte) == classes.of(byte.into())));
    }
}
