//! Inputs that make tokenizers slow or crash: the ids must be right, within a time limit.

use std::time::{Duration, Instant};

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SplitPattern, Vocabulary};
use proptest::prelude::*;

use crate::airplane;
use crate::common::oracle;
use crate::equality::GPT2;

const LENGTH: usize = 1_000_000;
/// Far above the time of a linear algorithm in a test build on a busy machine, far below that of a
/// quadratic one.
const PATIENCE: Duration = Duration::from_secs(20);

fn letters(length: usize) -> String {
    let mut state = 11_u64;
    let mut letter = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(b'a' + (state >> 33) as u8 % 26)
    };
    (0..length).map(|_| letter()).collect()
}

fn within_patience<T>(name: &str, run: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = run();
    assert!(begin.elapsed() < PATIENCE, "{name}: {:?}", begin.elapsed());
    result
}

#[test]
fn long_runs_have_tiktokens_ids() {
    for character in ["a", " ", "\n", "^", "é", "字", "\u{3000}", "0", "'"] {
        let text = character.repeat(LENGTH / character.len());
        let ids = within_patience(character, || GPT2.tokenize(&text).unwrap());
        assert!(ids == oracle().encode_ordinary(&text), "{character:?}");
    }
    let text = letters(512 * 1024);
    let ids = within_patience("letters", || GPT2.tokenize(&text).unwrap());
    assert!(ids == oracle().encode_ordinary(&text));
}

/// Backtracking engines, tiktoken's among them, overflow their stack here. The ids are known.
#[test]
fn a_word_behind_a_million_spaces_keeps_its_space() {
    let text = " ".repeat(LENGTH) + "x";
    let ids = within_patience("spaces", || GPT2.tokenize(&text).unwrap());
    assert_eq!(ids.len(), LENGTH);
    assert!(ids[..LENGTH - 1].iter().all(|id| *id == 220));
    assert_eq!(ids[LENGTH - 1], 2124);
}

#[test]
fn keras_hubs_split_is_no_slower_on_one_long_word() {
    let config = Gpt2TokenizerConfig::new().with_split(SplitPattern::KerasHub);
    let tokenizer = GPT2.with_config(config).unwrap();
    for text in [
        "a".repeat(LENGTH),
        " ".repeat(LENGTH),
        "\n".repeat(LENGTH),
        "^".repeat(LENGTH),
        "ab c\n".repeat(LENGTH / 5),
        letters(512 * 1024),
    ] {
        let ids = within_patience(&text[..8], || tokenizer.tokenize(&text).unwrap());
        assert!(tokenizer.detokenize(&ids).unwrap() == text);
    }
}

#[test]
fn almost_special_text_is_linear() {
    let text = "<|endoftext|".repeat(LENGTH / 12);
    let ids = within_patience("almost special", || GPT2.tokenize(&text).unwrap());
    assert!(ids == oracle().encode_ordinary(&text));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    /// Files with a replaced part give an error or a tokenizer, never a panic.
    #[test]
    fn damaged_files_do_not_panic(
        at in any::<prop::sample::Index>(), length in 0..6_usize, new in "[\\PC\n\"{},:0-9a-z]{0,6}")
    {
        let vocabulary = airplane::vocabulary().to_json();
        let merges = airplane::merges().to_text();
        let model = format!(r#"{{"type": "BPE", "vocab": {vocabulary}, "merges": ["a i", ["Ġ", "a"]]}}"#);
        let file = format!(r#"{{"pre_tokenizer": {{"type": "ByteLevel"}}, "model": {model}}}"#);
        let damage = |text: &str| {
            let mut characters: Vec<char> = text.chars().collect();
            let start = at.index(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, new.chars());
            String::from_iter(characters)
        };
        let parsed = Vocabulary::from_json(&damage(&vocabulary))
            .and_then(|vocabulary| Ok((vocabulary, Merges::parse(&damage(&merges))?)));
        let made = parsed.and_then(|(vocabulary, merges)| {
            Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new())
        });
        for tokenizer in [made, Gpt2Tokenizer::from_tokenizer_json(&damage(&file))].into_iter().flatten() {
            let ids = tokenizer.tokenize("airport").unwrap_or_default();
            prop_assert!(tokenizer.detokenize(&ids).is_ok());
        }
    }
}
