//! Generation: ids, masks, texts and beams of every sampler equal KerasHub's.

use std::ops::ControlFlow;

use gpt2_task::samplers::{self, BeamSampler, GreedySampler, RaggedBeams, SamplerConfig};
use gpt2_task::{
    Beam, Decoding, GenerateOptions, Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig,
    SearchStrategy, StopTokenIds, TaskError, TokenBatch, TokenEvent, TokenId, Truncate,
};
use serde_json::{Value, json};

use crate::golden::{
    CASES, Case, FORMATS, TOLERANCE, Tensors, check_within, id_rows, ids, row, strings,
};
use crate::tiny;

/// Sums of log probabilities over twenty steps reach 100, where 32-bit floats are 8e-6 apart.
const RELATIVE_TOLERANCE: f32 = 1e-5;

/// The sampler of an entry in `generation`.
fn sampler(entry: &Value) -> SamplerConfig {
    let name = match entry["class"].as_str().unwrap() {
        "GreedySampler" => "greedy",
        "BeamSampler" => "beam",
        "ContrastiveSampler" => "contrastive",
        "TopKSampler" => "top_k",
        "TopPSampler" => "top_p",
        "RandomSampler" => "random",
        other => panic!("unknown sampler {other}"),
    };
    let mut config = entry["arguments"].clone();
    config["name"] = Value::from(name);
    serde_json::from_value(config).unwrap()
}

/// Calls `check` for every sampler of every case, with a model that is compiled with it.
fn each(format: &str, mut check: impl FnMut(&Case, &mut Gpt2CausalLm, &str, &Value)) {
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.model(format);
        for (sampler_name, entry) in case.json["generation"].as_object().unwrap() {
            model.compile(sampler(entry).build()).unwrap();
            check(&case, &mut model, sampler_name, entry);
        }
    }
}

fn stop_at(stop: Option<&Value>) -> StopTokenIds {
    stop.map_or(StopTokenIds::None, |stop| StopTokenIds::Ids(ids(stop)))
}

fn continue_always(_: TokenEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Generates from token ids.
fn generate(model: &mut Gpt2CausalLm, prompts: &TokenBatch, stop: Option<&Value>) -> TokenBatch {
    let options = GenerateOptions::new().with_stop_token_ids(stop_at(stop));
    model.generate(prompts, &options).unwrap()
}

/// Compares ids and mask with those in `<sampler>.<label>_ids` and `_mask`.
fn check_stopped(
    case: &Case,
    model: &mut Gpt2CausalLm,
    prompts: &TokenBatch,
    sampler: &str,
    label: &str,
    stop: &Value,
) {
    let found = generate(model, prompts, Some(stop));
    let key = |part: &str| format!("{sampler}.{label}_{part}");
    let expected = case.tensors.batch(&key("ids"), &key("mask"));
    assert_eq!(found, expected, "{}: {sampler} until {stop}, {label}", case.name);
}

#[test]
fn ids_of_ragged_and_equal_prompts_equal_keras_hub_in_both_formats() {
    for format in FORMATS {
        each(format, |case, model, sampler, _| {
            let ragged = generate(model, &case.ragged_prompts(), None);
            let keys = (format!("{sampler}.ids"), format!("{sampler}.mask"));
            assert_eq!(ragged, case.tensors.batch(&keys.0, &keys.1), "{}: {sampler}", case.name);

            let equal = generate(model, &case.equal_prompts(), None);
            let expected = case.tensors.ids(&format!("{sampler}.equal_ids"));
            assert_eq!(equal.token_ids(), expected, "{}: {sampler}, equal", case.name);
            assert!(equal.padding_mask().concat().iter().all(|&real| real));
        });
    }
}

#[test]
fn ids_of_a_prompt_alone_equal_keras_hub() {
    each("keras", |case, model, sampler, _| {
        let expected = case.tensors.ids(&format!("{sampler}.alone_ids"));
        for (index, expected) in expected.iter().enumerate() {
            let alone = generate(model, &row(&case.ragged_prompts(), index), None);
            assert_eq!(&alone.token_ids()[0], expected, "{}: {sampler} {index}", case.name);
        }
    });
}

#[test]
fn stop_ids_end_rows_and_generation_as_in_keras_hub() {
    each("keras", |case, model, sampler, entry| {
        for label in ["stop_some", "stop_all"] {
            let Some(stop) = entry.get(label) else { continue };
            check_stopped(case, model, &case.ragged_prompts(), sampler, label, stop);
        }
    });
}

#[test]
fn stop_ids_end_a_prompt_alone_as_in_keras_hub() {
    each("keras", |case, model, sampler, entry| {
        let Some(stop) = entry.get("stop_all") else { return };
        let keys = ["ids", "mask"].map(|part| format!("{sampler}.alone_stop_all_{part}"));
        let expected = case.tensors.batch(&keys[0], &keys[1]);
        for index in 0..expected.batch_size() {
            let found = generate(model, &row(&case.ragged_prompts(), index), Some(stop));
            assert_eq!(found, row(&expected, index), "{}: {sampler} {index}", case.name);
        }
    });
}

#[test]
fn texts_equal_keras_hub() {
    each("keras", |case, model, sampler, entry| {
        let options = GenerateOptions::new().with_max_length(case.max_length());
        let texts = entry.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("texts"));
        for (key, expected) in texts {
            let strip_prompt = key.ends_with("_strip_prompt");
            let stop = match key.strip_suffix("_strip_prompt").unwrap_or(key) {
                "texts" => StopTokenIds::None,
                "texts_stop_some" => stop_at(Some(&entry["stop_some"])),
                "texts_stop_all" => stop_at(Some(&entry["stop_all"])),
                "texts_auto_stop" => StopTokenIds::Auto,
                other => panic!("unknown key {other}"),
            };
            let options = options.clone().with_stop_token_ids(stop).with_strip_prompt(strip_prompt);
            let found = model.generate(&case.prompts(), &options).unwrap();
            assert_eq!(found, strings(expected), "{}: {sampler}, {key}", case.name);
        }
    });
}

#[test]
fn details_tell_the_tokens_that_the_ids_tell() {
    each("keras", |case, model, sampler, entry| {
        let stop = entry.get("stop_some");
        let expected = generate(model, &case.ragged_prompts(), stop);
        let options = GenerateOptions::new()
            .with_max_length(case.max_length())
            .with_stop_token_ids(stop_at(stop));
        let mut events = Vec::new();
        let mut on_token = |event| {
            events.push(event);
            ControlFlow::Continue(())
        };
        let found = model.generate_with(&case.prompts(), &options, &mut on_token).unwrap();
        let place = format!("{}: {sampler}", case.name);
        let prompt_lengths = case.ragged_prompts().row_lengths().unwrap();
        let lengths = expected.row_lengths().unwrap();
        for (index, generation) in found.iter().enumerate() {
            let real = &expected.token_ids()[index][..lengths[index]];
            assert_eq!(generation.token_ids, real, "{place}");
            assert_eq!(generation.prompt_tokens, prompt_lengths[index], "{place}");
            assert_eq!(generation.new_tokens(), lengths[index] - prompt_lengths[index], "{place}");
            assert!(generation.beams.is_empty(), "{place}");
            // The tokens that were emitted are those of the answer.
            let told: Vec<TokenId> = events
                .iter()
                .filter(|event| event.row == index)
                .zip(prompt_lengths[index]..)
                .map(|(event, position)| {
                    assert_eq!(event.position, position, "{place}");
                    event.token_id
                })
                .collect();
            assert_eq!(told, real[prompt_lengths[index]..], "{place}");
        }
    });
}

/// All beams of a batch, from the function that `generate` uses.
fn all_beams(model: &mut Gpt2CausalLm, prompts: &TokenBatch) -> Vec<Vec<Beam>> {
    let decoded = model.generate_step(prompts, &[], &mut continue_always).unwrap();
    let beams = decoded.beams.expect("`return_all_beams` is set");
    for (row, beams) in decoded.rows.iter().zip(&beams) {
        assert_eq!(row, &beams[0].token_ids, "the best beam is the answer");
    }
    beams
}

/// Compares rows of beams with those in `<sampler>.<prefix>all_ids` and `all_log_probs`.
fn check_beams(case: &Case, sampler: &str, prefix: &str, found: &[Vec<Beam>]) {
    let key = |name: &str| format!("{sampler}.{prefix}all_{name}");
    let beams = || found.iter().flatten();
    let found_ids: Vec<&[TokenId]> = beams().map(|beam| beam.token_ids.as_slice()).collect();
    assert_eq!(found_ids, case.tensors.ids(&key("ids")), "{}: {}", case.name, key("ids"));
    let scores: Vec<f32> = beams().map(|beam| beam.log_probability).collect();
    let label = format!("{}: {}", case.name, key("log_probs"));
    let expected = case.tensors.floats(&key("log_probs")).values;
    check_within(TOLERANCE, RELATIVE_TOLERANCE, &label, &scores, &expected);
    for row in found {
        let scores = row.iter().map(|beam| beam.log_probability);
        assert!(scores.is_sorted_by(|better, worse| better >= worse), "{label}: best first");
        assert!(row.iter().all(|beam| beam.length == case.max_length()), "{label}: full rows");
    }
}

/// Calls `check` with a model that is compiled with a beam search which returns all beams.
fn each_beam_search(ragged: RaggedBeams, mut check: impl FnMut(&Case, &mut Gpt2CausalLm, &str)) {
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.model("keras");
        for num_beams in [2, 5] {
            let sampler = BeamSampler::new(num_beams).with_return_all_beams(true);
            model.compile(sampler.with_ragged(ragged)).unwrap();
            check(&case, &mut model, &format!("beam{num_beams}"));
        }
    }
}

fn alone(case: &Case, model: &mut Gpt2CausalLm) -> Vec<Vec<Beam>> {
    let prompts = case.ragged_prompts();
    let rows = 0..prompts.batch_size();
    rows.map(|index| all_beams(model, &row(&prompts, index)).remove(0)).collect()
}

#[test]
fn all_beams_and_their_scores_equal_keras_hub() {
    each_beam_search(RaggedBeams::KerasHub, |case, model, sampler| {
        check_beams(case, sampler, "", &all_beams(model, &case.ragged_prompts()));
        check_beams(case, sampler, "equal_", &all_beams(model, &case.equal_prompts()));
        check_beams(case, sampler, "alone_", &alone(case, model));
    });
}

#[test]
fn independent_beams_of_a_ragged_batch_are_those_of_each_row_alone() {
    each_beam_search(RaggedBeams::Independent, |case, model, sampler| {
        let together = all_beams(model, &case.ragged_prompts());
        check_beams(case, sampler, "alone_", &together);
        check_beams(case, sampler, "equal_", &all_beams(model, &case.equal_prompts()));
        check_beams(case, sampler, "alone_", &alone(case, model));
        for row in together {
            let mut answers: Vec<_> = row.iter().map(|beam| &beam.token_ids).collect();
            answers.sort();
            answers.dedup();
            assert_eq!(answers.len(), row.len(), "{}: {sampler}, distinct beams", case.name);
        }
    });
}

#[test]
fn beams_have_texts() {
    each_beam_search(RaggedBeams::KerasHub, |case, model, sampler| {
        let preprocessor = model.preprocessor().unwrap().clone();
        let expected = all_beams(model, &case.ragged_prompts());
        let texts = strings(&case.json["generation"][sampler]["texts_strip_prompt"]);
        let options = GenerateOptions::new()
            .with_max_length(case.max_length())
            .with_stop_token_ids(StopTokenIds::None)
            .with_strip_prompt(true);
        let found = model.generate_with(&case.prompts(), &options, &mut continue_always).unwrap();
        for ((generation, beams), text) in found.iter().zip(&expected).zip(&texts) {
            assert_eq!(&generation.text, text, "{}: {sampler}", case.name);
            assert_eq!(&generation.beams[0].text, text, "{}: {sampler}", case.name);
            assert_eq!(generation.beams.len(), beams.len());
            for (found, beam) in generation.beams.iter().zip(beams) {
                assert_eq!(found.token_ids, beam.token_ids);
                assert_eq!(found.log_probability, beam.log_probability);
                let new = &beam.token_ids[generation.prompt_tokens..];
                assert_eq!(found.text, preprocessor.text(new).unwrap());
            }
        }
    });
}

#[test]
fn a_greedy_row_does_not_depend_on_its_batch() {
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.greedy_model();
        for prompts in [case.ragged_prompts(), case.equal_prompts()] {
            let together = generate(&mut model, &prompts, None);
            for index in 0..prompts.batch_size() {
                let alone = generate(&mut model, &row(&prompts, index), None);
                assert_eq!(alone, row(&together, index), "{name}: row {index}");
            }
        }
    }
}

#[test]
fn greedy_ids_equal_transformers() {
    for name in CASES {
        let case = Case::read(name);
        let path = format!("{name}/transformers_expected.safetensors");
        let expected = Tensors::read(&path).ids("greedy.ids");
        for format in FORMATS {
            let mut model = case.model(format);
            model.compile(GreedySampler::new()).unwrap();
            for (index, expected) in expected.iter().enumerate() {
                let found = generate(&mut model, &row(&case.ragged_prompts(), index), None);
                assert_eq!(&found.token_ids()[0], expected, "{name}/{format}: row {index}");
            }
        }
    }
}

/// Emits the tokens of a list, one after the other.
struct Recite(Vec<TokenId>);

impl SearchStrategy for Recite {
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        let mut tokens = self.0.iter();
        while !decoding.is_done() {
            decoding.write(&[*tokens.next().expect("the list is long enough")])?;
            decoding.advance();
            decoding.announce();
        }
        Ok(None)
    }
}

/// KerasHub takes padding for a stop token with the id 0 and generates nothing. Here only generated
/// tokens count.
#[test]
fn a_stop_id_equal_to_the_pad_id_ends_a_row_where_it_is_made() {
    let zero = json!([0]);
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.greedy_model();
        let prompts = case.ragged_prompts();
        let expected = case.tensors.batch("greedy.ids", "greedy.mask");
        let lengths = prompts.row_lengths().unwrap();
        let made = |row: usize| &expected.token_ids()[row][lengths[row]..];
        assert!((0..3).all(|row| !made(row).contains(&0)), "{name}: the token 0 is never made");
        assert_eq!(generate(&mut model, &prompts, Some(&zero)), expected, "{name}");
        for (row, keras_hub) in case.tensors.ids("greedy.stop_pad_ids").iter().enumerate() {
            assert!(keras_hub[lengths[row]..].iter().all(|&id| id == 0), "{name}: the difference");
        }

        let prompt = row(&case.equal_prompts(), 0);
        model.compile(Recite(vec![7, 5, 0, 9])).unwrap();
        let found = generate(&mut model, &prompt, Some(&zero));
        assert_eq!(found.row_lengths().unwrap(), [4 + 3], "{name}");
        assert_eq!(found.token_ids()[0][4..8], [7, 5, 0, 0], "{name}: nothing after the stop");
    }
}

/// A row may be full before others have started.
#[test]
fn a_full_row_keeps_its_prompt_while_others_go_on() {
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.model("keras");
        let full = vec![3; case.max_length()];
        let short = case.ragged_prompts();
        let token_ids = vec![full.clone(), short.token_ids()[0].clone()];
        let mask = vec![vec![true; full.len()], short.padding_mask()[0].clone()];
        let prompts = TokenBatch::new(token_ids, mask).unwrap();
        for sampler in ["greedy", "contrastive:k=3,alpha=0.3", "beam:num_beams=2"] {
            model.compile(samplers::get(sampler).unwrap()).unwrap();
            let alone = generate(&mut model, &row(&short, 0), None);
            let found = generate(&mut model, &prompts, None);
            assert_eq!(found.token_ids()[0], full, "{name}: {sampler}");
            assert_eq!(found.token_ids()[1], alone.token_ids()[0], "{name}: {sampler}");
            let both_full = TokenBatch::unpadded(vec![full.clone(); 2]).unwrap();
            assert_eq!(generate(&mut model, &both_full, None), both_full, "{name}: {sampler}");
        }
    }
}

/// KerasHub adds the start token in generation regardless of the preprocessor's setting.
#[test]
fn without_start_token_a_text_continues_from_its_own_tokens() {
    for name in CASES {
        let case = Case::read(name);
        let mut model = case.greedy_model();
        let tokenizer = model.preprocessor().unwrap().tokenizer().clone();
        let config = PreprocessorConfig::new()
            .with_sequence_length(case.max_length())
            .with_add_start_token(false);
        let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config).unwrap();
        model.set_preprocessor(Some(preprocessor)).unwrap();

        let tokens = id_rows(&case.json["prompt_tokens"]);
        let padded = |ids: &Vec<TokenId>| {
            let mut row = ids.clone();
            row.resize(case.max_length(), 0);
            row
        };
        let mask = |ids: &Vec<TokenId>| {
            (0..case.max_length()).map(|position| position < ids.len()).collect::<Vec<_>>()
        };
        let prompts = TokenBatch::new(tokens.iter().map(padded), tokens.iter().map(mask)).unwrap();
        let expected = generate(&mut model, &prompts, None);

        let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
        let found = model.generate_with(&case.prompts(), &options, &mut continue_always).unwrap();
        for (index, generation) in found.iter().enumerate() {
            assert_eq!(generation.token_ids, expected.token_ids()[index], "{name}: row {index}");
            assert_eq!(generation.prompt_tokens, tokens[index].len(), "{name}: row {index}");
            assert!(generation.text.starts_with(&case.prompts()[index]), "{name}: row {index}");
        }
    }
}

#[test]
fn a_prompt_that_is_too_long_is_an_error_unless_it_may_be_cut() {
    for name in CASES {
        let case = Case::read(name);
        let model = case.greedy_model();
        let quirks = &case.json["quirks"];
        let prompt = quirks["long_prompt"].as_str().unwrap();
        let max_length = quirks["long_prompt_max_length"].as_u64().unwrap() as usize;
        let tokens = model.preprocessor().unwrap().tokenizer().tokenize(prompt).unwrap();
        let options = GenerateOptions::new()
            .with_max_length(max_length)
            .with_stop_token_ids(StopTokenIds::None);

        match model.generate(prompt, &options).unwrap_err() {
            TaskError::PromptTooLong { row: 0, tokens: found, max_length: limit } => {
                assert_eq!((found, limit), (tokens.len() + 1, max_length), "{name}");
            }
            other => panic!("{name}: {other}"),
        }

        // As KerasHub, which silently truncates the prompt and generates no token.
        let right = options.clone().with_truncate(Truncate::Right);
        let expected = strings(&quirks["long_prompt_texts"]);
        assert_eq!(model.generate([prompt], &right).unwrap(), expected, "{name}");
        let stripped = right.with_strip_prompt(true);
        let expected = strings(&quirks["long_prompt_texts_strip_prompt"]);
        assert_eq!(model.generate([prompt], &stripped).unwrap(), expected, "{name}");

        let left = options.with_truncate(Truncate::Left);
        let found = model.generate_with(&[prompt], &left, &mut continue_always).unwrap();
        let start = model.preprocessor().unwrap().tokenizer().start_token_id();
        let kept = &tokens[tokens.len() + 1 - max_length..];
        assert_eq!(found[0].token_ids, [&[start], kept].concat(), "{name}");
    }
}

#[test]
fn special_tokens_of_the_prompt_do_not_stop_and_are_not_in_the_text() {
    for name in CASES {
        let case = Case::read(name);
        let model = case.greedy_model();
        let quirks = &case.json["quirks"];
        let prompt = quirks["special_prompt"].as_str().unwrap();
        let options = GenerateOptions::new().with_max_length(case.max_length());
        let expected = strings(&quirks["special_prompt_texts_auto_stop"]);
        assert_eq!(model.generate([prompt], &options).unwrap(), expected, "{name}");
        let options = options.with_strip_prompt(true);
        let expected = strings(&quirks["special_prompt_texts_strip_prompt"]);
        assert_eq!(model.generate([prompt], &options).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_answer_has_the_shape_of_the_question() {
    let case = Case::read("air_small");
    let model = case.greedy_model();
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
    let prompts = case.prompts();
    let expected = strings(&case.json["generation"]["greedy"]["texts"]);
    // The preprocessor's length is the case's, so that none need be given.
    let one: String = model.generate(prompts[0].as_str(), &options).unwrap();
    let owned: String = model.generate(&prompts[0], &options).unwrap();
    assert_eq!((&one, &owned), (&expected[0], &expected[0]));
    let slice: Vec<String> = model.generate(prompts.as_slice(), &options).unwrap();
    let vector: Vec<String> = model.generate(&prompts, &options).unwrap();
    let array: Vec<String> = model.generate([&prompts[0], &prompts[1]], &options).unwrap();
    assert_eq!((&slice, &vector, &array[..]), (&expected, &expected, &expected[..2]));
    let owned: Vec<String> = model.generate(prompts.clone(), &options).unwrap();
    assert_eq!(owned, expected);
    let batches = [&prompts[..2], &prompts[2..]];
    let batches: Result<Vec<_>, _> = model.generate_batches(batches, &options).collect();
    assert_eq!(batches.unwrap().concat(), expected);
}

#[test]
fn texts_are_taken_in_whatever_they_stand() {
    let mut model = tiny::model();
    model.compile("greedy").unwrap();
    let options = GenerateOptions::new().with_max_length(6);
    let generate = |text: &str| model.generate(text, &options).unwrap();
    let owned = || String::from(" airplane");
    let one = generate(" airplane");
    assert_eq!(model.generate(owned(), &options).unwrap(), one);
    assert_eq!(model.generate(&owned(), &options).unwrap(), one);
    let two = [one, generate(" airport")];
    let texts = [owned(), String::from(" airport")];
    assert_eq!(model.generate([" airplane", " airport"], &options).unwrap(), two);
    assert_eq!(model.generate(&texts, &options).unwrap(), two);
    assert_eq!(model.generate(&texts[..], &options).unwrap(), two);
    assert_eq!(model.generate(texts.to_vec(), &options).unwrap(), two);
    assert_eq!(model.generate(texts, &options).unwrap(), two);
    let batches = model.generate_batches([" airplane", " airport"], &options);
    assert_eq!(batches.map(Result::unwrap).collect::<Vec<_>>(), two);
}
