//! Attention against its definition in 64-bit floats, and against the composed operations.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::inputs::{AttentionOptions, CacheTensors, CachedKeys, Padding, QkvTensors};
use super::oracle::Problem;
use super::{AttentionOps, composed};
use crate::cpu::testing::{ROUNDING, check_threads, difference, numbers, values};
use crate::op::dropout::key::DropoutKey;

/// Tolerance of the output. Kernels round each score, exponential and sum to 24 bits. The rounding
/// of a score of size 5 changes its probability by a factor of up to 1 + 3e-7, and some hundred
/// products are summed.
const FORWARD: f64 = 2e-6;

/// Tolerance of gradients, which have two more products and a difference of nearly equal numbers.
const BACKWARD: f64 = 1e-5;

fn options(heads: usize, dropout: Option<DropoutKey>) -> AttentionOptions {
    AttentionOptions { num_heads: heads, scale: 0.37, dropout }
}

/// Mask that hides some keys, and the first half of the second sequence.
fn keep(batch_size: usize, keys: usize) -> Vec<bool> {
    (0..batch_size * keys)
        .map(|index| match index / keys {
            1 => index % keys >= keys / 2,
            row => (index + row) % 3 != 1,
        })
        .collect()
}

fn padding(keep: &Option<Vec<bool>>, batch_size: usize) -> Padding<Flex> {
    let Some(keep) = keep else { return Padding::None };
    let shape = [batch_size, keep.len() / batch_size];
    Padding::Keep(FlexTensor::from_data(TensorData::new(keep.clone(), shape)))
}

/// Largest absolute difference, relative to the largest expected number.
fn difference_64(found: &FlexTensor, expected: &[f64]) -> f64 {
    let found = values(found);
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / largest.max(1e-30)
}

fn qkv(seed: u64, shape: [usize; 3]) -> QkvTensors<Flex> {
    [1, 2, 3].map(|index| numbers(10 * seed + index, shape)).into()
}

#[test]
fn attention_and_its_gradients_equal_their_definition() {
    for (seed, (batch_size, length, heads, width)) in
        [(1, 1, 1, 3), (2, 5, 3, 4), (2, 8, 2, 16), (1, 130, 2, 64), (3, 70, 1, 20)]
            .into_iter()
            .enumerate()
    {
        for dropout in [None, Some(DropoutKey { key: 5, rate: 0.3 })] {
            for masked in [false, true] {
                let shape = [batch_size, length, heads * width];
                let qkv = qkv(seed as u64, shape);
                let gradient = numbers(10 * seed as u64 + 4, shape);
                let keep = masked.then(|| keep(batch_size, length));
                let mask = || padding(&keep, batch_size);
                let options = options(heads, dropout);
                let problem = Problem::packed(&qkv, keep.as_deref(), options);
                let name = format!("{shape:?} in {heads} heads, {dropout:?}, masked: {masked}");

                let found = Flex::fused_attention(qkv.clone(), mask(), options);
                assert!(difference_64(&found, &problem.output()) < FORWARD, "{name}");
                let expected = composed::attention::<Flex>(qkv.clone(), mask(), options);
                assert!(difference(&found, &expected) < ROUNDING, "{name}, composed");

                let run = |backward: Backward| {
                    let found = backward(qkv.clone(), gradient.clone(), mask(), options);
                    [("query", found.query), ("key", found.key), ("value", found.value)]
                };
                let found = run(Flex::fused_attention_backward);
                let composed = run(composed::attention_backward::<Flex>);
                let exact = problem.gradients(&values(&gradient));
                for (((part, found), (_, composed)), exact) in
                    found.iter().zip(&composed).zip(&exact)
                {
                    // With one token the probability is 1, and the scores have no gradient.
                    if length > 1 || *part == "value" {
                        assert!(difference_64(found, exact) < BACKWARD, "{part} of {name}");
                        assert!(difference(found, composed) < 1e-5, "{part} of {name}, composed");
                    }
                }
            }
        }
    }
}

type Backward =
    fn(QkvTensors<Flex>, FlexTensor, Padding<Flex>, AttentionOptions) -> QkvTensors<Flex>;

#[test]
fn the_definition_agrees_with_finite_differences() {
    let shape = [2, 4, 6];
    let (qkv, gradient) = (qkv(1, shape), values(&numbers(4, shape)));
    let keep = keep(2, 4);
    let options = options(2, Some(DropoutKey { key: 5, rate: 0.3 }));
    let problem = Problem::packed(&qkv, Some(&keep), options);
    let loss = |problem: &Problem| -> f64 {
        problem.output().iter().zip(&gradient).map(|(y, g)| y * f64::from(*g)).sum()
    };
    let step = 1e-4;
    for (input, exact) in problem.gradients(&gradient).into_iter().enumerate() {
        for (index, exact) in exact.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut problem = problem.clone();
                problem.inputs[input][index] += by;
                loss(&problem)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            // Error of the finite difference: the square of the step, and the losses' rounding
            // divided by it.
            assert!((slope - exact).abs() < 1e-7, "{input}, {index}: {exact} is not {slope}");
        }
    }
}

type Attend = fn(
    QkvTensors<Flex>,
    CacheTensors<Flex>,
    Padding<Flex>,
    CachedKeys,
    AttentionOptions,
) -> (FlexTensor, CacheTensors<Flex>);

#[test]
fn attention_to_a_cache_whose_rows_were_moved() {
    let (heads, width, max_length, capacity) = (2, 5, 30, 3);
    for (batch_size, start, new) in [(1, 0, 1), (1, 4, 1), (3, 7, 1), (2, 6, 3), (3, 5, 12)] {
        for moved in [false, true] {
            let shape = [capacity, heads, max_length, width];
            let caches = CacheTensors { keys: numbers(4, shape), values: numbers(5, shape) };
            let qkv = qkv(0, [batch_size, new, heads * width]);
            let row = |place: usize| ((place * 7) % capacity) as u32;
            let rows = moved.then(|| (0..batch_size * max_length).map(row).collect());
            let cached = CachedKeys { start, rows };
            let (keep, options) = (Some(keep(batch_size, start + new)), options(heads, None));
            let run = |attend: Attend| {
                let padding = padding(&keep, batch_size);
                attend(qkv.clone(), caches.clone(), padding, cached.clone(), options)
            };
            let (output, found) = run(Flex::fused_cached_attention);
            let (composed, expected) = run(composed::cached_attention::<Flex>);
            let name = format!("{new} tokens after {start}, moved: {moved}");
            let problem = Problem::cached(&qkv, &caches, &cached, keep.as_deref(), options);
            assert!(difference_64(&output, &problem.output()) < FORWARD, "{name}");
            assert!(difference(&output, &composed) < ROUNDING, "{name}, composed");
            assert_eq!(difference(&found.keys, &expected.keys), 0.0, "{name}");
            assert_eq!(difference(&found.values, &expected.values), 0.0, "{name}");
        }
    }
}

#[test]
fn a_cache_without_other_owners_is_written_in_place() {
    let cache = || numbers(1, [1, 1, 4, 2]);
    let caches = CacheTensors::<Flex> { keys: cache(), values: cache() };
    let addresses = |caches: &CacheTensors<Flex>| {
        [&caches.keys, &caches.values].map(|tensor| tensor.bytes().as_ptr())
    };
    let before = addresses(&caches);
    let qkv = qkv(0, [1, 1, 2]);
    let cached = CachedKeys { start: 2, rows: None };
    let (_, caches) =
        Flex::fused_cached_attention(qkv, caches, Padding::None, cached, options(1, None));
    assert_eq!(addresses(&caches), before);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let shape = [2, 150, 96];
    let options = options(3, Some(DropoutKey { key: 5, rate: 0.3 }));
    check_threads(|| {
        let (qkv, gradient) = (qkv(1, shape), numbers(4, shape));
        let output = Flex::fused_attention(qkv.clone(), Padding::None, options);
        let gradients = Flex::fused_attention_backward(qkv, gradient, Padding::None, options);
        vec![output, gradients.query, gradients.key, gradients.value]
    });
}
