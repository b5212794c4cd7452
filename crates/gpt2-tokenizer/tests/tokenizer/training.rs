//! Learnt vocabularies: equal to those of Python's `tokenizers`, and complete for any text.

use gpt2_tokenizer::{Gpt2Tokenizer, TokenizerError, TokenizerTrainer};
use proptest::prelude::*;
use serde::Deserialize;

/// Case of `tests/training/generate.py`.
#[derive(Deserialize)]
struct Case {
    name: String,
    texts: Vec<String>,
    vocabulary_size: usize,
    min_frequency: u64,
    merges: Vec<String>,
    tokens: u32,
    ids: Vec<Vec<u32>>,
}

fn learn(case: &Case) -> Gpt2Tokenizer {
    let trainer = TokenizerTrainer::new(case.vocabulary_size).unwrap();
    trainer.with_min_frequency(case.min_frequency).trained_on(&case.texts).unwrap()
}

fn rules(tokenizer: &Gpt2Tokenizer) -> Vec<String> {
    tokenizer.merges().iter().map(|(left, right)| format!("{left} {right}")).collect()
}

fn small() -> Gpt2Tokenizer {
    Gpt2Tokenizer::train(["the cat sat on the mat", "the hat"], 270).unwrap()
}

#[test]
fn the_vocabulary_is_that_of_the_python_library() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../training/expected.json")).unwrap();
    assert!(cases.iter().any(|case| case.merges.len() > 50), "the cases are worth something");
    for case in cases {
        let tokenizer = learn(&case);
        assert_eq!(rules(&tokenizer), case.merges, "{}", case.name);
        assert_eq!(tokenizer.tokenize_batch(&case.texts).unwrap(), case.ids, "{}", case.name);
        assert_eq!(tokenizer.end_token_id(), case.tokens, "`<|endoftext|>` comes last");
        assert_eq!(tokenizer.vocabulary_size() as u32, case.tokens + 1);
    }
}

#[test]
fn ids_are_laid_out_as_in_gpt2() {
    let tokenizer = small();
    assert_eq!(tokenizer.id_to_token(0).unwrap(), "!");
    assert_eq!(tokenizer.id_to_token(220).unwrap(), "Ġ");
    assert_eq!(tokenizer.tokenize("<|endoftext|>").unwrap(), [tokenizer.end_token_id()]);
    assert_eq!(tokenizer.end_token_id(), tokenizer.max_token_id());
    assert_eq!(tokenizer.tokenize("the").unwrap().len(), 1);
}

#[test]
fn the_order_of_the_texts_does_not_matter() {
    let again = Gpt2Tokenizer::train(["the hat", "the cat sat on the mat"], 270).unwrap();
    assert_eq!(rules(&again), rules(&small()));
    assert_eq!(again.vocabulary(), small().vocabulary());
}

#[test]
fn a_text_may_spell_the_special_token_without_teaching_it() {
    let texts = ["<|endoftext|>ab<|endoftext|>ab<|endoftext|>"];
    let tokenizer = Gpt2Tokenizer::train(texts, 300).unwrap();
    assert_eq!(rules(&tokenizer), ["a b"]);
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    for size in [0, 256, 1_000_001] {
        let message = TokenizerTrainer::new(size).unwrap_err().to_string();
        assert!(message.contains(&format!("found {size};")), "{message}");
    }
    assert!(Gpt2Tokenizer::train(["x"], 257).is_ok());
    for texts in [&[][..], &["", "<|endoftext|>"]] {
        let error = Gpt2Tokenizer::train(texts, 300).unwrap_err();
        assert!(matches!(error, TokenizerError::NoTrainingText), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_text_round_trips(text in r"(the|\PC|\s|[\x00-\x1f]){0,20}") {
        let tokenizer = small();
        let ids = tokenizer.tokenize(&text).unwrap();
        prop_assert_eq!(tokenizer.detokenize(&ids).unwrap(), text);
    }
}
