//! Texts to ids and back, as with KerasHub's `GPT2CausalLMPreprocessor`.

use gpt2_task::{
    Gpt2CausalLmPreprocessor, PreprocessorConfig, TaskError, TokenBatch, TokenId, Truncate,
};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, SplitPattern};
use serde_json::Value;

use crate::golden::{CASES, Case, FORMATS, id_rows, mask_rows, preset, strings};

/// Calls `check` with the tokenizer of every case, with OpenAI's and with KerasHub's settings.
fn each(mut check: impl FnMut(&Case, &Gpt2Tokenizer, &str)) {
    for name in CASES {
        let case = Case::read(name);
        for format in FORMATS {
            let tokenizer = preset(&format!("{name}/{format}")).tokenizer().unwrap();
            for split in [SplitPattern::OpenAi, SplitPattern::KerasHub] {
                let config = Gpt2TokenizerConfig::new().with_split(split);
                let tokenizer = tokenizer.with_config(config).unwrap();
                check(&case, &tokenizer, &format!("{name}/{format}, {split:?}"));
            }
        }
    }
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().map(|number| number as usize)
}

fn batch(case: &Value) -> TokenBatch {
    TokenBatch::new(id_rows(&case["token_ids"]), mask_rows(&case["padding_mask"])).unwrap()
}

#[test]
fn training_batches_equal_keras_hub() {
    each(|case, tokenizer, place| {
        let golden = &case.json["preprocessor"];
        let texts = strings(&golden["texts"]);
        assert_eq!(tokenizer.tokenize_batch(&texts).unwrap(), id_rows(&golden["tokens"]));
        for expected in golden["call"].as_array().unwrap() {
            let config = PreprocessorConfig::new()
                .with_sequence_length(number(&expected["sequence_length"]).unwrap())
                .with_add_start_token(expected["add_start_token"].as_bool().unwrap())
                .with_add_end_token(expected["add_end_token"].as_bool().unwrap());
            let place = format!("{place}: {config:?}");
            let length = config.sequence_length;
            let mut preprocessor =
                Gpt2CausalLmPreprocessor::new(tokenizer.clone(), config).unwrap();
            let found = preprocessor.preprocess(&texts).unwrap();
            assert_eq!(found.x, batch(expected), "{place}");
            assert_eq!(found.y, id_rows(&expected["y"]), "{place}");
            let real: Vec<Vec<bool>> = found
                .sample_weight
                .iter()
                .map(|row| row.iter().map(|&weight| weight == 1.0).collect())
                .collect();
            assert_eq!(real, mask_rows(&expected["sample_weight"]), "{place}");

            // Another length, then the original one: as an argument, and as a setting.
            preprocessor.set_sequence_length(length + 1).unwrap();
            assert_eq!(preprocessor.preprocess_to(&texts, length).unwrap(), found, "{place}");
            assert_ne!(preprocessor.preprocess(&texts).unwrap(), found, "{place}");
            preprocessor.set_sequence_length(length).unwrap();
            assert_eq!(preprocessor.preprocess(&texts).unwrap(), found, "{place}");
        }
    });
}

/// A row of tokens, truncated on the right and padded.
fn packed(tokens: &[TokenId], length: usize) -> (Vec<TokenId>, Vec<bool>) {
    let mut ids = tokens[..tokens.len().min(length)].to_vec();
    let mut mask = vec![true; ids.len()];
    ids.resize(length, 0);
    mask.resize(length, false);
    (ids, mask)
}

/// Two differences are deliberate: `add_start_token` applies here too, and prompts are truncated
/// only on request.
#[test]
fn generation_batches_equal_keras_hub() {
    each(|case, tokenizer, place| {
        let golden = &case.json["preprocessor"];
        let texts = strings(&golden["texts"]);
        let tokens = id_rows(&golden["tokens"]);
        for expected in golden["generate_preprocess"].as_array().unwrap() {
            let config = PreprocessorConfig::new()
                .with_sequence_length(number(&expected["preprocessor_sequence_length"]).unwrap())
                .with_add_start_token(expected["add_start_token"].as_bool().unwrap())
                .with_add_end_token(true);
            let add_start_token = config.add_start_token;
            let sequence_length = number(&expected["sequence_length"]);
            let length = sequence_length.unwrap_or(config.sequence_length);
            let place = format!("{place}: {config:?}, {sequence_length:?}");
            let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer.clone(), config).unwrap();

            let right = Some(Truncate::Right);
            let cut = preprocessor.generate_preprocess_with(&texts, length, right).unwrap();
            let expected = if add_start_token {
                batch(expected)
            } else {
                let (ids, mask): (Vec<_>, Vec<_>) =
                    tokens.iter().map(|row| packed(row, length)).unzip();
                TokenBatch::new(ids, mask).unwrap()
            };
            assert_eq!(cut, expected, "{place}");

            let added = usize::from(add_start_token);
            let too_long = tokens.iter().position(|row| row.len() + added > length);
            let uncut = match sequence_length {
                Some(length) => preprocessor.generate_preprocess_with(&texts, length, None),
                None => preprocessor.generate_preprocess(&texts),
            };
            match (uncut, too_long) {
                (Ok(uncut), None) => assert_eq!(uncut, expected, "{place}"),
                (Err(TaskError::PromptTooLong { row, tokens: found, max_length }), Some(first)) => {
                    let expected = (first, tokens[first].len() + added, length);
                    assert_eq!((row, found, max_length), expected, "{place}");
                }
                (other, _) => panic!("{place}: {other:?}"),
            }
        }
    });
}

#[test]
fn generated_ids_become_texts_as_in_keras_hub() {
    each(|case, tokenizer, place| {
        let config = PreprocessorConfig::default();
        let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer.clone(), config).unwrap();
        for golden in case.json["preprocessor"]["generate_postprocess"].as_array().unwrap() {
            let found = preprocessor.generate_postprocess(&batch(golden)).unwrap();
            assert_eq!(found, strings(&golden["texts"]), "{place}");
        }
    });
}

#[test]
fn a_preset_brings_its_own_settings() {
    for name in CASES {
        let case = Case::read(name);
        let positions = number(&case.json["config"]["max_sequence_length"]).unwrap();
        for format in FORMATS {
            let preprocessor = preset(&format!("{name}/{format}")).preprocessor().unwrap();
            let config = PreprocessorConfig::new().with_sequence_length(positions);
            assert_eq!(preprocessor.config(), &config, "{name}/{format}");
            let tokenizer = preprocessor.tokenizer();
            for (key, id) in [
                ("start_token_id", tokenizer.start_token_id()),
                ("end_token_id", tokenizer.end_token_id()),
                ("pad_token_id", tokenizer.pad_token_id()),
            ] {
                assert_eq!(u64::from(id), case.json[key], "{name}/{format}: {key}");
            }
        }
    }
}
