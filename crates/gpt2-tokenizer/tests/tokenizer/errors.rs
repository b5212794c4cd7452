//! Every error that needs no file: its variant, and the words of its remedy.

use std::error::Error;

use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SpecialText, TokenizerError, Vocabulary,
};

use crate::airplane;

fn config() -> Gpt2TokenizerConfig {
    Gpt2TokenizerConfig::new()
}

/// Asserts the variant, and that its message or that of its cause contains each of the `words`.
macro_rules! assert_error {
    ($result:expr, $variant:pat, $($words:literal),+) => {
        let error = $result.unwrap_err();
        assert!(matches!(error, $variant), "{error:?}");
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = format!("{error}{cause}");
        $(assert!(message.contains($words), "{message}");)+
    };
}

#[test]
fn vocabularies_that_are_no_objects() {
    let deep = "[".repeat(100_000);
    let deep_id = format!(r#"{{"a": {deep}"#);
    for json in ["", "[1]", "3", r#"{"a": 0"#, r#"{"a": 0} x"#, r#"{0: 1}"#, &deep, &deep_id] {
        assert_error!(
            Vocabulary::from_json(json),
            TokenizerError::VocabularySyntax { .. },
            "JSON object",
            "vocabulary.json"
        );
    }
}

#[test]
fn ids_that_are_no_ids() {
    for (id, found) in [
        ("1.5", "1.5"),
        ("1.0", "1.0"),
        ("-1", "-1"),
        ("\"7\"", "the text \"7\""),
        ("null", "null"),
        ("true", "true"),
        ("[1, [2]]", "a list"),
        ("{\"b\": 1}", "an object"),
    ] {
        let result = Vocabulary::from_json(&format!("{{\"a\": {id}}}"));
        match result.unwrap_err() {
            TokenizerError::InvalidId { token, found: text } => {
                assert_eq!(token, "a");
                assert!(text.contains(found), "{text}");
            }
            error => panic!("{error}"),
        }
    }
    assert_error!(
        Vocabulary::from_json(r#"{"a": 1.5}"#),
        TokenizerError::InvalidId { .. },
        "\"a\"",
        "1.5",
        "whole number"
    );
}

#[test]
fn ids_out_of_bounds_or_repeated() {
    for id in ["1000000", "18446744073709551615"] {
        assert_error!(
            Vocabulary::from_json(&format!("{{\"a\": {id}}}")),
            TokenizerError::IdTooLarge { limit: 999_999, .. },
            "at most 999999"
        );
    }
    assert_error!(
        Vocabulary::from_json(r#"{"a": 0, "b": 1, "a": 2}"#),
        TokenizerError::DuplicateToken { .. },
        "\"a\"",
        "twice"
    );
    assert_error!(
        Vocabulary::from_pairs([("a", 3), ("b", 3)]),
        TokenizerError::DuplicateId { id: 3, .. },
        "\"a\"",
        "\"b\"",
        "id 3"
    );
}

#[test]
fn a_vocabulary_without_the_special_token() {
    for vocabulary in [Vocabulary::from_pairs([("a", 0)]), Vocabulary::from_json("{}")] {
        assert_error!(
            Gpt2Tokenizer::new(vocabulary.unwrap(), Merges::default(), config()),
            TokenizerError::MissingSpecialToken { .. },
            "Cannot find special token `'<|endoftext|>'` in the provided vocabulary"
        );
    }
}

#[test]
fn merges_that_are_no_pairs() {
    for line in ["ab", "a b c", "a  b", " a b"] {
        assert_error!(
            Merges::parse(&format!("#version: 0.2\n\na b\r\n{line}\n")),
            TokenizerError::MergeSyntax { line: 4, .. },
            "line 4",
            "two tokens"
        );
    }
}

#[test]
fn merges_of_another_vocabulary() {
    for (rule, missing) in [("z a", "z"), ("a z", "z"), ("t h", "th")] {
        let merges = Merges::parse(&format!("#version: 0.2\n{rule}")).unwrap();
        match Gpt2Tokenizer::new(airplane::vocabulary(), merges, config()).unwrap_err() {
            TokenizerError::MergeNotInVocabulary { line: 2, rule: found, token } => {
                assert_eq!((found.as_str(), token.as_str()), (rule, missing));
            }
            error => panic!("{error}"),
        }
    }
    let merges = Merges::from_rules(["z a"]).unwrap();
    assert_error!(
        Gpt2Tokenizer::new(airplane::vocabulary(), merges, config()),
        TokenizerError::MergeNotInVocabulary { line: 1, .. },
        "line 1",
        "\"z a\"",
        "not in the vocabulary"
    );
}

#[test]
fn options_out_of_range() {
    let tokenizer = airplane::tokenizer(config());
    assert_error!(
        tokenizer.with_config(config().with_sequence_length(0)),
        TokenizerError::SequenceLengthZero,
        "sequence_length",
        "at least 1"
    );
    for token in ["", "zeppelin"] {
        assert_error!(
            tokenizer.with_config(config().with_unsplittable_tokens([token])),
            TokenizerError::UnsplittableToken { .. },
            "unsplittable"
        );
    }
}

#[test]
fn characters_that_the_vocabulary_lacks() {
    let tokenizer = airplane::tokenizer(config().with_add_prefix_space(true));
    assert_error!(
        tokenizer.tokenize(" air<|endoftext|>plané"),
        TokenizerError::UnknownByte { character: 'é', position: 21, byte: 0xC3 },
        "'é' at byte 21",
        "0xc3",
        "UnknownBytes::Drop"
    );
    assert_error!(
        tokenizer.tokenize_batch(&[" air", " Air"]),
        TokenizerError::InBatch { row: 1, .. },
        "row 1",
        "'A'"
    );
    // With several threads, too, the error is that of the first row.
    let mut rows = vec![" air".repeat(10_000); 20];
    rows[7] = "a".repeat(100_000) + "A";
    rows[18] = "B".into();
    assert_error!(
        tokenizer.tokenize_batch(&rows),
        TokenizerError::InBatch { row: 7, .. },
        "row 7",
        "'A'"
    );
}

#[test]
fn special_text_where_it_is_forbidden() {
    let tokenizer = airplane::tokenizer(config().with_special_text(SpecialText::Error));
    assert_eq!(tokenizer.tokenize(" air").unwrap(), [23]);
    assert_error!(
        tokenizer.tokenize(" air<|endoftext|>"),
        TokenizerError::SpecialTokenInText { position: 4, .. },
        "<|endoftext|>",
        "byte 4"
    );
}

#[test]
fn ids_and_tokens_that_do_not_exist() {
    let tokenizer = airplane::tokenizer(config());
    for id in [31, u32::MAX] {
        assert_error!(
            tokenizer.id_to_token(id),
            TokenizerError::IdOutOfRange { vocabulary_size: 31, max_token_id: 30, .. },
            "out of vocabulary range",
            "31 tokens"
        );
        assert!(tokenizer.detokenize(&[0, id]).is_err());
        assert!(tokenizer.detokenize_skip_special(&[0, id]).is_err());
        assert!(tokenizer.decode_bytes(&[id]).is_err());
        let mut stream = tokenizer.decode_stream(true);
        assert!(stream.push(id).is_err());
        assert_eq!(stream.push(0).unwrap().as_deref(), Some("a"));
    }
    assert_error!(
        tokenizer.detokenize_batch(&[vec![0], vec![31]]),
        TokenizerError::InBatch { row: 1, .. },
        "row 1"
    );
    assert_error!(
        tokenizer.token_to_id("zeppelin"),
        TokenizerError::TokenNotInVocabulary { .. },
        "zeppelin",
        "not in the vocabulary"
    );
}
