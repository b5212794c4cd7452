//! Products with a table against the composed operations.

use burn::backend::Flex;

use super::{ReverseEmbeddingOps, composed};
use crate::cpu::testing::{PRODUCTS, ROUNDING, check_rows, check_threads, difference, numbers};

#[test]
fn products_of_any_size() {
    for (seed, [rows, inputs, outputs]) in PRODUCTS.into_iter().enumerate() {
        let seed = 10 * seed as u64;
        let (x, table) = (numbers(seed, [rows, inputs]), numbers(seed + 4, [outputs, inputs]));
        let found = Flex::fused_reverse_embedding(x.clone(), table.clone());
        let expected = composed::reverse_embedding::<Flex>(x, table);
        assert!(difference(&found, &expected) < ROUNDING, "{rows}x{inputs}x{outputs}");
    }
}

#[test]
fn a_row_is_the_same_alone_and_among_others() {
    let table = numbers(4, [300, 400]);
    check_rows(&numbers(3, [11, 400]), |x| Flex::fused_reverse_embedding(x, table.clone()));
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
