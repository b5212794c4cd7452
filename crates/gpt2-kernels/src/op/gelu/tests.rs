//! GELU against the composed operations, and against its formula in 64-bit floats.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::{GeluOps, composed};
use crate::cpu::testing::{difference, numbers, scaled, values};

#[test]
fn gelu_of_any_size() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (40, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 12.0);
        let found = Flex::fused_gelu(x.clone());
        assert!(difference(&found, &composed::gelu::<Flex>(x)) < 1e-6, "{rows}x{width}");
    }
}

#[test]
fn gradients_of_any_size() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (70, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 6.0);
        let gradient = numbers(9, [rows, width]);
        let found = Flex::fused_gelu_backward(x.clone(), gradient.clone());
        let expected = composed::gelu_backward::<Flex>(x, gradient);
        assert!(difference(&found, &expected) < 2e-6, "{rows}x{width}");
    }
}

#[test]
fn gelu_keeps_its_digits_at_both_ends() {
    let inputs: Vec<f32> = (-400..=400).map(|index| index as f32 * 0.1).collect();
    let x = FlexTensor::from_data(TensorData::new(inputs.clone(), [inputs.len()]));
    let found = values(&Flex::fused_gelu(x));
    for (x, found) in inputs.iter().zip(found) {
        let x = f64::from(*x);
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        let expected = x / (1.0 + (-2.0 * inner).exp());
        // A few units in the last place, and an absolute error for results near e^-60, whose
        // exponent is rounded.
        let allowed = 6e-6 * expected.abs() + 1e-30;
        assert!((f64::from(found) - expected).abs() <= allowed, "{x}: {found} is not {expected}");
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
