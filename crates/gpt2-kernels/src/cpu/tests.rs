//! Every kernel beside the composed operation, on shapes that fill vectors, blocks and tasks, and
//! on others.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding, counted_random};
use crate::composed;
use crate::kernels::Kernels;

/// Numbers between -1 and 1.
pub(super) fn numbers(seed: u64, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    let number = |index| counted_random(seed, index) as u32 as f32 / 2f32.powi(31) - 1.0;
    let values: Vec<f32> = (0..shape.num_elements() as u64).map(number).collect();
    FlexTensor::from_data(TensorData::new(values, shape))
}

pub(super) fn scaled(tensor: FlexTensor, factor: f32) -> FlexTensor {
    <Flex as burn::backend::ops::FloatTensorOps<Flex>>::float_mul_scalar(tensor, factor.into())
}

/// The largest difference, as a share of the largest number.
pub(super) fn difference(found: &FlexTensor, expected: &FlexTensor) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let [found, expected] = [found, expected]
        .map(|tensor| tensor.clone().into_data().iter::<f32>().collect::<Vec<_>>());
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(&expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest.max(1e-30)
}

/// Both sides round each of some thousand sums, whose order differs.
pub(super) const ROUNDING: f32 = 2e-6;

#[test]
fn products_of_any_size() {
    for (seed, (rows, inputs, outputs)) in [
        (1, 768, 768),
        (1, 7, 5),
        (3, 193, 771),
        (8, 384, 1540),
        (9, 200, 40),
        (16, 33, 17),
        (40, 96, 130),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = 10 * seed as u64;
        let x = numbers(seed, [rows, inputs]);
        let kernel = numbers(seed + 1, [inputs, outputs]);
        let bias = numbers(seed + 2, [outputs]);
        let residual = numbers(seed + 3, [rows, outputs]);
        let name = format!("{rows}x{inputs}x{outputs}");
        let all = || (x.clone(), kernel.clone(), bias.clone());
        let (a, b, c) = all();
        let expected = composed::linear::<Flex>(a, b, c);
        let (a, b, c) = all();
        assert!(difference(&Flex::fused_linear(a, b, c), &expected) < ROUNDING, "{name}");
        let (a, b, c) = all();
        let found = Flex::fused_linear_gelu(a, b, c);
        let activated = composed::gelu::<Flex>(expected.clone());
        assert!(difference(&found, &activated) < ROUNDING, "{name} with GELU");
        let (a, b, c) = all();
        let found = Flex::fused_linear_add(a, b, c, residual.clone());
        let (a, b, c) = all();
        let expected = composed::linear_add::<Flex>(a, b, c, residual);
        assert!(difference(&found, &expected) < ROUNDING, "{name} with residual");
        let table = numbers(seed + 4, [outputs, inputs]);
        let found = Flex::fused_reverse_embedding(x.clone(), table.clone());
        let expected = composed::reverse_embedding::<Flex>(x, table);
        assert!(difference(&found, &expected) < ROUNDING, "{name} reversed");
    }
}

#[test]
fn a_row_is_the_same_alone_and_among_others() {
    let (kernel, bias) = (numbers(1, [400, 900]), numbers(2, [900]));
    // More rows than the narrow product takes.
    let x = numbers(3, [43, 400]);
    let table = numbers(4, [300, 400]);
    let all = Flex::fused_linear(x.clone(), kernel.clone(), bias.clone()).into_data();
    let all: Vec<f32> = all.iter().collect();
    let values: Vec<f32> = x.into_data().iter().collect();
    let x = FlexTensor::from_data(TensorData::new(values[..11 * 400].to_vec(), [11, 400]));
    let logits = Flex::fused_reverse_embedding(x, table.clone()).into_data();
    let logits: Vec<f32> = logits.iter().collect();
    for row in 0..43 {
        let data = TensorData::new(values[row * 400..][..400].to_vec(), [1, 400]);
        let alone = FlexTensor::from_data(data);
        let found = Flex::fused_linear(alone.clone(), kernel.clone(), bias.clone()).into_data();
        assert!(found.iter::<f32>().eq(all[row * 900..][..900].iter().copied()), "row {row}");
        if row >= 11 {
            continue;
        }
        let found = Flex::fused_reverse_embedding(alone, table.clone()).into_data();
        assert!(found.iter::<f32>().eq(logits[row * 300..][..300].iter().copied()), "row {row}");
    }
}

#[test]
fn activation_and_normalisation() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (40, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 12.0);
        let found = Flex::fused_gelu(x.clone());
        assert!(difference(&found, &composed::gelu::<Flex>(x.clone())) < 1e-6, "GELU {width}");
        let (gamma, beta) = (numbers(7, [width]), numbers(8, [width]));
        let found = Flex::fused_layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5);
        let expected = composed::layer_norm::<Flex>(x, gamma, beta, 1e-5);
        assert!(difference(&found, &expected) < 2e-6, "layer norm {width}");
    }
}

#[test]
fn gelu_keeps_its_digits_at_both_ends() {
    let inputs: Vec<f32> = (-400..=400).map(|index| index as f32 * 0.1).collect();
    let x = FlexTensor::from_data(TensorData::new(inputs.clone(), [inputs.len()]));
    let found: Vec<f32> = Flex::fused_gelu(x).into_data().iter().collect();
    for (x, found) in inputs.iter().zip(found) {
        let x = f64::from(*x);
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        let expected = x / (1.0 + (-2.0 * inner).exp());
        // A few units in the last place, and what a rounded exponent of -60 is worth.
        let allowed = 6e-6 * expected.abs() + 1e-30;
        assert!((f64::from(found) - expected).abs() <= allowed, "{x}: {found} is not {expected}");
    }
}

fn options(heads: usize, dropout: Option<DropoutKey>) -> AttentionOptions {
    AttentionOptions { num_heads: heads, scale: 0.37, dropout }
}

/// A mask that hides some keys, and from the second sequence all of the first ones.
fn padding(batch_size: usize, keys: usize) -> Padding<Flex> {
    let keep: Vec<bool> = (0..batch_size * keys)
        .map(|index| match index / keys {
            1 => index % keys >= keys / 2,
            row => (index + row) % 3 != 1,
        })
        .collect();
    Padding::Keep(FlexTensor::from_data(TensorData::new(keep, [batch_size, keys])))
}

#[test]
fn attention_forward_and_backward() {
    for (seed, (batch_size, length, heads, width)) in
        [(1, 1, 1, 3), (2, 5, 3, 4), (2, 8, 2, 16), (1, 130, 2, 64), (3, 70, 1, 20)]
            .into_iter()
            .enumerate()
    {
        for dropout in [None, Some(DropoutKey { key: 5, rate: 0.3 })] {
            for masked in [false, true] {
                let shape = [batch_size, length, heads * width];
                let [q, k, v, g] =
                    [1, 2, 3, 4].map(|index| numbers(10 * seed as u64 + index, shape));
                let mask = || if masked { padding(batch_size, length) } else { Padding::None };
                let options = options(heads, dropout);
                let name = format!("{shape:?} in {heads} heads, {dropout:?}, masked: {masked}");
                let found = Flex::fused_attention(q.clone(), k.clone(), v.clone(), mask(), options);
                let expected =
                    composed::attention::<Flex>(q.clone(), k.clone(), v.clone(), mask(), options);
                assert!(difference(&found, &expected) < ROUNDING, "{name}");
                let (a, b, c) = Flex::fused_attention_backward(
                    q.clone(),
                    k.clone(),
                    v.clone(),
                    g.clone(),
                    mask(),
                    options,
                );
                let (d, e, f) = composed::attention_backward::<Flex>(q, k, v, g, mask(), options);
                // Of one token the probability is 1, and the scores have no gradient.
                if length > 1 {
                    assert!(difference(&a, &d) < 1e-5, "query of {name}");
                    assert!(difference(&b, &e) < 1e-5, "key of {name}");
                }
                assert!(difference(&c, &f) < 1e-5, "value of {name}");
            }
        }
    }
}

type Attend = fn(
    FlexTensor,
    FlexTensor,
    FlexTensor,
    FlexTensor,
    FlexTensor,
    Padding<Flex>,
    CachedKeys,
    AttentionOptions,
) -> (FlexTensor, FlexTensor, FlexTensor);

#[test]
fn attention_to_a_cache_whose_rows_were_moved() {
    let (heads, width, max_length) = (2, 5, 30);
    for (batch_size, start, new) in [(1, 0, 1), (1, 4, 1), (3, 7, 1), (2, 6, 3), (3, 5, 12)] {
        for moved in [false, true] {
            let capacity = 3;
            let cache = |seed| numbers(seed, [capacity, heads, max_length, width]);
            let input = |seed| numbers(seed, [batch_size, new, heads * width]);
            let table: Vec<u32> =
                (0..batch_size * max_length).map(|index| ((index * 7) % capacity) as u32).collect();
            let rows = moved.then(|| table.into());
            let cached = CachedKeys { start, rows };
            let run = |attend: Attend| {
                let padding = padding(batch_size, start + new);
                let (keys, values) = (cache(4), cache(5));
                let options = options(heads, None);
                let cached = cached.clone();
                attend(input(1), input(2), input(3), keys, values, padding, cached, options)
            };
            let (output, keys, values) = run(Flex::fused_cached_attention);
            let (expected, expected_keys, expected_values) =
                run(composed::cached_attention::<Flex>);
            let name = format!("{new} tokens behind {start}, moved: {moved}");
            assert!(difference(&output, &expected) < ROUNDING, "{name}");
            assert_eq!(difference(&keys, &expected_keys), 0.0, "{name}");
            assert_eq!(difference(&values, &expected_values), 0.0, "{name}");
        }
    }
}

#[test]
fn a_cache_without_other_owners_is_written_in_place() {
    let cache = || numbers(1, [1, 1, 4, 2]);
    let input = || numbers(2, [1, 1, 2]);
    let (keys, values) = (cache(), cache());
    let address = |tensor: &FlexTensor| tensor.bytes().as_ptr();
    let before = [address(&keys), address(&values)];
    let cached = CachedKeys { start: 2, rows: None };
    let (_, keys, values) = Flex::fused_cached_attention(
        input(),
        input(),
        input(),
        keys,
        values,
        Padding::None,
        cached,
        options(1, None),
    );
    assert_eq!([address(&keys), address(&values)], before);
}
