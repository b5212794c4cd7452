//! The forward pass: hidden states, logits and losses, with and without a cache.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use gpt2_backbone::{
    BackboneError, ForwardOptions, Gpt2Backbone, InterceptPoint, ParameterSource, ParameterSpec,
    visit_parameters,
};
use gpt2_task::TokenBatch;
use serde_json::{Value, json};

use crate::golden::{
    CASES, Case, FORMATS, Tensors, check_bits, check_close, check_within, device, id_tensor,
    mask_tensor, row, values,
};

/// Tolerance between a row alone and in a batch. Sums have the same order, except for the split of
/// a matrix product into blocks.
const BATCH_TOLERANCE: f32 = 1e-5;

fn each(mut check: impl FnMut(&Case, &str, &str)) {
    for name in CASES {
        let case = Case::read(name);
        for format in FORMATS {
            check(&case, format, &format!("{name}/{format}"));
        }
    }
}

fn hidden_states(backbone: &Gpt2Backbone, batch: &TokenBatch) -> Tensor<3> {
    let mask = mask_tensor(batch.padding_mask());
    backbone.forward(id_tensor(batch.token_ids()), Some(mask)).unwrap()
}

#[test]
fn hidden_states_and_logits_equal_keras_hub() {
    each(|case, format, place| {
        let backbone = case.backbone(format);
        let hidden = hidden_states(&backbone, &case.batch());
        let logits = values(backbone.logits(hidden.clone()));
        let expected = case.tensors.floats("hidden");
        assert_eq!(hidden.dims().as_slice(), expected.shape);
        check_close(&format!("hidden, {place}"), &values(hidden), &expected.values);
        case.check_logits(&format!("logits, {place}"), "logits", &logits);
    });
}

#[test]
fn score_logits_are_the_logits_of_the_backbone() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        let logits = values(model.score_logits(&case.batch()).unwrap());
        case.check_logits(&format!("score logits, {place}"), "logits", &logits);
        let plain = model.backbone().logits(hidden_states(model.backbone(), &case.batch()));
        check_bits(place, &logits, &values(plain));
    });
}

#[test]
fn losses_equal_keras_hub() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        let targets = case.tensors.ids("score_targets");
        let loss = model.score_loss(&case.batch(), &targets).unwrap();
        let expected = case.tensors.floats("score_loss");
        assert_eq!(loss.dims().as_slice(), expected.shape);
        check_close(&format!("loss, {place}"), &values(loss), &expected.values);
    });
}

#[test]
fn masks_with_holes_give_finite_numbers_equal_to_keras_hub() {
    each(|case, format, place| {
        let backbone = case.backbone(format);
        let odd = case.tensors.batch("token_ids", "odd_padding_mask");
        let hidden = hidden_states(&backbone, &odd);
        let logits = values(backbone.logits(hidden.clone()));
        assert!(logits.iter().all(|logit| logit.is_finite()), "{place}");
        let expected = case.tensors.floats("odd_hidden").values;
        check_close(&format!("hidden under odd masks, {place}"), &values(hidden), &expected);
        case.check_logits(&format!("logits under odd masks, {place}"), "odd_logits", &logits);
    });
}

/// With a dropout rate of 0, KerasHub uses another implementation, in which a query that sees no
/// key gets the mean of all values. Here the rate changes nothing. All other positions agree in
/// both.
#[test]
fn the_dropout_rate_does_not_change_what_a_blind_position_sees() {
    let case = Case::read("air_small");
    let with_dropout = case.backbone("keras");
    let mut source = Copied(BTreeMap::new());
    visit_parameters(&with_dropout, |path, data| {
        source.0.insert(path.to_owned(), data);
    })
    .unwrap();
    let config = with_dropout.config().clone().with_dropout(0.0);
    let without = Gpt2Backbone::from_source(&config, &mut source, &device()).unwrap();

    let odd = case.tensors.batch("token_ids", "odd_padding_mask");
    let hidden = values(hidden_states(&without, &odd));
    check_bits("any dropout rate", &hidden, &values(hidden_states(&with_dropout, &odd)));

    let keras_hub = case.tensors.floats("odd_hidden_without_dropout").values;
    let mut blind = 0;
    let masks = odd.padding_mask().iter();
    let sees = masks.flat_map(|mask| (1..=mask.len()).map(|end| mask[..end].contains(&true)));
    let vectors = hidden.chunks_exact(config.hidden_dim);
    let vectors = vectors.zip(keras_hub.chunks_exact(config.hidden_dim));
    for (position, (sees, (found, keras_hub))) in sees.zip(vectors).enumerate() {
        if sees {
            check_close(&format!("position {position} of any rate"), found, keras_hub);
        } else {
            blind += 1;
        }
    }
    // Five positions at the left of the first row, one of the second, and the whole third row.
    assert_eq!(blind, 5 + 1 + odd.sequence_length());
}

/// Parameters by their paths.
struct Copied(BTreeMap<String, TensorData>);

impl ParameterSource for Copied {
    type Error = BackboneError;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, BackboneError> {
        Ok(self.0.remove(parameter.path).expect("each parameter is asked for once"))
    }
}

#[test]
fn intercepts_are_called_in_order_and_change_the_result_as_in_keras_hub() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        let last = model.backbone().config().num_layers - 1;
        let mut calls = Vec::new();
        let mut intercept = |x: Tensor<3>, point| {
            let index = match point {
                InterceptPoint::Embeddings => -1,
                InterceptPoint::TransformerLayer(layer) => layer as i64,
            };
            calls.push(json!({ "index": index, "shape": x.dims() }));
            match point {
                InterceptPoint::Embeddings => x * 0.5,
                InterceptPoint::TransformerLayer(layer) if layer == last => x + 0.1,
                InterceptPoint::TransformerLayer(_) => x,
            }
        };
        let batch = case.batch();
        let logits = model.score_logits_with(&batch, &mut intercept).unwrap();
        let label = format!("intercepted logits, {place}");
        case.check_logits(&label, "intercept_logits", &values(logits));
        assert_eq!(Value::from(calls.clone()), case.json["layer_intercept_calls"], "{place}");

        let mut again = |x: Tensor<3>, point| match point {
            InterceptPoint::Embeddings => x * 0.5,
            InterceptPoint::TransformerLayer(layer) if layer == last => x + 0.1,
            InterceptPoint::TransformerLayer(_) => x,
        };
        let targets = case.tensors.ids("score_targets");
        let loss = model.score_loss_with(&batch, &targets, &mut again).unwrap();
        let expected = case.tensors.floats("intercept_loss").values;
        check_close(&format!("intercepted loss, {place}"), &values(loss), &expected);
    });
}

/// Feeds token ids through one cache, in chunks of these sizes, repeated as needed.
fn in_chunks(backbone: &Gpt2Backbone, token_ids: Tensor<2, Int>, sizes: &[usize]) -> Tensor<3> {
    let [batch_size, length] = token_ids.dims();
    let mut cache = backbone.new_cache(batch_size, length).unwrap();
    let mut outputs = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while cache.len() < length {
        let start = cache.len();
        let size = (*sizes.next().unwrap()).min(length - start);
        let chunk = token_ids.clone().narrow(1, start, size);
        let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
        outputs.push(backbone.forward_with(chunk, options).unwrap());
        assert_eq!(cache.len(), start + size);
    }
    Tensor::cat(outputs, 1)
}

#[test]
fn one_token_a_call_through_the_cache_equals_keras_hub_and_the_whole_sequence() {
    each(|case, format, place| {
        let backbone = case.backbone(format);
        let token_ids = id_tensor(&case.batch().token_ids()[..1]);
        let cached = in_chunks(&backbone, token_ids.clone(), &[1]);
        let logits = values(backbone.logits(cached.clone()));
        let cached = values(cached);
        let expected = case.tensors.floats("cached_hidden").values;
        check_close(&format!("cached hidden, {place}"), &cached, &expected);
        case.check_logits(&format!("cached logits, {place}"), "cached_logits", &logits);

        let whole = backbone.forward(token_ids, None).unwrap();
        let whole_logits = values(backbone.logits(whole.clone()));
        check_close(&format!("cached and uncached hidden, {place}"), &cached, &values(whole));
        check_close(&format!("cached and uncached logits, {place}"), &logits, &whole_logits);
    });
}

#[test]
fn chunks_of_any_size_through_the_cache_equal_the_whole_batch() {
    each(|case, format, place| {
        let backbone = case.backbone(format);
        let token_ids = id_tensor(case.batch().token_ids());
        let whole = values(backbone.forward(token_ids.clone(), None).unwrap());
        for sizes in [&[5, 1, 3][..], &[1, 7, 2, 1], &[2], &[1000]] {
            let chunks = values(in_chunks(&backbone, token_ids.clone(), sizes));
            check_close(&format!("hidden in chunks of {sizes:?}, {place}"), &chunks, &whole);
        }
    });
}

#[test]
fn a_padding_mask_through_the_cache_equals_the_same_mask_at_once() {
    each(|case, format, place| {
        let backbone = case.backbone(format);
        let odd = case.tensors.batch("token_ids", "odd_padding_mask");
        let whole = values(hidden_states(&backbone, &odd));
        let (token_ids, mask) = (id_tensor(odd.token_ids()), mask_tensor(odd.padding_mask()));
        let [batch_size, length] = token_ids.dims();
        let mut cache = backbone.new_cache(batch_size, length).unwrap();
        let mut chunk = |Range { start, end }: Range<usize>| {
            let options = ForwardOptions {
                padding_mask: Some(mask.clone().narrow(1, 0, end)),
                cache: Some(&mut cache),
                ..Default::default()
            };
            let chunk = token_ids.clone().narrow(1, start, end - start);
            backbone.forward_with(chunk, options).unwrap()
        };
        let outputs = [0..3, 3..4, 4..9, 9..length].map(&mut chunk);
        let chunks = values(Tensor::cat(outputs.to_vec(), 1));
        check_close(&format!("hidden under odd masks in chunks, {place}"), &chunks, &whole);
    });
}

#[test]
fn both_formats_of_a_model_give_the_same_bits() {
    for name in CASES {
        let case = Case::read(name);
        let [keras, transformers] = FORMATS.map(|format| {
            let model = case.model_without_text(format);
            values(model.score_logits(&case.batch()).unwrap())
        });
        check_bits(name, &keras, &transformers);
    }
}

#[test]
fn hidden_states_and_logits_equal_transformers() {
    each(|case, format, place| {
        let expected = Tensors::read(&format!("{}/transformers_expected.safetensors", case.name));
        let backbone = case.backbone(format);
        let hidden = hidden_states(&backbone, &case.batch());
        let mut logits = values(backbone.logits(hidden.clone()));
        let key = if expected.has("logits") {
            "logits"
        } else {
            let columns = expected.ints("logits_columns").values;
            logits = logits
                .chunks_exact(case.vocabulary_size())
                .flat_map(|row| columns.iter().map(|&column| row[column as usize]))
                .collect();
            "logits_at_columns"
        };
        let (hidden, place) = (values(hidden), format!("transformers, {place}"));
        check_close(&format!("hidden of {place}"), &hidden, &expected.floats("hidden").values);
        check_close(&format!("logits of {place}"), &logits, &expected.floats(key).values);
    });
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        for (label, mask) in [("padded", "padding_mask"), ("odd", "odd_padding_mask")] {
            let batch = case.tensors.batch("token_ids", mask);
            let together = values(model.score_logits(&batch).unwrap());
            let size = together.len() / batch.batch_size();
            for (index, together) in together.chunks_exact(size).enumerate() {
                let alone = values(model.score_logits(&row(&batch, index)).unwrap());
                let label = format!("row {index} alone ({label}), {place}");
                check_within(BATCH_TOLERANCE, 0.0, &label, &alone, together);
            }
        }
    });
}

#[test]
fn right_padding_changes_nothing_before_it() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        let batch = case.batch();
        let padded = values(model.score_logits(&batch).unwrap());
        let size = padded.len() / batch.batch_size();
        for (index, length) in batch.row_lengths().unwrap().into_iter().enumerate() {
            let ids = batch.token_ids()[index][..length].to_vec();
            let cut = TokenBatch::unpadded(vec![ids]).unwrap();
            let cut = values(model.score_logits(&cut).unwrap());
            let padded = &padded[index * size..index * size + cut.len()];
            let label = format!("row {index} without its padding, {place}");
            check_within(BATCH_TOLERANCE, 0.0, &label, &cut, padded);
        }
    });
}

#[test]
fn the_same_input_gives_the_same_bits() {
    each(|case, format, place| {
        let model = case.model_without_text(format);
        let run = || values(model.score_logits(&case.batch()).unwrap());
        check_bits(place, &run(), &run());
    });
}
