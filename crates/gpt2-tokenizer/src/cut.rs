//! Positions at which a long text can be cut into parts that are tokenized separately.

use crate::char_class::{CharClass, CharClasses};
use crate::config::SplitPattern;
use crate::tokenizer::Gpt2Tokenizer;

impl Gpt2Tokenizer {
    /// Last byte offset at which the text can be cut into two parts whose ids, joined, are those of
    /// the whole text, for any text that follows. Neither part is empty.
    ///
    /// None for a text without a space after a word. Always None with [`SplitPattern::KerasHub`],
    /// with a `sequence_length`, or if an unsplittable token contains a space.
    ///
    /// ```
    /// use gpt2_tokenizer::{Gpt2Tokenizer, TokenizerTrainer};
    ///
    /// let tokenizer = TokenizerTrainer::new(257)?.trained_on(["any text"])?;
    /// assert_eq!(tokenizer.last_cut("to be  or not"), Some("to be  or".len()));
    /// assert_eq!(tokenizer.last_cut("being"), None);
    /// # Ok::<(), gpt2_tokenizer::TokenizerError>(())
    /// ```
    pub fn last_cut(&self, text: &str) -> Option<usize> {
        let config = self.config();
        let has_space = |token: &String| token.contains(char::is_whitespace);
        if config.split != SplitPattern::OpenAi
            || config.sequence_length.is_some()
            || config.unsplittable_tokens.iter().any(has_space)
        {
            return None;
        }
        // Each part gets a prefix space, unless it begins with a space.
        last_cut_before(text, |next| !config.add_prefix_space || next == ' ')
    }
}

/// Last byte offset at which OpenAI's split divides the text into words, for any text before or
/// after it. Neither part is empty.
pub fn last_word_break(text: &str) -> Option<usize> {
    last_cut_before(text, |_| true)
}

/// Last offset between a character that is not whitespace and a whitespace character that `accept`
/// takes.
///
/// No word of the expression in `split.rs` contains such a pair, so the scanner always stops there.
/// It keeps no state, and looks no further ahead.
fn last_cut_before(text: &str, accept: impl Fn(char) -> bool) -> Option<usize> {
    let classes = CharClasses::get();
    let is_space = |character| classes.of(character) == CharClass::Whitespace;
    let mut next: Option<(usize, char)> = None;
    for (position, character) in text.char_indices().rev() {
        if let Some((cut, space)) = next
            && !is_space(character)
            && accept(space)
        {
            return Some(cut);
        }
        next = is_space(character).then_some((position, character));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Gpt2TokenizerConfig;
    use crate::split::Words;
    use crate::train::TokenizerTrainer;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

        #[test]
        fn the_words_of_both_parts_are_those_of_the_whole(
            text in r"([ \n\t'ad-f0-2.,strvml\u{a0}\u{3000}é字🙂\u{301}½]|'ll|'re|\s){0,24}")
        {
            let Some(cut) = last_word_break(&text) else { return Ok(()) };
            prop_assert!(0 < cut && cut < text.len());
            let parts = Words::new(&text[..cut]).chain(Words::new(&text[cut..]));
            prop_assert!(parts.eq(Words::new(&text)), "{:?} | {:?}", &text[..cut], &text[cut..]);
        }

        #[test]
        fn the_ids_of_both_parts_are_those_of_the_whole(
            text in r"([ab ]|\n|<\|endoftext\|>|\u{3000}){0,16}",
            add_prefix_space: bool)
        {
            let config = Gpt2TokenizerConfig::new().with_add_prefix_space(add_prefix_space);
            let tokenizer = TokenizerTrainer::new(270).unwrap().with_min_frequency(1);
            let tokenizer = tokenizer.trained_on(["ab ab a\n\nab ba"]).unwrap();
            let tokenizer = tokenizer.with_config(config).unwrap();
            let Some(cut) = tokenizer.last_cut(&text) else { return Ok(()) };
            let ids = |text| tokenizer.tokenize(text).unwrap();
            prop_assert_eq!([ids(&text[..cut]), ids(&text[cut..])].concat(), ids(&text));
        }
    }

    #[test]
    fn the_last_place_counts() {
        for (text, cut) in [("a b\n\nc", Some(3)), ("a b  ", Some(3)), (" \n", None), ("", None)] {
            assert_eq!(last_word_break(text), cut, "{text:?}");
        }
    }

    #[test]
    fn options_that_see_the_whole_text_forbid_cuts() {
        let tokenizer = TokenizerTrainer::new(258).unwrap().with_min_frequency(1);
        let tokenizer = tokenizer.trained_on(["a a"]).unwrap();
        let options = Gpt2TokenizerConfig::new;
        assert_eq!(tokenizer.last_cut("a\nb"), Some(1));
        for config in [
            options().with_split(SplitPattern::KerasHub),
            options().with_sequence_length(4),
            options().with_add_prefix_space(true),
        ] {
            let tokenizer = tokenizer.with_config(config).unwrap();
            assert_eq!(tokenizer.last_cut("a\nb"), None);
        }
    }
}
