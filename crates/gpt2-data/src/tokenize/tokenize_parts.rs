//! Tokenizes parts of documents on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

use gpt2_tokenizer::{Gpt2Tokenizer, TokenId, TokenizerError};

use crate::documents::text_part::TextPart;
use crate::documents::text_parts::TextParts;
use crate::error::DataError;

/// Blocks of text in memory for each thread.
const BLOCKS_PER_THREAD: usize = 4;

/// Next parts: a few blocks of text for each thread. Empty only at the end of the corpus.
pub(crate) fn next_batch(
    parts: &mut TextParts<'_>,
    threads: usize,
    block: usize,
) -> Result<Vec<TextPart>, DataError> {
    let (mut batch, mut size) = (Vec::new(), 0);
    while size < threads * BLOCKS_PER_THREAD * block {
        let Some(part) = parts.next() else { break };
        let part = part?;
        size += part.text.len() + size_of::<TextPart>();
        batch.push(part);
    }
    Ok(batch)
}

/// Token ids of each part, in order.
pub(crate) fn tokenize_parts(
    tokenizer: &Gpt2Tokenizer,
    parts: &[TextPart],
    threads: usize,
) -> Result<Vec<Vec<TokenId>>, DataError> {
    type Tokenized = (usize, Result<Vec<TokenId>, TokenizerError>);
    let next = AtomicUsize::new(0);
    let work = || -> Vec<Tokenized> {
        let claim = || Some(next.fetch_add(1, Ordering::Relaxed));
        let claimed = std::iter::from_fn(|| claim().filter(|&index| index < parts.len()));
        claimed.map(|index| (index, tokenizer.tokenize(&parts[index].text))).collect()
    };
    let mut tokenized = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(parts.len())).map(|_| scope.spawn(work)).collect();
        let mut tokenized = work();
        for other in others {
            tokenized.extend(other.join().unwrap_or_else(|fault| panic::resume_unwind(fault)));
        }
        tokenized
    });
    tokenized.sort_unstable_by_key(|(index, _)| *index);
    let named = |(index, ids): Tokenized| {
        let TextPart { path, at, .. } = &parts[index];
        let (path, at) = (path.clone(), at.clone());
        ids.map_err(|source| DataError::Untokenizable { path, at, source })
    };
    tokenized.into_iter().map(named).collect()
}
