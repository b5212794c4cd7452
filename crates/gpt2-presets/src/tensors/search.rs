//! Search for the first invalid number.

/// Index of the first NaN or infinite element.
pub(crate) fn first_non_finite(values: &[f32]) -> Option<usize> {
    first_where(values, |value| !value.is_finite())
}

/// Index of the first element for which `is_bad` is true.
pub(crate) fn first_where(values: &[f32], is_bad: impl Fn(f32) -> bool) -> Option<usize> {
    const BLOCK: usize = 4096;
    // Checks whole blocks without an early exit, which the compiler vectorises.
    let bad = |block: &[f32]| block.iter().fold(false, |bad, value| bad | is_bad(*value));
    let block = values.chunks(BLOCK).position(bad)?;
    let start = block * BLOCK;
    values[start..].iter().position(|value| is_bad(*value)).map(|index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_number_is_found_in_any_block() {
        let mut values = vec![1.0; 10_000];
        assert_eq!(first_non_finite(&values), None);
        for (index, value) in [(9_999, f32::NAN), (5_000, f32::INFINITY), (0, f32::NEG_INFINITY)] {
            values[index] = value;
            assert_eq!(first_non_finite(&values), Some(index));
        }
    }
}
