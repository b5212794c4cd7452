//! The public interface of the backbone: shapes, equivalences, initialisation, errors.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Int, Tensor};
use gpt2_backbone::{
    BackboneError, DropoutSeed, ForwardOptions, Gpt2Backbone, Gpt2BackboneConfig, InterceptPoint,
    ParameterSource, ParameterSpec, RandomParameters, TrainingOptions, visit_parameters,
};

/// Weights large enough for differences to show: KerasHub's initial ones are near zero.
struct Loud(RandomParameters);

impl ParameterSource for Loud {
    type Error = BackboneError;

    fn parameter(
        &mut self,
        parameter: &ParameterSpec<'_>,
    ) -> Result<burn::tensor::TensorData, BackboneError> {
        let loud = ParameterSpec {
            initializer: gpt2_backbone::Initializer::Normal { stddev: 0.5 },
            ..parameter.clone()
        };
        Ok(self.0.parameter(&loud).unwrap())
    }
}

fn config() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig::new(10, 2, 2, 4, 8).with_max_sequence_length(6)
}

fn backbone(device: &Device) -> Gpt2Backbone {
    Gpt2Backbone::from_source(&config(), &mut Loud(RandomParameters::new(1)), device).unwrap()
}

fn ids<const T: usize>(rows: &[[i32; T]], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(burn::tensor::TensorData::new(rows.concat(), [rows.len(), T]), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        // The order of the sums differs; they have fewer than ten terms of size one.
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
}

#[test]
fn outputs_have_the_shape_of_the_input_at_any_length() {
    let device = Device::flex();
    let backbone = backbone(&device);
    for length in [1, 2, 3, 4, 6] {
        let token_ids = Tensor::<2, Int>::ones([2, length], &device);
        let hidden_states = backbone.forward(token_ids, None).unwrap();
        assert_eq!(hidden_states.dims(), [2, length, 4]);
        assert_eq!(backbone.logits(hidden_states).dims(), [2, length, 10]);
    }
}

#[test]
fn a_cache_changes_nothing_however_the_tokens_are_cut() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let token_ids = ids(&[[1, 2, 3, 4, 5, 6], [9, 8, 7, 6, 5, 4]], &device);
    let whole = values(backbone.forward(token_ids.clone(), None).unwrap());
    for parts in [vec![1; 6], vec![6], vec![2, 1, 3], vec![5, 1]] {
        let mut cache = backbone.new_cache(2, 6).unwrap();
        let mut pieces = Vec::new();
        for part in parts {
            let piece = token_ids.clone().narrow(1, cache.len(), part);
            let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
            pieces.push(backbone.forward_with(piece, options).unwrap());
        }
        assert_close(&values(Tensor::cat(pieces, 1)), &whole);
    }
}

#[test]
fn a_truncated_cache_forgets() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let mut cache = backbone.new_cache(1, 6).unwrap();
    let feed = |row: [i32; 2], cache: &mut _| {
        let options = ForwardOptions { cache: Some(cache), ..Default::default() };
        values(backbone.forward_with(ids(&[row], &device), options).unwrap())
    };
    feed([1, 2], &mut cache);
    let first = feed([3, 4], &mut cache);
    cache.truncate(2);
    feed([9, 9], &mut cache);
    cache.truncate(2);
    assert_eq!(feed([3, 4], &mut cache), first);
    assert_eq!((cache.len(), cache.is_empty(), cache.max_length()), (4, false, 6));
}

#[test]
fn selected_rows_of_a_cache_go_on_as_their_own() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let prompts = [[1, 2], [3, 4], [5, 6]];
    for rows in [vec![2, 0, 0, 1], vec![1, 0, 2], vec![2], vec![0, 1, 2]] {
        let mut cache = backbone.new_cache(3, 4).unwrap();
        let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
        backbone.forward_with(ids(&prompts, &device), options).unwrap();
        cache.select_rows(&rows);
        let next = Tensor::<2, Int>::full([rows.len(), 1], 7, &device);
        let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
        let found = values(backbone.forward_with(next, options).unwrap());
        let whole: Vec<[i32; 3]> =
            rows.iter().map(|&row| [prompts[row][0], prompts[row][1], 7]).collect();
        let expected = backbone.forward(ids(&whole, &device), None).unwrap().narrow(1, 2, 1);
        assert_close(&found, &values(expected));
    }
}

#[test]
fn padding_changes_no_real_position() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let short = values(backbone.forward(ids(&[[1, 2, 3]], &device), None).unwrap());
    for padding in [0, 9] {
        let padded = ids(&[[1, 2, 3, padding, padding]], &device);
        let mask = Tensor::<2, Bool>::from_data([[true, true, true, false, false]], &device);
        let found = backbone.forward(padded, Some(mask)).unwrap();
        assert_close(&values(found.narrow(1, 0, 3)), &short);
    }
}

#[test]
fn a_row_that_is_all_padding_stays_finite() {
    let device = Device::flex();
    let mask = Tensor::<2, Bool>::from_data([[false, false], [true, true]], &device);
    let found = backbone(&device).forward(ids(&[[1, 2], [1, 2]], &device), Some(mask)).unwrap();
    assert!(values(found).iter().all(|value| value.is_finite()));
}

#[test]
fn an_intercept_sees_every_layer_and_may_change_it() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let token_ids = ids(&[[1, 2, 3]], &device);
    let mut points = Vec::new();
    let mut erase = |x: Tensor<3>, point| {
        assert_eq!(x.dims(), [1, 3, 4]);
        points.push(point);
        if point == InterceptPoint::Embeddings { x.zeros_like() } else { x }
    };
    let options = ForwardOptions { intercept: Some(&mut erase), ..Default::default() };
    let erased = backbone.forward_with(token_ids.clone(), options).unwrap();
    let layers = (0..2).map(InterceptPoint::TransformerLayer);
    assert_eq!(points, [InterceptPoint::Embeddings].into_iter().chain(layers).collect::<Vec<_>>());
    // Without position embeddings all positions are alike.
    let alike = values(erased);
    assert_close(&alike[..4], &alike[8..]);
    let whole = values(backbone.forward(token_ids, None).unwrap());
    assert!((whole[0] - whole[8]).abs() > 1e-3);
}

#[test]
fn gradients_reach_every_parameter() {
    let device = Device::flex().autodiff();
    let backbone = backbone(&device);
    let hidden_states = backbone.forward(ids(&[[1, 2, 3]], &device), None).unwrap();
    let gradients = backbone.logits(hidden_states).log().powf_scalar(2.0).sum().backward();
    let kernel = &backbone.transformer_layers[0].self_attention_layer.query_dense.kernel;
    assert!(kernel.val().grad(&gradients).is_some());
    assert!(backbone.token_embedding.embeddings.val().grad(&gradients).is_some());
}

#[test]
fn a_model_is_initialised_as_keras_hub_does() {
    let config = Gpt2BackboneConfig::new(500, 1, 4, 64, 256).with_max_sequence_length(300);
    let model = Gpt2Backbone::new(&config, 3, &Device::flex()).unwrap();
    let mut deviations = BTreeMap::new();
    let mut count = 0;
    visit_parameters(&model, |path, data| {
        let values: Vec<f32> = data.iter::<f32>().collect();
        count += values.len() as u128;
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance =
            values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
        deviations.insert(path.to_owned(), (mean, variance.sqrt()));
    })
    .unwrap();
    assert_eq!(count, config.parameter_count());
    for (path, (mean, deviation)) in deviations {
        let (expected_mean, expected) = match path.rsplit('.').next().unwrap() {
            "embeddings" => (0.0, 0.01),
            "position_embeddings" | "kernel" => (0.0, 0.02),
            "gamma" => (1.0, 0.0),
            _ => (0.0, 0.0),
        };
        // The samples have at least 4,096 values: their deviation is within 4 % of the true one.
        assert!((mean - expected_mean).abs() < 0.0015, "{path}: mean {mean}");
        assert!((deviation - expected).abs() <= 0.04 * expected, "{path}: deviation {deviation}");
    }
}

#[test]
fn a_seed_decides_the_initial_weights() {
    let device = Device::flex();
    let first = |seed| {
        let model = Gpt2Backbone::new(&config(), seed, &device).unwrap();
        values(model.token_embedding.embeddings.val())
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_the_cache_alone() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let error = backbone.forward(Tensor::ones([1, 7], &device), None).unwrap_err();
    assert_eq!(error, BackboneError::SequenceTooLong { end: 7, max_sequence_length: 6 });
    assert_eq!(backbone.new_cache(1, 7).unwrap_err(), error);

    let mask = Tensor::<2, Bool>::from_data([[true, true]], &device);
    let error = backbone.forward(ids(&[[1, 2, 3]], &device), Some(mask)).unwrap_err();
    assert!(error.to_string().contains("`padding_mask` must have shape [1, 3], found [1, 2]"));

    let mut cache = backbone.new_cache(1, 2).unwrap();
    let mut feed = |rows: Tensor<2, Int>| {
        let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
        backbone.forward_with(rows, options).map(|_| ()).unwrap_err()
    };
    assert!(matches!(feed(ids(&[[1, 2, 3]], &device)), BackboneError::CacheFull { new: 3, .. }));
    let two_rows = ids(&[[1], [2]], &device);
    assert!(matches!(feed(two_rows), BackboneError::ShapeMismatch { name: "token_ids", .. }));
    assert!(cache.is_empty());

    let invalid = config().with_num_heads(3);
    assert!(matches!(
        Gpt2Backbone::new(&invalid, 0, &device),
        Err(BackboneError::HeadsDoNotDivideHidden { .. })
    ));
}

#[test]
fn a_position_on_the_device_is_for_steps_alone() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let mut cache = backbone.new_cache(2, 4).unwrap();
    let mut moved = cache.clone();
    moved.select_rows(&[1, 0]);
    let mask = || Some(Tensor::<2, Bool>::from_data([[true], [true]], &device));
    let found = |rows, padding_mask, cache: Option<&mut _>| {
        let position = Some(Tensor::from_data([0], &device));
        let options = ForwardOptions { cache, padding_mask, position, ..Default::default() };
        match backbone.forward_with(rows, options).unwrap_err() {
            BackboneError::NoStep { found } => found,
            error => panic!("{error}"),
        }
    };
    let (one, two) = (ids(&[[1], [2]], &device), ids(&[[1, 2], [3, 4]], &device));
    assert_eq!(found(one.clone(), None, None), "no cache");
    assert_eq!(found(one.clone(), None, Some(&mut moved)), "a cache with moved rows");
    assert_eq!(found(two, None, Some(&mut cache)), "several tokens a row");
    assert_eq!(found(one.clone(), mask(), Some(&mut cache)), "a mask");
    assert_eq!(found(one, None, Some(&mut cache)), "another device");
    assert!(cache.is_empty());
}

#[test]
fn an_empty_input_is_an_error() {
    let device = Device::flex();
    let error = backbone(&device).forward(Tensor::ones([1, 0], &device), None).unwrap_err();
    assert!(matches!(error, BackboneError::EmptyInput { .. }), "{error}");
}

/// Runs with `--features ndarray`, which is not the default backend.
#[cfg(feature = "ndarray")]
#[test]
fn ndarray_computes_what_flex_computes() {
    let outputs = ["flex", "ndarray"].map(|name| {
        let device = gpt2_backbone::parse_device(name).unwrap();
        let backbone = backbone(&device);
        let token_ids = ids(&[[1, 2, 3, 4, 5, 6], [9, 8, 7, 6, 5, 4]], &device);
        let mut cache = backbone.new_cache(2, 6).unwrap();
        let mut pieces = Vec::new();
        for (start, part) in [(0, 3), (3, 1), (4, 2)] {
            let piece = token_ids.clone().narrow(1, start, part);
            let options = ForwardOptions { cache: Some(&mut cache), ..Default::default() };
            pieces.push(backbone.forward_with(piece, options).unwrap());
        }
        values(backbone.logits(Tensor::cat(pieces, 1)))
    });
    assert_close(&outputs[0], &outputs[1]);
}

/// Hidden states of a pass in training, and the gradients of their weighted sum.
fn train(device: &Device, options: TrainingOptions) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    train_without(&[], device, options)
}

/// As [`train`], with some layers frozen.
fn train_without(
    frozen: &[&str],
    device: &Device,
    options: TrainingOptions,
) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let mut backbone = backbone(device);
    backbone.set_dropout(0.25).unwrap();
    backbone.set_trainable(frozen, false).unwrap();
    let token_ids = ids(&[[1, 2, 3, 4, 5, 6], [9, 8, 7, 6, 5, 4]], device);
    let (hidden_states, back) = backbone.forward_for_training(token_ids, None, options).unwrap();
    let weights = Tensor::arange(0..48, device).float().reshape([2, 6, 4]) * 0.1 - 2.0;
    let gradients = back.backward(weights, BTreeMap::new()).into_iter();
    let gradients = gradients.map(|(path, gradient)| (path, values(gradient))).collect();
    (values(hidden_states), gradients)
}

#[test]
fn what_is_frozen_has_no_gradient_and_changes_no_other() {
    let device = Device::flex();
    for gradient_checkpointing in [false, true] {
        let dropout = Some(DropoutSeed { seed: 3, step: 5 });
        let options = TrainingOptions { dropout, gradient_checkpointing, ..Default::default() };
        let (_, all) = train(&device, options);
        for frozen in [
            &["token_embedding"][..],
            &["position_embedding"],
            &["token_embedding", "position_embedding"],
            &["token_embedding", "position_embedding", "transformer_layers.0"],
            &["transformer_layers"],
            &["token_embedding", "position_embedding", "transformer_layers"],
        ] {
            let (_, found) = train_without(frozen, &device, options);
            let is_frozen = |path: &str| frozen.iter().any(|name| path.starts_with(name));
            let mut expected = all.clone();
            expected.retain(|path, _| !is_frozen(path));
            assert_eq!(found, expected, "without {frozen:?}");
        }
    }
}

#[test]
fn gradients_by_other_ways_are_added_to() {
    let device = Device::flex();
    let backbone = backbone(&device);
    let path = "token_embedding.embeddings";
    let gradient = |others: BTreeMap<String, Tensor<1>>| {
        let token_ids = ids(&[[1, 2, 3, 1, 5, 1]], &device);
        let options = TrainingOptions::default();
        let (_, back) = backbone.forward_for_training(token_ids, None, options).unwrap();
        let weights = Tensor::arange(0..24, &device).float().reshape([1, 6, 4]);
        values(back.backward(weights, others)[path].clone())
    };
    let alone = gradient(BTreeMap::new());
    let ones = Tensor::ones([alone.len()], &device);
    let sum = gradient(BTreeMap::from([(path.to_owned(), ones)]));
    let expected: Vec<f32> = alone.iter().map(|value| value + 1.0).collect();
    // A token that comes three times has its rows added in another order.
    for (found, expected) in sum.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

#[test]
fn layers_that_are_computed_again_have_the_same_gradients() {
    let device = Device::flex();
    let dropout = Some(DropoutSeed { seed: 3, step: 5 });
    for dropout in [None, dropout] {
        let options = |gradient_checkpointing| TrainingOptions {
            dropout,
            gradient_checkpointing,
            ..Default::default()
        };
        let (hidden, gradients) = train(&device, options(false));
        let (hidden_again, gradients_again) = train(&device, options(true));
        assert_close(&hidden, &hidden_again);
        assert_eq!(gradients.len(), 36);
        assert_eq!(gradients.len(), gradients_again.len());
        for (path, gradient) in gradients {
            // The gradients are of size ten.
            for (one, other) in gradient.iter().zip(&gradients_again[&path]) {
                assert!((one - other).abs() < 1e-4, "{path}: {one} is not {other}");
            }
        }
    }
    let (dropped, _) = train(&device, TrainingOptions { dropout, ..Default::default() });
    let (kept, _) = train(&device, TrainingOptions::default());
    assert_ne!(dropped, kept);
}

/// Runs with `--features ndarray`, which is not the default backend.
#[cfg(feature = "ndarray")]
#[test]
fn ndarray_trains_as_flex_does() {
    let dropout = Some(DropoutSeed { seed: 3, step: 5 });
    let [flex, ndarray] = ["flex", "ndarray"].map(|name| {
        let device = gpt2_backbone::parse_device(name).unwrap();
        train(&device, TrainingOptions { dropout, ..Default::default() })
    });
    assert_close(&flex.0, &ndarray.0);
    for (path, gradient) in flex.1 {
        for (one, other) in gradient.iter().zip(&ndarray.1[&path]) {
            assert!((one - other).abs() < 1e-4, "{path}: {one} is not {other}");
        }
    }
}

/// Random parameters, except those whose path ends in one of these names: they are constant.
struct Constant(RandomParameters, &'static [(&'static str, f32)]);

impl ParameterSource for Constant {
    type Error = BackboneError;

    fn parameter(
        &mut self,
        parameter: &ParameterSpec<'_>,
    ) -> Result<burn::tensor::TensorData, BackboneError> {
        let Ok(data) = self.0.parameter(parameter);
        let constant = self.1.iter().find(|(path, _)| parameter.path.ends_with(path));
        Ok(match constant {
            Some((_, value)) => {
                let values = vec![*value; parameter.shape.iter().product()];
                burn::tensor::TensorData::new(values, parameter.shape.to_vec())
            }
            None => data,
        })
    }
}

/// Output of the embeddings, and the addition of the only layer, at a dropout rate of 0.5.
fn dropped(constants: &'static [(&'static str, f32)], seed: Option<u64>) -> [Vec<f32>; 2] {
    let device = Device::flex();
    let config = Gpt2BackboneConfig::new(10, 1, 1, 8, 8).with_max_sequence_length(6);
    let config = config.with_dropout(0.5);
    let mut source = Constant(RandomParameters::new(1), constants);
    let backbone = Gpt2Backbone::from_source(&config, &mut source, &device).unwrap();
    let mut seen = Vec::new();
    let mut watch = |x: Tensor<3>, _: InterceptPoint| {
        seen.push(values(x.clone()));
        x
    };
    let options = ForwardOptions {
        intercept: Some(&mut watch),
        dropout: seed.map(|seed| DropoutSeed { seed, step: 0 }),
        ..Default::default()
    };
    backbone.forward_with(ids(&[[1, 2, 3, 4, 5, 6]], &device), options).unwrap();
    let [before, after] = <[Vec<f32>; 2]>::try_from(seen).unwrap();
    let added = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    [before, added]
}

/// Counts the values near zero and those near `kept`. Every value must be one or the other.
fn dropped_and_kept(values: &[f32], kept: f32) -> (usize, usize) {
    let near = |value: &&f32, expected: f32| (**value - expected).abs() < 1e-5;
    let zeros = values.iter().filter(|value| near(value, 0.0)).count();
    let others = values.iter().filter(|value| near(value, kept)).count();
    assert_eq!(zeros + others, values.len(), "{values:?}");
    (zeros, others)
}

/// The dropouts of `keras_hub/src/models/gpt2/gpt2_backbone.py` and `transformer_decoder.py`. Each
/// is tested alone: the constants leave the others nothing to drop.
#[test]
fn dropout_is_where_keras_hub_has_it() {
    // About half of 48 numbers; the counts hold for this seed.
    // The sum of both embeddings, 1 + 2, is dropped as one number.
    let embeddings = &[("token_embedding.embeddings", 1.0), ("position_embeddings", 2.0)];
    assert_eq!(dropped_and_kept(&dropped(embeddings, Some(3))[0], 6.0), (19, 29));
    assert_eq!(dropped(embeddings, None)[0], [3.0; 48]);

    // The attention adds only its output's bias, the feed-forward network nothing.
    let attention = &[
        ("output_dense.kernel", 0.0),
        ("self_attention_layer.output_dense.bias", 4.0),
        ("feedforward_output_dense.bias", 0.0),
    ];
    assert_eq!(dropped_and_kept(&dropped(attention, Some(3))[1], 8.0), (21, 27));
    let feed_forward = &[
        ("output_dense.kernel", 0.0),
        ("self_attention_layer.output_dense.bias", 0.0),
        ("feedforward_output_dense.bias", 4.0),
    ];
    assert_eq!(dropped_and_kept(&dropped(feed_forward, Some(3))[1], 8.0), (27, 21));

    // All values are 1, so that the attention adds the sum of a position's probabilities after
    // dropout. Every column is the sum of eight equal values.
    let probabilities = &[
        ("value_dense.kernel", 0.0),
        ("value_dense.bias", 1.0),
        ("self_attention_layer.output_dense.kernel", 0.125),
        ("self_attention_layer.output_dense.bias", 0.0),
        ("feedforward_output_dense.kernel", 0.0),
        ("feedforward_output_dense.bias", 0.0),
    ];
    let [_, whole] = dropped(probabilities, None);
    assert!(whole.iter().all(|added| (added - 1.0).abs() < 1e-5));
    let [_, added] = dropped(probabilities, Some(3));
    let rows: Vec<f32> = added
        .chunks(8)
        .map(|row| {
            let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            // Half of the outputs are dropped too, and the others are doubled.
            let (_, kept) = dropped_and_kept(row, largest);
            assert!(largest < 1e-5 || kept > 0);
            largest / 2.0
        })
        .collect();
    // The six positions see one to six tokens: the first keeps all of its probability or none.
    assert!(rows[0].abs() < 1e-5 || (rows[0] - 2.0).abs() < 1e-5, "{rows:?}");
    assert!(rows.iter().any(|&left| (left - 1.0).abs() > 0.1), "{rows:?}");
}
