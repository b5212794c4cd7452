//! Products against the composed operations.

use burn::backend::Flex;

use super::epilogue::Epilogue;
use super::{LinearOps, composed};
use crate::cpu::testing::{PRODUCTS, ROUNDING, check_rows, check_threads, difference, numbers};
use crate::op::gelu::composed::gelu;

#[test]
fn products_of_any_size() {
    for (seed, [rows, inputs, outputs]) in PRODUCTS.into_iter().enumerate() {
        let seed = 10 * seed as u64;
        let x = numbers(seed, [rows, inputs]);
        let kernel = numbers(seed + 1, [inputs, outputs]);
        let bias = numbers(seed + 2, [outputs]);
        let residual = numbers(seed + 3, [rows, outputs]);
        let name = format!("{rows}x{inputs}x{outputs}");
        let run = |epilogue| Flex::fused_linear(x.clone(), kernel.clone(), bias.clone(), epilogue);
        let compose =
            |epilogue| composed::linear::<Flex>(x.clone(), kernel.clone(), bias.clone(), epilogue);
        let expected = compose(Epilogue::None);
        assert!(difference(&run(Epilogue::None), &expected) < ROUNDING, "{name}");
        let activated = gelu::<Flex>(expected);
        assert!(difference(&run(Epilogue::Gelu), &activated) < ROUNDING, "{name} with GELU");
        let (found, expected) =
            (run(Epilogue::Add(residual.clone())), compose(Epilogue::Add(residual)));
        assert!(difference(&found, &expected) < ROUNDING, "{name} with residual");
    }
}

#[test]
fn a_row_is_the_same_alone_and_among_others() {
    let (kernel, bias) = (numbers(1, [400, 900]), numbers(2, [900]));
    // More rows than the narrow product computes.
    check_rows(&numbers(3, [43, 400]), |x| {
        Flex::fused_linear(x, kernel.clone(), bias.clone(), Epilogue::None)
    });
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (kernel, bias) = (numbers(1, [400, 900]), numbers(2, [900]));
    check_threads(|| {
        let linear = |rows: usize| {
            let x = numbers(3, [rows, 400]);
            Flex::fused_linear(x, kernel.clone(), bias.clone(), Epilogue::Gelu)
        };
        vec![linear(1), linear(9), linear(43)]
    });
}
