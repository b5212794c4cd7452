//! Cross-entropy against losses in 64 bits, the composed operations, and finite differences.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::request::{CrossEntropy, CrossEntropyGradients};
use super::{CrossEntropyOps, composed};
use crate::cpu::testing::{ROUNDING, check_threads, difference, numbers, scaled, values};

fn random_targets(rows: usize, vocabulary_size: usize) -> Vec<u32> {
    (0..rows).map(|row| (row * 7919 % vocabulary_size) as u32).collect()
}

/// Losses in 64 bits. The composed operations add 100,003 exponentials one by one and are less
/// exact than the kernel.
fn losses(hidden: &FlexTensor, table: &FlexTensor, tied: bool, targets: &[u32]) -> FlexTensor {
    let [rows, width] = hidden.shape().dims();
    let (hidden, table) = (values(hidden), values(table));
    let vocabulary_size = table.len() / width;
    let weight = |token: usize, column: usize| {
        table[if tied { token * width + column } else { column * vocabulary_size + token }]
    };
    let loss = |(row, target): (&[f32], &u32)| {
        let product =
            |(column, x): (usize, &f32), token| f64::from(*x) * f64::from(weight(token, column));
        let logit = |token| row.iter().enumerate().map(|x| product(x, token)).sum::<f64>();
        let logits: Vec<f64> = (0..vocabulary_size).map(logit).collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        (sum.ln() + largest - logits[*target as usize]) as f32
    };
    let losses: Vec<f32> = hidden.chunks_exact(width).zip(targets).map(loss).collect();
    FlexTensor::from_data(TensorData::new(losses, [rows]))
}

#[test]
fn cross_entropy_of_any_size() {
    // The last case has three chunks of rows.
    for (rows, width, vocabulary_size) in
        [(1, 3, 2), (5, 20, 37), (33, 64, 1001), (400, 2, 100_003)]
    {
        for tied in [true, false] {
            let name = format!("{rows}x{width}x{vocabulary_size}, tied: {tied}");
            let hidden = scaled(numbers(1, [rows, width]), 3.0);
            let shape = if tied { [vocabulary_size, width] } else { [width, vocabulary_size] };
            let table = numbers(2, shape);
            let factors = values(&numbers(3, [rows])).iter().map(|x| x.abs()).collect();
            let mut request = CrossEntropy {
                targets: random_targets(rows, vocabulary_size),
                tied,
                gradients: None,
                compute_dtype: None,
            };
            let run = |request: &CrossEntropy| {
                let found =
                    Flex::fused_cross_entropy(hidden.clone(), table.clone(), request.clone());
                (
                    found,
                    composed::cross_entropy::<Flex>(hidden.clone(), table.clone(), request.clone()),
                )
            };
            let exact = losses(&hidden, &table, tied, &request.targets);
            let (found, _) = run(&request);
            assert!(difference(&found.0, &exact) < ROUNDING, "losses of {name}");
            assert!(found.2.is_none() && found.3.is_none());
            request.gradients = Some(CrossEntropyGradients { factors, table: true });
            let (found, expected) = run(&request);
            assert!(difference(&found.0, &exact) < ROUNDING, "losses of {name}");
            // The kernel's losses are within 2e-6 of these; the composed ones are not.
            assert!(difference(&expected.0, &exact) < 1e-4, "composed losses of {name}");
            let best =
                |tensor: &FlexTensor| -> Vec<i64> { tensor.clone().into_data().iter().collect() };
            assert_eq!(best(&found.1), best(&expected.1), "tokens of {name}");
            let [gradient, other] = [&found.2, &expected.2].map(|x| x.as_ref().unwrap());
            // Thousands of products are added in another order.
            assert!(difference(gradient, other) < 1e-5, "hidden gradient of {name}");
            let [gradient, other] = [&found.3, &expected.3].map(|x| x.as_ref().unwrap());
            assert!(difference(gradient, other) < 1e-5, "table gradient of {name}");
        }
    }
}

#[test]
fn cross_entropy_agrees_with_finite_differences() {
    let (rows, width, vocabulary_size) = (3, 4, 11);
    let (hidden, table) = (numbers(1, [rows, width]), numbers(2, [vocabulary_size, width]));
    let factors = vec![0.5, 2.0, 0.0];
    let request = CrossEntropy {
        targets: random_targets(rows, vocabulary_size),
        tied: true,
        gradients: Some(CrossEntropyGradients { factors: factors.clone(), table: true }),
        compute_dtype: None,
    };
    let run = |hidden: &[f32], table: &[f32]| {
        let hidden = FlexTensor::from_data(TensorData::new(hidden.to_vec(), [rows, width]));
        let shape = [vocabulary_size, width];
        let table = FlexTensor::from_data(TensorData::new(table.to_vec(), shape));
        Flex::fused_cross_entropy(hidden, table, request.clone())
    };
    let loss = |hidden: &[f32], table: &[f32]| -> f32 {
        let losses = values(&run(hidden, table).0);
        losses.iter().zip(&factors).map(|(loss, factor)| loss * factor).sum()
    };
    let (hidden, table) = (values(&hidden), values(&table));
    let (_, _, by_hidden, by_table) = run(&hidden, &table);
    let step = 1e-2;
    let slope = |index: usize, of: &dyn Fn(&[f32]) -> f32, at: &[f32]| {
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        (up[index], down[index]) = (at[index] + step, at[index] - step);
        (of(&up) - of(&down)) / (2.0 * step)
    };
    // Error of the finite difference: the step's cube, and the loss's seven digits divided by the
    // step.
    for (index, found) in values(&by_hidden.unwrap()).into_iter().enumerate() {
        let expected = slope(index, &|hidden| loss(hidden, &table), &hidden);
        assert!((found - expected).abs() < 2e-4, "hidden {index}: {found} is not {expected}");
    }
    for (index, found) in values(&by_table.unwrap()).into_iter().enumerate() {
        let expected = slope(index, &|table| loss(&hidden, table), &table);
        assert!((found - expected).abs() < 2e-4, "table {index}: {found} is not {expected}");
    }
}

#[test]
fn a_logit_that_is_not_a_number_shows_in_the_loss() {
    for place in [0, 5, 36] {
        for poison in [f32::NAN, f32::INFINITY] {
            let mut table = values(&numbers(2, [37, 1]));
            table[place] = poison;
            let table = FlexTensor::from_data(TensorData::new(table, [37, 1]));
            let hidden = FlexTensor::from_data(TensorData::new(vec![1f32], [1, 1]));
            let request =
                CrossEntropy { targets: vec![3], tied: true, gradients: None, compute_dtype: None };
            let (losses, ..) = Flex::fused_cross_entropy(hidden, table, request);
            assert!(!values(&losses)[0].is_finite(), "{poison} at {place}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (rows, width, vocabulary_size) = (150, 96, 3001);
    check_threads(|| {
        let (x, table) = (numbers(1, [rows, width]), numbers(4, [vocabulary_size, width]));
        let request = CrossEntropy {
            targets: random_targets(rows, vocabulary_size),
            tied: true,
            gradients: Some(CrossEntropyGradients { factors: vec![0.1; rows], table: true }),
            compute_dtype: None,
        };
        let (losses, _, by_hidden, by_table) = Flex::fused_cross_entropy(x, table, request);
        vec![losses, by_hidden.unwrap(), by_table.unwrap()]
    });
}
