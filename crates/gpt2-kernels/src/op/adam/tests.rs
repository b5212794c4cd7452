//! Adam's kernels against the composed operations.

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData};

use super::step::{AdamStep, Moments};
use super::{AdamOps, composed};
use crate::cpu::testing::{check_threads, numbers, values};

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
                composed::adam::<Flex>(variable, gradient, slots, step);
            // The same operations in the same order round alike.
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
    let variable = super::weight_decay(variable, 0.1, 0.1);
    let step = AdamStep { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, alpha: 0.5 };
    let variable = super::adam(variable, gradient, &mut moments, step);
    assert_eq!([&variable, &moments[0], &moments[1], &moments[2]].map(address), before);
    let kept = variable.clone();
    let place = address(&variable);
    let scaled = super::scale(variable, Tensor::from_data([2.0], &device));
    // The second reference keeps its values.
    assert_ne!(address(&scaled), place);
    assert_eq!((kept * 2.0).into_data(), scaled.into_data());
}

#[test]
fn gradients_are_measured_and_made_smaller() {
    for size in [1, 9, 40_000] {
        let x = numbers(size as u64, [size]);
        let found = Flex::fused_square_sum(x.clone());
        let expected: f64 = values(&x).iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert_eq!(found.shape(), composed::square_sum::<Flex>(x.clone()).shape());
        // Thousands of squares are added in 32-bit floats, in at least eight partial sums.
        assert!((f64::from(values(&found)[0]) / expected - 1.0).abs() < 1e-5, "{size}");
        let found = Flex::fused_weight_decay(x.clone(), 0.004, 0.3);
        assert_eq!(values(&found), values(&composed::weight_decay::<Flex>(x, 0.004, 0.3)));
    }
}

#[test]
fn a_sum_of_squares_does_not_depend_on_the_number_of_threads() {
    check_threads(|| vec![Flex::fused_square_sum(numbers(1, [300_000]))]);
}
