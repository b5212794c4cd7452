//! Invalid calls of a generator: an error that names the mistake, or a valid result.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gpt2_backbone::{BackboneError, Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_task::samplers::{
    BeamSampler, ContrastiveSampler, GreedySampler, RandomSampler, TopKSampler, TopPSampler,
};
use gpt2_task::{
    GenerateOptions, Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig, SearchStrategy,
    StopTokenIds, TaskError, TokenBatch, TokenEvent, Truncate, samplers, testing,
};
use gpt2_tokenizer::TokenizerError;

use crate::golden::{Case, device, ids, values};
use crate::tiny::{self, LENGTH};

/// Every sampler, by name.
const SAMPLERS: [&str; 6] = ["greedy", "random", "top_k", "top_p", "beam", "contrastive"];

/// Asserts that the result is an error of this pattern.
macro_rules! assert_error {
    ($result:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            Err(other) => panic!("expected {}, found {other:?}", stringify!($pattern)),
            Ok(_) => panic!("expected {}, found no error", stringify!($pattern)),
        }
    };
}

fn greedy_model() -> Gpt2CausalLm {
    let mut model = tiny::model();
    model.compile(GreedySampler::new()).unwrap();
    model
}

fn unstopped() -> GenerateOptions {
    GenerateOptions::new().with_stop_token_ids(StopTokenIds::None)
}

fn continue_always(_: TokenEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

// ---------------------------------------------------------------- lengths

#[test]
fn an_empty_batch_is_refused() {
    let model = greedy_model();
    let nothing: [&str; 0] = [];
    assert_error!(model.generate(nothing, &unstopped()), TaskError::EmptyBatch { .. });
    assert_error!(model.predict(&nothing), TaskError::EmptyBatch { .. });
    assert_error!(TokenBatch::unpadded([[0; 3]; 0]), TaskError::EmptyBatch { .. });
    assert_error!(TokenBatch::unpadded([[]]), TaskError::EmptyBatch { .. });
}

#[test]
fn an_empty_prompt_needs_a_start_token() {
    let mut model = greedy_model();
    let with_start = model.generate_with(&[""], &unstopped(), &mut continue_always).unwrap();
    assert_eq!((with_start[0].prompt_tokens, with_start[0].new_tokens()), (1, LENGTH - 1));

    let config = PreprocessorConfig::new().with_sequence_length(LENGTH).with_add_start_token(false);
    let preprocessor = Gpt2CausalLmPreprocessor::new(testing::tokenizer(), config).unwrap();
    model.set_preprocessor(Some(preprocessor)).unwrap();
    assert_error!(model.generate("", &unstopped()), TaskError::EmptyPrompt { row: 0 });
    let result = model.generate([" airplane", ""], &unstopped());
    assert_error!(result, TaskError::EmptyPrompt { row: 1 });
}

#[test]
fn a_prompt_may_fill_the_length_but_not_exceed_it() {
    let model = greedy_model();
    // The start token and five tokens.
    let prompt = " airplane at airport";
    let generate = |max_length, truncate| {
        let mut options = unstopped().with_max_length(max_length);
        options.truncate = truncate;
        let mut generations = model.generate_with(&[prompt], &options, &mut continue_always)?;
        Ok::<_, TaskError>(generations.remove(0))
    };
    let full = generate(6, None).unwrap();
    assert_eq!((full.text.as_str(), full.new_tokens()), (prompt, 0));
    assert_eq!(generate(7, None).unwrap().new_tokens(), 1);
    assert_error!(generate(5, None), TaskError::PromptTooLong { row: 0, tokens: 6, max_length: 5 });
    assert_eq!(generate(5, Some(Truncate::Right)).unwrap().text, " airplane at air");
    assert_eq!(generate(5, Some(Truncate::Left)).unwrap().text, "plane at airport");
    assert_eq!(generate(1, Some(Truncate::Left)).unwrap().text, "");
}

#[test]
fn a_length_out_of_range_names_its_limit() {
    let model = greedy_model();
    for max_length in [0, LENGTH + 1, 1025, usize::MAX] {
        assert_error!(
            model.generate(" airplane", &unstopped().with_max_length(max_length)),
            TaskError::InvalidLength { name: "max_length", found, limit: LENGTH }
                if found == max_length
        );
    }
    let wide = TokenBatch::unpadded(vec![vec![1; LENGTH + 1]]).unwrap();
    assert_error!(
        model.generate(&wide, &unstopped()),
        TaskError::InvalidLength { name: "sequence_length", found: 9, limit: LENGTH }
    );
    assert_error!(
        model.score_logits(&wide),
        TaskError::Backbone(BackboneError::SequenceTooLong { end: 9, max_sequence_length: LENGTH })
    );
    let mut preprocessor = testing::preprocessor();
    for length in [0, usize::MAX] {
        assert_error!(preprocessor.set_sequence_length(length), TaskError::InvalidLength { .. });
        let result = preprocessor.preprocess_to(&["a"], length);
        assert_error!(result, TaskError::InvalidLength { .. });
        let result = preprocessor.generate_preprocess_with(&["a"], length, Some(Truncate::Left));
        assert_error!(result, TaskError::InvalidLength { .. });
    }
    assert_error!(
        preprocessor.set_sequence_length(1),
        TaskError::SequenceLengthTooShort { found: 1, special: 2 }
    );
    assert_eq!(preprocessor.sequence_length(), LENGTH);
}

#[test]
fn a_length_beside_token_ids_is_refused() {
    let model = greedy_model();
    let prompt = TokenBatch::unpadded(vec![vec![1, 2]]).unwrap();
    assert_error!(
        model.generate(&prompt, &unstopped().with_max_length(4)),
        TaskError::MaxLengthWithTokenIds { max_length: 4, found: 2 }
    );
}

// ---------------------------------------------------------------- ids and masks

#[test]
fn ids_out_of_the_vocabulary_are_named() {
    let model = greedy_model();
    let vocabulary_size = model.backbone().config().vocabulary_size;
    for id in [vocabulary_size as u32, 1 << 31, u32::MAX] {
        let batch = TokenBatch::unpadded(vec![vec![1, 2], vec![3, id]]).unwrap();
        assert_error!(
            model.generate(&batch, &unstopped()),
            TaskError::TokenOutOfRange { name: "token_ids", row: 1, position: 1, .. }
        );
        assert_error!(
            model.score_logits(&batch),
            TaskError::TokenOutOfRange { name: "token_ids", row: 1, position: 1, .. }
        );
        let good = TokenBatch::unpadded(vec![vec![1, 2]]).unwrap();
        assert_error!(
            model.score_loss(&good, &[vec![2, id]]),
            TaskError::TokenOutOfRange { name: "target_ids", row: 0, position: 1, token_id, .. }
                if token_id == id
        );
        // An id is looked up even if the mask hides it.
        let masked = TokenBatch::new(vec![vec![1, id]], vec![vec![true, false]]).unwrap();
        assert_error!(
            model.generate(&masked, &unstopped()),
            TaskError::TokenOutOfRange { row: 0, position: 1, .. }
        );
    }
}

#[test]
fn masks_that_generation_cannot_use_are_refused() {
    let model = greedy_model();
    let generate = |mask: [bool; 3]| {
        let rows = vec![vec![1, 2, 3]; 2];
        let batch = TokenBatch::new(rows, vec![vec![true; 3], mask.to_vec()]).unwrap();
        model.generate(&batch, &unstopped())
    };
    assert_error!(generate([false, true, true]), TaskError::NotRightPadded { row: 1 });
    assert_error!(generate([true, false, true]), TaskError::NotRightPadded { row: 1 });
    assert_error!(generate([false, false, true]), TaskError::NotRightPadded { row: 1 });
    assert_error!(generate([false, false, false]), TaskError::EmptyPrompt { row: 1 });
    assert!(generate([true, true, false]).is_ok());

    let rows = || vec![vec![1, 2, 3]];
    assert_error!(
        TokenBatch::new(rows(), vec![vec![true; 4]]),
        TaskError::RowLength { name: "padding_mask", row: 0, expected: 3, found: 4 }
    );
    assert_error!(
        TokenBatch::new(rows(), vec![vec![true; 3]; 2]),
        TaskError::BatchSize { name: "padding_mask", expected: 1, found: 2 }
    );
    assert_error!(
        TokenBatch::unpadded(vec![vec![1, 2, 3], vec![1]]),
        TaskError::RowLength { name: "token_ids", row: 1, expected: 3, found: 1 }
    );
    let model = greedy_model();
    let batch = TokenBatch::unpadded(rows()).unwrap();
    assert_error!(
        model.score_loss(&batch, &[vec![1, 2]]),
        TaskError::RowLength { name: "target_ids", row: 0, expected: 3, found: 2 }
    );
    assert_error!(
        model.score_loss(&batch, &[vec![1; 3], vec![1; 3]]),
        TaskError::BatchSize { name: "target_ids", expected: 1, found: 2 }
    );
}

#[test]
fn any_mask_has_finite_scores() {
    let model = greedy_model();
    for bits in 0..8 {
        let mask: Vec<_> = (0..3).map(|bit| bits >> bit & 1 == 1).collect();
        let batch = TokenBatch::new(vec![vec![1, 2, 3]], vec![mask]).unwrap();
        let logits = values(model.score_logits(&batch).unwrap());
        assert!(logits.iter().all(|logit| logit.is_finite()), "{bits:03b}");
    }
}

#[test]
fn ids_under_the_mask_do_not_matter() {
    let case = Case::read("air_small");
    let model = case.greedy_model();
    let clean = case.ragged_prompts();
    let stop = ids(&case.json["generation"]["greedy"]["stop_all"]);
    // A stop id, an id that is never generated, and the end token.
    for id in [stop[0], 3, 45] {
        let dirt = |(ids, mask): (&Vec<u32>, &Vec<bool>)| {
            ids.iter()
                .zip(mask)
                .map(|(&own, &real)| if real { own } else { id })
                .collect::<Vec<_>>()
        };
        let rows = clean.token_ids().iter().zip(clean.padding_mask()).map(dirt);
        let dirty = TokenBatch::new(rows, clean.padding_mask().to_vec()).unwrap();
        let found = model.generate(&dirty, &unstopped()).unwrap();
        assert_eq!(found.token_ids(), case.tensors.ids("greedy.ids"), "{id}");
        // Generation ends early: positions after the end are zero, regardless of the ids under the
        // mask.
        let options = unstopped().with_stop_token_ids(StopTokenIds::Ids(stop.clone()));
        let found = model.generate(&dirty, &options).unwrap();
        let expected = case.tensors.batch("greedy.stop_all_ids", "greedy.stop_all_mask");
        assert_eq!(found, expected, "{id}");
    }
}

#[test]
fn characters_that_the_vocabulary_lacks_are_named() {
    let model = greedy_model();
    assert_error!(
        model.generate(" airplane 5", &unstopped()),
        TaskError::Tokenizer(TokenizerError::UnknownByte { character: '5', .. })
    );
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let config = Gpt2BackboneConfig::new(10, 1, 1, 4, 4).with_max_sequence_length(8);
    let backbone = Gpt2Backbone::new(&config, 1, &device()).unwrap();
    let result = Gpt2CausalLm::new(backbone.clone(), Some(testing::preprocessor()));
    assert_error!(result, TaskError::VocabularyMismatch { vocabulary_size: 10, .. });
    let mut model = Gpt2CausalLm::new(backbone, None).unwrap();
    let result = model.set_preprocessor(Some(testing::preprocessor()));
    assert_error!(result, TaskError::VocabularyMismatch { vocabulary_size: 10, .. });
    assert!(model.preprocessor().is_none());
}

// ---------------------------------------------------------------- samplers

#[test]
fn sampler_arguments_out_of_range_are_named_and_change_nothing() {
    fn check(model: &mut Gpt2CausalLm, argument: &str, sampler: impl SearchStrategy + 'static) {
        match model.compile(sampler) {
            Err(TaskError::InvalidSamplerArgument { argument: found, .. }) => {
                assert_eq!(found, argument);
            }
            other => panic!("`{argument}`: {other:?}"),
        }
    }
    let mut model = greedy_model();
    let model = &mut model;
    let expected = model.generate(" airplane", &unstopped()).unwrap();
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        check(model, "temperature", RandomSampler::new().with_temperature(temperature));
        check(model, "temperature", TopKSampler::new(5).with_temperature(temperature));
        check(model, "temperature", TopPSampler::new(0.5).with_temperature(temperature));
        check(model, "temperature", BeamSampler::new(2).with_temperature(temperature));
        check(model, "temperature", ContrastiveSampler::default().with_temperature(temperature));
    }
    let vocabulary_size = model.backbone().config().vocabulary_size;
    for k in [0, vocabulary_size + 1, 1_000_000, usize::MAX] {
        check(model, "k", TopKSampler::new(k));
        check(model, "k", TopPSampler::new(0.5).with_k(k));
        check(model, "k", ContrastiveSampler::new(k, 0.5));
        check(model, "num_beams", BeamSampler::new(k));
    }
    for p in [0.0, -0.1, 1.1, f32::NAN, f32::INFINITY] {
        check(model, "p", TopPSampler::new(p));
    }
    for alpha in [-0.1, 1.1, f32::NAN] {
        check(model, "alpha", ContrastiveSampler::new(5, alpha));
    }
    check(model, "k", samplers::get("top_k:k=0").unwrap());
    assert_eq!(model.generate(" airplane", &unstopped()).unwrap(), expected, "still greedy");
}

#[test]
fn arguments_at_the_edge_of_their_range_work() {
    let mut model = greedy_model();
    let vocabulary_size = model.backbone().config().vocabulary_size;
    let expected = model.generate(" airplane", &unstopped()).unwrap();
    let mut generate = |sampler: Box<dyn SearchStrategy>| {
        model.compile(sampler).unwrap();
        model.generate(" airplane", &unstopped()).unwrap()
    };
    let cold = 1e-30;
    for greedy in [
        Box::new(RandomSampler::new().with_temperature(cold)) as Box<dyn SearchStrategy>,
        Box::new(TopKSampler::new(vocabulary_size).with_temperature(cold)),
        Box::new(TopPSampler::new(1.0).with_temperature(cold)),
        Box::new(TopKSampler::new(1)),
        Box::new(TopPSampler::new(f32::MIN_POSITIVE)),
        Box::new(BeamSampler::new(1)),
        Box::new(ContrastiveSampler::new(1, 1.0)),
        Box::new(ContrastiveSampler::new(vocabulary_size, 0.0)),
    ] {
        assert_eq!(generate(greedy), expected);
    }
    // As many beams as tokens, and a nearly uniform distribution.
    generate(Box::new(BeamSampler::new(vocabulary_size)));
    generate(Box::new(RandomSampler::new().with_temperature(f32::MAX)));
}

// ---------------------------------------------------------------- stop ids

#[test]
fn stop_ids_are_checked() {
    let model = greedy_model();
    let vocabulary_size = model.backbone().config().vocabulary_size;
    let options = |ids: &[u32]| unstopped().with_stop_token_ids(StopTokenIds::Ids(ids.to_vec()));
    assert_error!(model.generate(" airplane", &options(&[])), TaskError::EmptyStopTokenIds);
    for id in [vocabulary_size as u32, u32::MAX] {
        assert_error!(
            model.generate(" airplane", &options(&[1, id])),
            TaskError::TokenOutOfRange { name: "stop_token_ids", position: 1, .. }
        );
    }

    // Ids given twice, in another order, or with one that is never generated: the same text.
    let case = Case::read("air_small");
    let model = case.greedy_model();
    let prompts = case.ragged_prompts();
    let expected = model.generate(&prompts, &options(&[37, 14])).unwrap();
    for ids in [&[14, 37][..], &[37, 37, 14, 14], &[37, 14, 45]] {
        assert_eq!(model.generate(&prompts, &options(ids)).unwrap(), expected, "{ids:?}");
    }
    // An id that only the prompts contain does not stop: 38 begins " airplane".
    let prompt = [" airplane airplane"];
    let found = model.generate_with(&prompt, &options(&[38]), &mut continue_always).unwrap();
    let free = model.generate_with(&prompt, &unstopped(), &mut continue_always).unwrap();
    let made = &free[0].token_ids[free[0].prompt_tokens..];
    let until = made.iter().position(|&id| id == 38).map_or(made.len(), |at| at + 1);
    assert!(until > 1);
    assert_eq!(found[0].token_ids[found[0].prompt_tokens..], made[..until]);
}

#[test]
fn auto_stop_needs_a_preprocessor() {
    let mut model = greedy_model();
    model.set_preprocessor(None).unwrap();
    let prompt = TokenBatch::unpadded(vec![vec![1, 2]]).unwrap();
    let auto = GenerateOptions::new();
    assert_error!(model.generate(&prompt, &auto), TaskError::AutoStopWithoutPreprocessor);
    let result = model.generate(" airplane", &unstopped());
    assert_error!(result, TaskError::NoPreprocessor { operation: "generate" });
}

// ---------------------------------------------------------------- damaged weights

#[test]
fn weights_that_are_no_numbers_are_found_by_every_sampler() {
    for (parameter, value) in [
        ("layer_norm.beta", f32::NAN),
        ("layer_norm.gamma", f32::INFINITY),
        ("transformer_layers.1.feedforward_output_dense.bias", f32::NAN),
        ("transformer_layers.0.self_attention_layer.key_dense.kernel", f32::NAN),
        // The embedding of one token that no prompt contains: only its logit is damaged.
        ("token_embedding.embeddings", f32::NEG_INFINITY),
    ] {
        let mut model = tiny::model_with(|path, values| {
            if path == parameter {
                values[0] = value;
            }
        });
        for sampler in SAMPLERS {
            model.compile(samplers::get(sampler).unwrap()).unwrap();
            match model.generate([" airplane", " airplane at"], &unstopped()) {
                Err(TaskError::NonFiniteLogits { row: 0, position: 3 }) => {}
                other => panic!("{parameter}, {sampler}: {other:?}"),
            }
        }
    }
}

// ---------------------------------------------------------------- callbacks

#[test]
fn a_break_ends_generation_with_what_there_is() {
    let case = Case::read("air_small");
    let mut model = case.model("keras");
    let prompts = case.prompts();
    for sampler in ["greedy", "contrastive", "top_k:k=10,seed=1"] {
        let mut generate = |limit: usize| {
            model.compile(samplers::get(sampler).unwrap()).unwrap();
            let mut events = Vec::new();
            let mut on_token = |event| {
                events.push(event);
                if events.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let found = model.generate_with(&prompts, &unstopped(), &mut on_token).unwrap();
            (found, events)
        };
        let (full, all_events) = generate(usize::MAX);
        for limit in [1, 2, 5, 20] {
            let (cut, events) = generate(limit);
            assert_eq!(events, all_events[..limit], "{sampler}, {limit}");
            let last = events[limit - 1].position;
            for (row, (cut, full)) in cut.iter().zip(&full).enumerate() {
                let place = format!("{sampler}, {limit}: row {row}");
                let length = (last + 1).max(full.prompt_tokens);
                assert_eq!(cut.token_ids, full.token_ids[..length], "{place}");
                assert!(full.text.starts_with(&cut.text), "{place}");
            }
        }
    }
}

#[test]
fn a_beam_search_that_is_broken_off_has_its_answer() {
    let case = Case::read("air_small");
    let mut model = case.model("keras");
    model.compile(BeamSampler::new(2)).unwrap();
    let prompts = case.prompts();
    let full = model.generate_with(&prompts, &unstopped(), &mut continue_always).unwrap();
    let mut calls = 0;
    let mut on_token = |_| {
        calls += 1;
        ControlFlow::Break(())
    };
    let cut = model.generate_with(&prompts, &unstopped(), &mut on_token).unwrap();
    assert_eq!((calls, cut), (1, full), "it decides at its end");
}

#[test]
fn a_panic_in_a_callback_leaves_the_model_usable() {
    let case = Case::read("air_small");
    let mut model = case.model("keras");
    let prompts = case.prompts();
    for sampler in SAMPLERS {
        model.compile(samplers::get(&format!("{sampler}:")).unwrap()).unwrap();
        let mut calls = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut on_token = |_| {
                calls += 1;
                if calls == 4 { panic!("a user's mistake") } else { ControlFlow::Continue(()) }
            };
            model.generate_with(&prompts, &unstopped(), &mut on_token)
        }));
        assert!(outcome.is_err(), "{sampler}");
        model.compile(GreedySampler::new()).unwrap();
        let found = model.generate(&case.ragged_prompts(), &unstopped()).unwrap();
        assert_eq!(found.token_ids(), case.tensors.ids("greedy.ids"), "{sampler}");
    }
}

#[test]
fn an_error_leaves_the_model_usable() {
    let case = Case::read("air_small");
    let model = case.greedy_model();
    assert!(model.generate("5", &unstopped()).is_err());
    assert!(model.generate(" airplane", &unstopped().with_max_length(0)).is_err());
    let found = model.generate(&case.ragged_prompts(), &unstopped()).unwrap();
    assert_eq!(found.token_ids(), case.tensors.ids("greedy.ids"));
}

#[test]
fn models_in_threads_do_not_disturb_each_other() {
    let case = Case::read("air_small");
    let expected = case.tensors.ids("greedy.ids");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let model = case.greedy_model();
                for _ in 0..5 {
                    let found = model.generate(&case.ragged_prompts(), &unstopped()).unwrap();
                    assert_eq!(found.token_ids(), expected);
                }
            });
        }
    });
}
