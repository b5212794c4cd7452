//! Products beside the composed ones, on shapes that fill vectors, blocks and tasks, and on others.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::epilogue::Epilogue;
use super::{LinearOps, composed};
use crate::cpu::testing::{ROUNDING, check_threads, difference, numbers, values};
use crate::op::gelu::composed::gelu;

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
    let linear = |x| values(&Flex::fused_linear(x, kernel.clone(), bias.clone(), Epilogue::None));
    // More rows than the narrow product takes.
    let x = numbers(3, [43, 400]);
    let all = linear(x.clone());
    for (row, numbers) in values(&x).chunks_exact(400).enumerate() {
        let alone = FlexTensor::from_data(TensorData::new(numbers.to_vec(), [1, 400]));
        assert_eq!(linear(alone), all[row * 900..][..900], "row {row}");
    }
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
