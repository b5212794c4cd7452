//! The four classes of characters in GPT-2's split.
//!
//! The tables come from `regex-syntax`, which the regular expressions of tiktoken and `tokenizers`
//! are built on. All three therefore use the same version of Unicode.

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

/// Number of code points in one block of the table.
const BLOCK: usize = 256;
/// Number of Unicode code points.
const CODE_POINTS: usize = char::MAX as usize + 1;

/// Class of every character, as a two-level table: most blocks equal another one.
pub(crate) struct CharClasses {
    block_of: Vec<u16>,
    blocks: Vec<[CharClass; BLOCK]>,
}

static CLASSES: LazyLock<CharClasses> = LazyLock::new(CharClasses::build);

impl CharClasses {
    /// Table, built at its first use.
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

    /// Class of a character.
    pub(crate) fn of(&self, character: char) -> CharClass {
        let code_point = character as usize;
        self.blocks[usize::from(self.block_of[code_point / BLOCK])][code_point % BLOCK]
    }

    /// Class of an ASCII character: all of them are in the first block.
    pub(crate) fn of_ascii(&self, byte: u8) -> CharClass {
        self.blocks[0][usize::from(byte)]
    }
}

/// Characters that the regular expression of one class matches.
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
