//! The kernels of training beside the composed operations.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Device, Tensor, TensorData};

use super::tests::{ROUNDING, difference, numbers, scaled};
use crate::adam::{AdamStep, Moments, composed_adam, composed_square_sum, composed_weight_decay};
use crate::attention::DropoutKey;
use crate::composed;
use crate::cross_entropy::{
    CrossEntropy, CrossEntropyGradients, composed as composed_cross_entropy,
};
use crate::kernels::Kernels;

fn values(tensor: &FlexTensor) -> Vec<f32> {
    tensor.clone().into_data().iter().collect()
}

fn random_targets(rows: usize, vocabulary_size: usize) -> Vec<u32> {
    (0..rows).map(|row| (row * 7919 % vocabulary_size) as u32).collect()
}

#[test]
fn adam_gives_the_numbers_of_the_composed_operations() {
    let step = AdamStep { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, alpha: 3e-3 };
    for size in [1, 7, 8, 1000, 50_000] {
        for amsgrad in [false, true] {
            let all = || {
                let positive = |seed| {
                    let squares = numbers(seed, [size]);
                    FlexTensor::from_data(TensorData::new(
                        values(&squares).iter().map(|x| x * x).collect::<Vec<_>>(),
                        [size],
                    ))
                };
                let (momentum, velocity, largest) = (numbers(3, [size]), positive(4), positive(5));
                let moments = match amsgrad {
                    false => Moments::Two(momentum, velocity),
                    true => Moments::Three(momentum, velocity, largest),
                };
                (numbers(1, [size]), numbers(2, [size]), moments)
            };
            let (variable, gradient, moments) = all();
            let (found, found_moments) = Flex::fused_adam(variable, gradient, moments, step);
            let (variable, gradient, moments) = all();
            let slots = moments.into_slots();
            let (expected, expected_moments) =
                composed_adam::<Flex>(variable, gradient, slots, step);
            // The same operations in the same order: not even a rounding differs.
            assert_eq!(values(&found), values(&expected), "{size}, amsgrad: {amsgrad}");
            assert_eq!(found_moments.len(), if amsgrad { 3 } else { 2 });
            for (found, expected) in found_moments.iter().zip(&expected_moments) {
                assert_eq!(values(found), values(expected), "{size}, amsgrad: {amsgrad}");
            }
        }
    }
}

#[test]
fn variables_and_moments_are_written_in_place() {
    let address = |tensor: &Tensor<1>| {
        let tensor = tensor.clone().try_into_primitive::<Flex>().unwrap();
        tensor.bytes().as_ptr()
    };
    let device = Device::flex();
    let ones = || Tensor::<1>::ones([100], &device);
    let (variable, gradient) = (ones(), ones());
    let mut moments = [ones(), ones(), ones()];
    let before = [&variable, &moments[0], &moments[1], &moments[2]].map(address);
    let variable = crate::weight_decay(variable, 0.1, 0.1);
    let step = AdamStep { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, alpha: 0.5 };
    let variable = crate::adam(variable, gradient, &mut moments, step);
    assert_eq!([&variable, &moments[0], &moments[1], &moments[2]].map(address), before);
    let kept = variable.clone();
    let place = address(&variable);
    let scaled = crate::scale(variable, Tensor::from_data([2.0], &device));
    // A second reference keeps its numbers.
    assert_ne!(address(&scaled), place);
    assert_eq!((kept * 2.0).into_data(), scaled.into_data());
}

#[test]
fn gradients_are_measured_and_made_smaller() {
    for size in [1, 9, 40_000] {
        let x = numbers(size as u64, [size]);
        let found = Flex::fused_square_sum(x.clone());
        let expected: f64 = values(&x).iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert_eq!(found.shape(), composed_square_sum::<Flex>(x.clone()).shape());
        // Thousands of numbers are added in 32-bit floats, in eight or more sums.
        assert!((f64::from(values(&found)[0]) / expected - 1.0).abs() < 1e-5, "{size}");
        let found = Flex::fused_weight_decay(x.clone(), 0.004, 0.3);
        assert_eq!(values(&found), values(&composed_weight_decay::<Flex>(x, 0.004, 0.3)));
    }
}

#[test]
fn cross_entropy_of_any_size() {
    // The last has three chunks of rows.
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
                    composed_cross_entropy::<Flex>(hidden.clone(), table.clone(), request.clone()),
                )
            };
            let (found, expected) = run(&request);
            assert!(difference(&found.0, &expected.0) < ROUNDING, "losses of {name}");
            assert!(found.2.is_none() && found.3.is_none());
            request.gradients = Some(CrossEntropyGradients { factors, table: true });
            let (found, expected) = run(&request);
            assert!(difference(&found.0, &expected.0) < ROUNDING, "losses of {name}");
            let best =
                |tensor: &FlexTensor| -> Vec<i64> { tensor.clone().into_data().iter().collect() };
            assert_eq!(best(&found.1), best(&expected.1), "tokens of {name}");
            let [gradient, other] = [&found.2, &expected.2].map(|x| x.as_ref().unwrap());
            // Thousands of products are added, in another order.
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
    // The cube of the step, and the loss' seven digits divided by it.
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
fn gradients_of_activation_and_normalisation() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (70, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 6.0);
        let gradient = numbers(9, [rows, width]);
        let found = Flex::fused_gelu_backward(x.clone(), gradient.clone());
        let expected = composed::gelu_backward::<Flex>(x.clone(), gradient.clone());
        assert!(difference(&found, &expected) < 2e-6, "GELU of {rows}x{width}");
        let gamma = numbers(7, [width]);
        let (a, b, c) =
            Flex::fused_layer_norm_backward(x.clone(), gamma.clone(), gradient.clone(), 1e-5);
        let (d, e, f) = composed::layer_norm_backward::<Flex>(x, gamma, gradient, 1e-5);
        for (name, found, expected) in [("x", a, d), ("gamma", b, e), ("beta", c, f)] {
            // Two sums over a row, divided by its deviation.
            assert!(difference(&found, &expected) < 5e-6, "{name} of {rows}x{width}");
        }
    }
}

#[test]
fn the_slope_of_gelu_at_both_ends() {
    let inputs = [-1e20, -50.0, -10.0, -5.0, 0.0, 5.0, 10.0, 50.0, 1e20, f32::NAN];
    let x = FlexTensor::from_data(TensorData::new(inputs.to_vec(), [inputs.len()]));
    let ones = FlexTensor::from_data(TensorData::new(vec![1f32; inputs.len()], [inputs.len()]));
    let found = values(&Flex::fused_gelu_backward(x, ones));
    assert!(found[9].is_nan());
    let expected = [0.0, 0.0, 0.0, -7.2e-6, 0.5, 1.0, 1.0, 1.0, 1.0];
    for ((x, found), expected) in inputs.iter().zip(found).zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{x}: {found} is not {expected}");
    }
}

#[test]
fn dropout_follows_from_the_key() {
    for size in [1, 100, 70_000] {
        for rate in [0.1, 0.5, 1.0] {
            let dropout = DropoutKey { key: 17, rate };
            let x = numbers(size as u64, [size]);
            let found = Flex::fused_dropout(x.clone(), dropout);
            let expected = composed::counted_dropout::<Flex>(x, dropout);
            assert_eq!(values(&found), values(&expected), "{size} at {rate}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (rows, width, vocabulary_size) = (150, 96, 3001);
    let compute = || {
        let [x, gradient] = [1, 2].map(|seed| numbers(seed, [rows, width]));
        let gamma = numbers(3, [width]);
        let table = numbers(4, [vocabulary_size, width]);
        let request = CrossEntropy {
            targets: random_targets(rows, vocabulary_size),
            tied: true,
            gradients: Some(CrossEntropyGradients { factors: vec![0.1; rows], table: true }),
            compute_dtype: None,
        };
        let (losses, _, by_hidden, by_table) = Flex::fused_cross_entropy(x.clone(), table, request);
        let by_table = by_table.unwrap();
        let norm = Flex::fused_square_sum(by_table.clone());
        let (by_x, by_gamma, by_beta) = Flex::fused_layer_norm_backward(x, gamma, gradient, 1e-5);
        [losses, by_hidden.unwrap(), by_table, norm, by_x, by_gamma, by_beta].map(|x| values(&x))
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(compute)
    };
    let alone = with(1);
    for threads in [1, 2, 3, 7] {
        assert_eq!(with(threads), alone, "{threads} threads");
    }
}

/// As devices do that have random numbers of their own: a rate of 1 must not divide by zero.
#[test]
fn composed_dropout_drops_all_or_nothing_at_the_ends() {
    let x = numbers(1, [50]);
    for (rate, expected) in [(0.0, 1.0), (1.0, 0.0)] {
        let factors = composed::dropout_factors::<Flex>(&x, DropoutKey { key: 17, rate });
        assert_eq!(values(&factors), [expected; 50], "a rate of {rate}");
    }
}
