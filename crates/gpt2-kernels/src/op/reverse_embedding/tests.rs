//! Products with a table beside the composed ones.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::{ReverseEmbeddingOps, composed};
use crate::cpu::testing::{ROUNDING, check_threads, difference, numbers, values};

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
        let (x, table) = (numbers(seed, [rows, inputs]), numbers(seed + 4, [outputs, inputs]));
        let found = Flex::fused_reverse_embedding(x.clone(), table.clone());
        let expected = composed::reverse_embedding::<Flex>(x, table);
        assert!(difference(&found, &expected) < ROUNDING, "{rows}x{inputs}x{outputs}");
    }
}

#[test]
fn a_row_is_the_same_alone_and_among_others() {
    let (x, table) = (numbers(3, [11, 400]), numbers(4, [300, 400]));
    let all = values(&Flex::fused_reverse_embedding(x.clone(), table.clone()));
    for (row, numbers) in values(&x).chunks_exact(400).enumerate() {
        let alone = FlexTensor::from_data(TensorData::new(numbers.to_vec(), [1, 400]));
        let found = values(&Flex::fused_reverse_embedding(alone, table.clone()));
        assert_eq!(found, all[row * 300..][..300], "row {row}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    check_threads(|| {
        let table = numbers(4, [1500, 96]);
        [1, 11]
            .map(|rows| Flex::fused_reverse_embedding(numbers(3, [rows, 96]), table.clone()))
            .into()
    });
}
