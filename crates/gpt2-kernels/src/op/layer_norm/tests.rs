//! Layer normalisation against the composed operations.

use burn::backend::Flex;

use super::{LayerNormOps, composed};
use crate::cpu::testing::{check_threads, difference, numbers, scaled};

#[test]
fn rows_of_any_size() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (40, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 12.0);
        let (gamma, beta) = (numbers(7, [width]), numbers(8, [width]));
        let found = Flex::fused_layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5);
        let expected = composed::layer_norm::<Flex>(x, gamma, beta, 1e-5);
        assert!(difference(&found, &expected) < 2e-6, "{rows}x{width}");
    }
}

#[test]
fn gradients_of_any_size() {
    for (seed, (rows, width)) in [(1, 768), (3, 5), (33, 50), (70, 1000)].into_iter().enumerate() {
        let x = scaled(numbers(seed as u64, [rows, width]), 6.0);
        let (gamma, gradient) = (numbers(7, [width]), numbers(9, [rows, width]));
        let (a, b, c) =
            Flex::fused_layer_norm_backward(x.clone(), gamma.clone(), gradient.clone(), 1e-5);
        let (d, e, f) = composed::layer_norm_backward::<Flex>(x, gamma, gradient, 1e-5);
        for (name, found, expected) in [("x", a, d), ("gamma", b, e), ("beta", c, f)] {
            // Rounding of two sums over a row, divided by its deviation.
            assert!(difference(&found, &expected) < 5e-6, "{name} of {rows}x{width}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    check_threads(|| {
        let [x, gradient] = [1, 2].map(|seed| numbers(seed, [150, 96]));
        let (gamma, beta) = (numbers(3, [96]), numbers(4, [96]));
        let y = Flex::fused_layer_norm(x.clone(), gamma.clone(), beta, 1e-5);
        let (by_x, by_gamma, by_beta) = Flex::fused_layer_norm_backward(x, gamma, gradient, 1e-5);
        vec![y, by_x, by_gamma, by_beta]
    });
}
