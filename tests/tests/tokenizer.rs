//! Token ids of the golden texts: OpenAI's by default, KerasHub's on request.

use gpt2_presets::FromPreset;
use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SpecialText, SplitPattern, UnknownBytes, Vocabulary,
};
use serde_json::Value;

use crate::golden::{id_rows, ids, json, path, strings};

/// GPT-2's own vocabulary, from a preset of the transformers library.
fn gpt2() -> Gpt2Tokenizer {
    let folder = path("gpt2_vocabulary/transformers");
    Gpt2Tokenizer::from_preset(folder.to_str().unwrap()).unwrap()
}

fn keras_hub() -> Gpt2Tokenizer {
    let config = Gpt2TokenizerConfig::new().with_split(SplitPattern::KerasHub);
    gpt2().with_config(config).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn ids_equal_openai_by_default() {
    let golden = json("tokenizer/transformers_expected.json");
    let tokenizer = gpt2();
    let ordinary = Gpt2TokenizerConfig::new().with_special_text(SpecialText::Ordinary);
    let ordinary = tokenizer.with_config(ordinary).unwrap();
    for probe in list(&golden["gpt2"]) {
        let text = probe["text"].as_str().unwrap();
        let found = tokenizer.tokenize(text).unwrap();
        assert_eq!(found, ids(&probe["ids"]), "{text:?}");
        assert_eq!(tokenizer.detokenize(&found).unwrap(), probe["detokenized"], "{text:?}");
        let special_as_text = ids(&probe["ids_special_as_text"]);
        assert_eq!(ordinary.tokenize(text).unwrap(), special_as_text, "{text:?}");
    }
}

#[test]
fn ids_equal_keras_hub_with_its_split() {
    let golden = json("tokenizer/expected.json");
    let tokenizer = keras_hub();
    for probe in list(&golden["gpt2"]) {
        let text = probe["text"].as_str().unwrap();
        let found = tokenizer.tokenize(text).unwrap();
        assert_eq!(found, ids(&probe["ids"]), "{text:?}");
        assert_eq!(tokenizer.detokenize(&found).unwrap(), probe["detokenized"], "{text:?}");
    }
    let batch = &golden["batch"];
    let found = tokenizer.tokenize_batch(&strings(&batch["texts"])).unwrap();
    assert_eq!(found, id_rows(&batch["ids"]));
    for loose in list(&golden["detokenize"]) {
        assert_eq!(tokenizer.detokenize(&ids(&loose["ids"])).unwrap(), loose["text"], "{loose}");
    }
}

#[test]
fn the_two_ways_differ_where_the_golden_files_say_so() {
    let golden = json("tokenizer/transformers_expected.json");
    let (openai, keras_hub) = (gpt2(), keras_hub());
    for probe in list(&golden["gpt2"]) {
        let text = probe["text"].as_str().unwrap();
        let same = openai.tokenize(text).unwrap() == keras_hub.tokenize(text).unwrap();
        assert_eq!(same, probe["same_as_keras_hub"], "{text:?}");
    }
}

#[test]
fn every_format_of_the_vocabulary_gives_the_same_tokenizer() {
    let golden = json("tokenizer/transformers_expected.json");
    let folder = path("gpt2_vocabulary/keras");
    let keras = Gpt2Tokenizer::from_preset(folder.to_str().unwrap()).unwrap();
    for probe in list(&golden["gpt2"]) {
        let text = probe["text"].as_str().unwrap();
        assert_eq!(keras.tokenize(text).unwrap(), ids(&probe["ids"]), "{text:?}");
    }
}

/// Tokenizer with the golden file's own small vocabulary, which drops unknown characters.
fn small(golden: &Value, more: &[(&str, u32)], config: Gpt2TokenizerConfig) -> Gpt2Tokenizer {
    let vocabulary = golden["vocabulary"].as_object().unwrap().iter();
    let mut pairs: Vec<_> =
        vocabulary.map(|(token, id)| (token.clone(), id.as_u64().unwrap() as u32)).collect();
    pairs.extend(more.iter().map(|(token, id)| ((*token).to_owned(), *id)));
    let vocabulary = Vocabulary::from_pairs(pairs).unwrap();
    let merges = Merges::from_rules(strings(&golden["merges"])).unwrap();
    Gpt2Tokenizer::new(vocabulary, merges, config.with_unknown(UnknownBytes::Drop)).unwrap()
}

#[test]
fn a_small_vocabulary_gives_keras_hubs_ids() {
    let golden = &json("tokenizer/expected.json")["airplane"];
    for case in list(&golden["cases"]) {
        for split in [SplitPattern::KerasHub, SplitPattern::OpenAi] {
            // KerasHub's arguments are the options' keys, except for `dtype`.
            let config: Gpt2TokenizerConfig =
                serde_json::from_value(case["arguments"].clone()).unwrap();
            let tokenizer = small(golden, &[], config.with_split(split));
            let (texts, place) = (strings(&case["texts"]), format!("{}, {split:?}", case["label"]));
            if case["arguments"]["dtype"] == "string" {
                let found: Result<Vec<_>, _> =
                    texts.iter().map(|text| tokenizer.tokenize_to_strings(text)).collect();
                let expected: Vec<_> = list(&case["outputs"]).iter().map(strings).collect();
                assert_eq!(found.unwrap(), expected, "{place}");
                continue;
            }
            let found = tokenizer.tokenize_batch(&texts).unwrap();
            assert_eq!(found, id_rows(&case["outputs"]), "{place}");
            let detokenized = tokenizer.detokenize_batch(&found).unwrap();
            assert_eq!(detokenized, strings(&case["detokenized"]), "{place}");
        }
    }
}

#[test]
fn unsplittable_tokens_give_keras_hubs_ids() {
    let golden = &json("tokenizer/expected.json")["byte_pair"];
    for case in list(&golden["cases"]) {
        for split in [SplitPattern::KerasHub, SplitPattern::OpenAi] {
            let unsplittable = strings(&case["unsplittable_tokens"]);
            let config =
                Gpt2TokenizerConfig::new().with_unsplittable_tokens(unsplittable).with_split(split);
            // GPT-2's tokenizer needs its special token, KerasHub's general one does not.
            let tokenizer = small(golden, &[("<|endoftext|>", 6)], config);
            let found = tokenizer.tokenize_batch(&strings(&case["texts"])).unwrap();
            assert_eq!(found, id_rows(&case["outputs"]), "{case}, {split:?}");
        }
    }
}
