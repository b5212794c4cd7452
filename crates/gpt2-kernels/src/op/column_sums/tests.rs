//! Sums of columns beside sums in 64-bit floats.

use burn::backend::Flex;

use super::ColumnSumsOps;
use crate::cpu::testing::{check_threads, numbers, values};

#[test]
fn sums_of_any_size() {
    for (seed, [rows, columns]) in
        [[1, 1], [2, 0], [1, 768], [31, 5], [32, 50], [33, 4097], [100, 8200], [0, 3]]
            .into_iter()
            .enumerate()
    {
        let x = numbers(seed as u64, [rows, columns]);
        let found = values(&Flex::column_sums(x.clone()));
        let x = values(&x);
        assert_eq!(found.len(), columns);
        for (column, found) in found.into_iter().enumerate() {
            let numbers = x.iter().skip(column).step_by(columns);
            let expected: f64 = numbers.map(|&number| f64::from(number)).sum();
            // A hundred numbers below 1, each sum rounded once.
            let difference = (f64::from(found) - expected).abs();
            assert!(difference < 1e-5, "{rows}x{columns}, column {column}: {found}, {expected}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let x = numbers(1, [333, 900]);
    check_threads(|| vec![Flex::column_sums(x.clone())]);
}
