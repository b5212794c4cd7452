//! Spreads a batch of texts over all cores: each thread gets neighbouring rows with about as many
//! bytes.

use std::ops::Range;
use std::{panic, thread};

use crate::error::{Result, TokenizerError};

/// Bytes of text for which a thread pays off: about a millisecond of work, twenty times the cost of
/// starting it.
const BYTES_PER_THREAD: usize = 1 << 16;

/// Processes ranges of the rows in parallel, and joins the results in the order of the rows. Of
/// several errors, that of the first row is returned.
pub(crate) fn in_parts<T: AsRef<str>, R: Send>(
    texts: &[T],
    treat: impl Fn(Range<usize>) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let bytes: usize = texts.iter().map(|text| text.as_ref().len()).sum();
    // On Linux, asking for the number of cores reads files.
    let threads = match bytes / BYTES_PER_THREAD {
        0 | 1 => 1,
        most => thread::available_parallelism().map_or(1, usize::from).min(most),
    };
    let mut parts = parts(texts, bytes, threads).into_iter();
    let first = parts.next().unwrap_or(0..0);
    thread::scope(|scope| {
        let treat = &treat;
        let others: Vec<_> = parts.map(|part| scope.spawn(move || treat(part))).collect();
        let mut results = treat(first)?;
        for other in others {
            results.extend(other.join().unwrap_or_else(|payload| panic::resume_unwind(payload))?);
        }
        Ok(results)
    })
}

/// At most `threads` ranges of rows. Each ends at the row that completes its share of all bytes.
fn parts<T: AsRef<str>>(texts: &[T], bytes: usize, threads: usize) -> Vec<Range<usize>> {
    let share = bytes.div_ceil(threads);
    let (mut parts, mut start, mut length) = (Vec::with_capacity(threads), 0, 0);
    for (row, text) in texts.iter().enumerate() {
        length += text.as_ref().len();
        if length >= share && parts.len() + 1 < threads {
            parts.push(start..row + 1);
            (start, length) = (row + 1, 0);
        }
    }
    if start < texts.len() {
        parts.push(start..texts.len());
    }
    parts
}

/// Processes the rows of one range. An error names its row.
pub(crate) fn in_rows<R, T>(
    rows: &[R],
    range: Range<usize>,
    mut treat: impl FnMut(&R) -> Result<T>,
) -> Result<Vec<T>> {
    range
        .map(|row| {
            treat(&rows[row])
                .map_err(|source| TokenizerError::InBatch { row, source: source.into() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_like_numbers_of_bytes_and_miss_no_row() {
        let texts = ["aaaa", "", "aa", "aa", "aaaaaaaa", "a", "a"];
        assert_eq!(parts(&texts, 18, 1).len(), 1);
        assert_eq!(parts(&texts, 18, 2), [0..5, 5..7]);
        assert_eq!(parts(&texts, 18, 3), [0..3, 3..5, 5..7]);
        assert_eq!(parts(&[""; 3], 0, 4), [0..1, 1..2, 2..3]);
        assert!(parts(&[""; 0], 0, 4).is_empty());
    }
}
