//! Behaviour that KerasHub's gpt2_tokenizer_test and byte_pair_tokenizer_test require.

use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SpecialText, SplitPattern, UnknownBytes, Vocabulary,
};

use crate::airplane::{self, SENTENCE_IDS};
use crate::common::gpt2;

fn config() -> Gpt2TokenizerConfig {
    Gpt2TokenizerConfig::new()
}

fn keras_hub_split() -> Gpt2Tokenizer {
    gpt2(config().with_split(SplitPattern::KerasHub))
}

#[test]
fn batches_become_ids_and_come_back() {
    for split in [SplitPattern::OpenAi, SplitPattern::KerasHub] {
        let tokenizer = airplane::tokenizer(config().with_split(split));
        let texts = [" airplane at airport<|endoftext|>", " airplane airport"];
        let ids = tokenizer.tokenize_batch(&texts).unwrap();
        assert_eq!(ids, [SENTENCE_IDS.to_vec(), vec![23, 14, 23, 16]]);
        assert_eq!(tokenizer.detokenize_batch(&ids).unwrap(), texts);
    }
}

#[test]
fn special_tokens_have_keras_hubs_ids() {
    let tokenizer = airplane::tokenizer(config());
    assert_eq!((tokenizer.start_token_id(), tokenizer.end_token_id()), (30, 30));
    assert_eq!(tokenizer.pad_token_id(), 0);
    assert_eq!(tokenizer.special_tokens(), ["<|endoftext|>"]);
    assert_eq!(tokenizer.special_token_ids(), [30]);
    let tokenizer = gpt2(config());
    assert_eq!((tokenizer.start_token_id(), tokenizer.end_token_id()), (50256, 50256));
    assert_eq!((tokenizer.vocabulary_size(), tokenizer.max_token_id()), (50257, 50256));
}

#[test]
fn the_preset_tokenizes_the_quick_brown_fox() {
    let ids = [464, 2068, 7586, 21831, 13];
    for split in [SplitPattern::OpenAi, SplitPattern::KerasHub] {
        let tokenizer = gpt2(config().with_split(split));
        assert_eq!(tokenizer.tokenize("The quick brown fox.").unwrap(), ids);
        assert_eq!(tokenizer.detokenize(&ids).unwrap(), "The quick brown fox.");
    }
}

#[test]
fn tokens_are_also_given_as_strings() {
    let tokenizer = gpt2(config());
    let tokens = tokenizer.tokenize_to_strings("quick brown fox.").unwrap();
    assert_eq!(tokens, ["quick", "Ġbrown", "Ġfox", "."]);
    let padded = tokenizer.with_config(config().with_sequence_length(3)).unwrap();
    assert_eq!(padded.tokenize_to_strings("quick").unwrap(), ["quick", "!", "!"]);
}

#[test]
fn a_prefix_space_makes_the_first_word_like_the_others() {
    for split in [SplitPattern::OpenAi, SplitPattern::KerasHub] {
        let tokenizer = gpt2(config().with_add_prefix_space(true).with_split(split));
        assert_eq!(tokenizer.tokenize_to_strings("brown.").unwrap(), ["Ġbrown", "."]);
        assert_eq!(tokenizer.tokenize_to_strings(" brown.").unwrap(), ["Ġbrown", "."]);
        assert!(tokenizer.tokenize("").unwrap().is_empty());
        let tokens = tokenizer.tokenize_to_strings("a<|endoftext|>b").unwrap();
        assert_eq!(tokens, ["Ġa", "<|endoftext|>", "Ġb"]);
    }
}

#[test]
fn unsplittable_tokens_are_not_merged() {
    let pairs = [("sp", 0), ("s", 1), ("p", 2), ("<|endoftext|>", 3)];
    let tokenizer = |tokens: &[&str]| {
        let config = config().with_unsplittable_tokens(tokens.iter().copied());
        let merges = Merges::from_rules(["s p"]).unwrap();
        Gpt2Tokenizer::new(Vocabulary::from_pairs(pairs).unwrap(), merges, config).unwrap()
    };
    assert_eq!(tokenizer(&["s", "p"]).tokenize("sp").unwrap(), [1, 2]);
    assert_eq!(tokenizer(&[]).tokenize("sp").unwrap(), [0]);
}

#[test]
fn sequences_are_cut_and_padded() {
    let tokenizer = airplane::tokenizer(config().with_sequence_length(5));
    let ids = tokenizer.tokenize_batch(&[" airplane at airport<|endoftext|>", " airport"]).unwrap();
    assert_eq!(ids, [[23, 14, 24, 23, 16], [23, 16, 0, 0, 0]]);
    assert_eq!(tokenizer.tokenize("").unwrap(), [0; 5]);
}

#[test]
fn a_merged_vocabulary_of_the_docstring() {
    let rules = ["b u", "t t", "e r", "bu tt", "butt er", "f l", "fl y"];
    let tokens = [
        "b",
        "bu",
        "butt",
        "butter",
        "e",
        "er",
        "f",
        "fl",
        "fly",
        "l",
        "r",
        "t",
        "tt",
        "u",
        "y",
        "<|endoftext|>",
    ];
    let vocabulary = Vocabulary::from_pairs(tokens.into_iter().zip(0..)).unwrap();
    let merges = Merges::from_rules(rules).unwrap();
    let tokenizer = Gpt2Tokenizer::new(vocabulary, merges, config()).unwrap();
    assert_eq!(tokenizer.tokenize_batch(&["butterfly", "butter"]).unwrap(), [vec![3, 8], vec![3]]);
    assert_eq!(tokenizer.detokenize(&[3, 8]).unwrap(), "butterfly");
}

/// Ids of KerasHub 0.32's pipeline, run in Python with GPT-2's vocabulary.
#[test]
fn keras_hubs_split_gives_keras_hubs_ids() {
    let tokenizer = keras_hub_split();
    for (text, ids) in [
        ("a\n\nb", &[64, 628, 65][..]),
        (" 'so", &[220, 338, 78]),
        ("don't 'tis", &[9099, 470, 220, 470, 271]),
        ("\n\n\n  s", &[628, 198, 220, 264]),
        ("  \n\n\ns", &[220, 220, 628, 198, 82]),
        ("Hello\n\nHello", &[15496, 628, 15496]),
        ("Hello\n\n\n\nHello", &[15496, 628, 628, 15496]),
        ("Hello\n\n", &[15496, 628]),
        ("\u{a0} \u{a0} 000 s", &[1849, 5624, 12877, 264]),
        ("  <|endoftext|>  x", &[220, 220, 50256, 220, 2124]),
        ("2019 12345", &[23344, 17031, 2231]),
        ("a    b", &[64, 220, 220, 220, 275]),
    ] {
        assert_eq!(tokenizer.tokenize(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.detokenize(ids).unwrap(), text);
    }
}

#[test]
fn openais_split_is_the_default() {
    let tokenizer = gpt2(config());
    for (text, ids) in [
        ("a\n\nb", &[64, 198, 198, 65][..]),
        (" 'so", &[705, 568]),
        ("don't 'tis", &[9099, 470, 705, 48010]),
        ("Hello\n\nHello", &[15496, 198, 198, 15496]),
        ("Hello\n\n\n\nHello", &[15496, 628, 198, 198, 15496]),
    ] {
        assert_eq!(tokenizer.tokenize(text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn special_text_is_parsed_or_ordinary() {
    let tokenizer = gpt2(config());
    assert_eq!(tokenizer.tokenize("<|endoftext|>").unwrap(), [50256]);
    for split in [SplitPattern::OpenAi, SplitPattern::KerasHub] {
        let ordinary = config()
            .with_special_text(SpecialText::Ordinary)
            .with_unsplittable_tokens(["<|endoftext|>"])
            .with_split(split);
        let ordinary = tokenizer.with_config(ordinary).unwrap();
        let ids = ordinary.tokenize("<|endoftext|>").unwrap();
        assert_eq!(ids, [27, 91, 437, 1659, 5239, 91, 29]);
        assert_eq!(ordinary.detokenize(&ids).unwrap(), "<|endoftext|>");
    }
}

#[test]
fn unknown_bytes_are_dropped_only_on_demand() {
    let tokenizer = airplane::tokenizer(config().with_unknown(UnknownBytes::Drop));
    assert_eq!(tokenizer.tokenize(" air\u{e9}plane\n").unwrap(), [23, 14]);
    assert!(airplane::tokenizer(config()).tokenize(" air\u{e9}").is_err());
}

/// Keys of KerasHub's `get_config`. Other keys of its files do not matter.
#[test]
fn the_config_round_trips_under_keras_hubs_keys() {
    let json = r#"{"name": "gpt2_tokenizer", "trainable": true, "dtype": {"class_name": "x"},
        "sequence_length": null, "add_prefix_space": true, "unsplittable_tokens": null}"#;
    let config: Gpt2TokenizerConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config, Gpt2TokenizerConfig::new().with_add_prefix_space(true));

    let config = config
        .with_sequence_length(7)
        .with_unsplittable_tokens(["at"])
        .with_split(SplitPattern::KerasHub)
        .with_special_text(SpecialText::Ordinary)
        .with_unknown(UnknownBytes::Drop);
    let value = serde_json::to_value(&config).unwrap();
    let expected = serde_json::json!({
        "sequence_length": 7, "add_prefix_space": true, "unsplittable_tokens": ["at"],
        "split": "keras_hub", "special_text": "ordinary", "unknown": "drop",
    });
    assert_eq!(value, expected);
    assert_eq!(serde_json::from_value::<Gpt2TokenizerConfig>(value).unwrap(), config);
}

/// A vocabulary may contain a token that its merges never produce. The shortcut for whole words
/// must not produce it either.
#[test]
fn tokens_that_no_merge_makes_are_not_produced() {
    let pairs = [("a", 0), ("b", 1), ("ab", 2), ("<|endoftext|>", 3)];
    let vocabulary = Vocabulary::from_pairs(pairs).unwrap();
    let tokenizer = Gpt2Tokenizer::new(vocabulary, Merges::default(), config()).unwrap();
    for _ in 0..2 {
        assert_eq!(tokenizer.tokenize("ab").unwrap(), [0, 1]);
    }
}

#[test]
fn a_tokenizer_crosses_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let tokenizer = airplane::tokenizer(config());
    shared(&tokenizer);
    let other = tokenizer.clone();
    let there = std::thread::spawn(move || other.tokenize(" airplane").unwrap()).join().unwrap();
    assert_eq!(there, tokenizer.tokenize(" airplane").unwrap());
    assert!(format!("{tokenizer:?}").contains("vocabulary_size: 31"));
}
