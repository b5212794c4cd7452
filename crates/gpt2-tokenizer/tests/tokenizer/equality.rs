//! Equality with tiktoken, OpenAI's own implementation, on random strings and on all characters.

use std::sync::LazyLock;

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, SpecialText, SplitPattern};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use crate::common::{gpt2, oracle, plain_tokenizers};

pub static GPT2: LazyLock<Gpt2Tokenizer> = LazyLock::new(|| gpt2(Gpt2TokenizerConfig::new()));

/// Strings in one case. All cases together have 100,000 strings.
const STRINGS: usize = 100;
const CASES: u32 = 1_000;

/// First and last characters of scripts, and of other ranges that affect splits.
const RANGES: [(char, char); 16] = [
    (' ', '~'),
    ('\0', '\u{1f}'),
    ('\u{80}', '\u{ff}'),
    ('Α', 'ω'),
    ('А', 'я'),
    ('א', 'ת'),
    ('ء', 'ي'),
    ('ऀ', 'ॿ'),
    ('ก', '๛'),
    ('ぁ', 'ヿ'),
    ('一', '鿿'),
    ('가', '힣'),
    ('\u{300}', '\u{36f}'),
    ('\u{1f300}', '\u{1faff}'),
    ('\u{2000}', '\u{206f}'),
    ('\u{1d400}', '\u{1d7ff}'),
];

/// Strings that the expression or the byte alphabet treats specially.
const PIECES: [&str; 40] = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'",
    " '",
    "don't",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\r",
    "\u{b}",
    "\u{85}",
    "\u{a0}",
    "\u{2009}",
    "\u{202f}",
    "\u{3000}",
    "\u{2028}",
    "\u{200b}",
    "\u{feff}",
    "\0",
    "٣٤",
    "१२",
    "５",
    "½",
    "Ⅷ",
    "²",
    "e\u{301}",
    "👩\u{200d}👩\u{200d}👧",
    "🇫🇷",
    "👍🏽",
    "\u{10ffff}",
    "<|endoftext|>",
];

fn fragment() -> impl Strategy<Value = String> {
    let in_range =
        select(&RANGES[..]).prop_flat_map(|(first, last)| proptest::char::range(first, last));
    prop_oneof![
        4 => vec(in_range, 1..6).prop_map(String::from_iter),
        4 => select(&PIECES[..]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        2 => select(&[" the", " of", "Hello", " 2023", "ing", ".", ",", " "][..]).prop_map(str::to_owned),
        1 => (any::<char>(), 1..40_usize).prop_map(|(c, n)| String::from_iter(vec![c; n])),
        1 => (select(&[' ', '\n', 'a', '0', '^', '='][..]), 1..80_usize)
            .prop_map(|(c, n)| String::from_iter(vec![c; n])),
    ]
}

pub fn text() -> impl Strategy<Value = String> {
    vec(fragment(), 0..8).prop_map(|fragments| fragments.concat())
}

pub fn assert_equal_to_oracle(text: &str) {
    let ids = GPT2.tokenize(text).unwrap();
    assert_eq!(ids, oracle().encode_with_special_tokens(text), "{text:?}");
    assert_eq!(GPT2.detokenize(&ids).unwrap(), text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn drawn_strings_have_tiktokens_ids(texts in vec(text(), STRINGS)) {
        texts.iter().for_each(|text| assert_equal_to_oracle(text));
    }
}

/// KerasHub runs the merges over the whole text. Its pipeline, rebuilt here, must give the same
/// ids.
#[test]
fn drawn_strings_have_keras_hubs_ids() {
    let config = Gpt2TokenizerConfig::new()
        .with_split(SplitPattern::KerasHub)
        .with_special_text(SpecialText::Ordinary);
    let (ours, theirs) = (GPT2.with_config(config).unwrap(), plain_tokenizers(false));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        cases: 5_000,
        ..Default::default()
    });
    let result = runner.run(&text(), |text| {
        let encoding = theirs.encode_fast(text.as_str(), false).unwrap();
        prop_assert_eq!(ours.tokenize(&text).unwrap(), encoding.get_ids());
        Ok(())
    });
    result.unwrap();
}

/// Every character before and after one of each class: any difference in a Unicode table shows.
#[test]
fn every_character_has_tiktokens_class() {
    let characters: Vec<char> = ('\0'..=char::MAX).collect();
    for chunk in characters.chunks(1 << 12) {
        let text: String =
            chunk.iter().flat_map(|&c| ['a', c, 'a', '1', c, '1', '!', c, ' ', c]).collect();
        let ids = GPT2.tokenize(&text).unwrap();
        assert!(ids == oracle().encode_ordinary(&text), "from {:?}", chunk[0]);
    }
}
