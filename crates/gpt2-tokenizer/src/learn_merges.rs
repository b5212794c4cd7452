//! Learning merges from words and their counts, in the order of `tokenizers`' `BpeTrainer`.
//!
//! A pair's places are kept, so that a merge takes time for them alone, however long a word is.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet};

use foldhash::fast::FixedState;

use crate::{TokenId, byte_alphabet};

/// Two tokens side by side.
type Pair = (TokenId, TokenId);
type Map<K, V> = HashMap<K, V, FixedState>;

/// No symbol.
const NONE: u32 = u32::MAX;
/// Token of a symbol that became part of the one before it.
const MERGED: TokenId = TokenId::MAX;

/// Tokens by id, and the merges in the order in which they apply.
pub(crate) struct Learnt {
    pub(crate) tokens: Vec<String>,
    pub(crate) merges: Vec<Pair>,
}

/// Merges the most frequent pair, of several the one of the smallest ids, until there are
/// `vocabulary_size` tokens or no pair occurs `min_frequency` times.
pub(crate) fn learn_merges<'a>(
    words: impl IntoIterator<Item = (&'a str, u64)>,
    vocabulary_size: usize,
    min_frequency: u64,
) -> Learnt {
    let mut tokens: Vec<String> = byte_alphabet::symbols().iter().map(char::to_string).collect();
    tokens.sort_unstable();
    let ids = (0..).zip(&tokens).map(|(id, token)| (token.clone(), id));
    let mut ids: HashMap<String, TokenId> = ids.collect();
    let mut text = Text::new(words, &ids);
    let mut queue = BinaryHeap::new();
    text.queue_new_places(&mut queue);
    let mut merges = Vec::new();
    while tokens.len() < vocabulary_size
        && let Some(mut top) = queue.pop()
    {
        let count = text.pairs[&top.pair.0].count;
        if top.count != count {
            // Other merges took some of the pair's places meanwhile.
            top.count = count;
            queue.push(top);
            continue;
        }
        if count < min_frequency.max(1) {
            break;
        }
        let pair = top.pair.0;
        let token = format!("{}{}", tokens[pair.0 as usize], tokens[pair.1 as usize]);
        // Two pairs may make the same token.
        let id = match ids.entry(token) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                tokens.push(new.key().clone());
                *new.insert(tokens.len() as TokenId - 1)
            }
        };
        merges.push(pair);
        text.merge(pair, &top.words, id);
        text.queue_new_places(&mut queue);
    }
    // A pair that was merged in some words first, and in others later, counts where it came last.
    let mut seen = HashSet::new();
    let mut merges: Vec<Pair> =
        merges.into_iter().rev().filter(|pair| seen.insert(*pair)).collect();
    merges.reverse();
    Learnt { tokens, merges }
}

/// A pair that waits to be merged in some words. Counts may be out of date: too high, never too low.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    count: u64,
    pair: Reverse<Pair>,
    /// Indices in order.
    words: Vec<u32>,
}

/// All words as one list of symbols, linked within each word.
struct Text {
    symbols: Vec<Symbol>,
    /// Occurrences of each word.
    counts: Vec<u64>,
    pairs: Map<Pair, Places>,
    /// Words in which a pair came about since the queue was last filled.
    new: Map<Pair, Vec<u32>>,
}

/// A token in a word.
#[derive(Clone, Copy)]
struct Symbol {
    token: TokenId,
    word: u32,
    previous: u32,
    next: u32,
}

/// Occurrences of a pair.
#[derive(Default)]
struct Places {
    /// Without those that were merged, as many as before: `tokenizers` does not subtract them.
    count: u64,
    /// Indices of first symbols. Some may have changed since.
    symbols: Vec<u32>,
}

impl Text {
    fn new<'a>(
        words: impl IntoIterator<Item = (&'a str, u64)>,
        ids: &HashMap<String, TokenId>,
    ) -> Self {
        let ids = byte_alphabet::symbols().map(|symbol| ids[&symbol.to_string()]);
        let mut text = Self {
            symbols: Vec::new(),
            counts: Vec::new(),
            pairs: Map::default(),
            new: Map::default(),
        };
        for (word, count) in words {
            let (start, index) = (text.symbols.len() as u32, text.counts.len() as u32);
            text.counts.push(count);
            for (at, byte) in (start..).zip(word.bytes()) {
                text.symbols.push(Symbol {
                    token: ids[usize::from(byte)],
                    word: index,
                    previous: if at == start { NONE } else { at - 1 },
                    next: at + 1,
                });
            }
            if let Some(last) = text.symbols.last_mut() {
                last.next = NONE;
            }
            for at in start..(text.symbols.len() as u32).saturating_sub(1) {
                text.add(at);
            }
        }
        text
    }

    /// Counts the pair that begins at a symbol.
    fn add(&mut self, at: u32) {
        let first = self.symbols[at as usize];
        let pair = (first.token, self.symbols[first.next as usize].token);
        let places = self.pairs.entry(pair).or_default();
        places.count += self.counts[first.word as usize];
        places.symbols.push(at);
        let words = self.new.entry(pair).or_default();
        if words.last() != Some(&first.word) {
            words.push(first.word);
        }
    }

    /// Counts a pair less, whose first symbol this is.
    fn subtract(&mut self, at: u32) {
        let first = self.symbols[at as usize];
        let pair = (first.token, self.symbols[first.next as usize].token);
        let places = self.pairs.get_mut(&pair).expect("a pair that stands in a word was counted");
        places.count -= self.counts[first.word as usize];
    }

    fn queue_new_places(&mut self, queue: &mut BinaryHeap<Waiting>) {
        for (pair, words) in self.new.drain() {
            let count = self.pairs[&pair].count;
            if count > 0 {
                queue.push(Waiting { count, pair: Reverse(pair), words });
            }
        }
    }

    /// Merges a pair wherever it stands in these words, from left to right.
    fn merge(&mut self, pair: Pair, words: &[u32], token: TokenId) {
        let places = self.pairs.get_mut(&pair).expect("a pair that waits was counted");
        let mut symbols = std::mem::take(&mut places.symbols);
        symbols.sort_unstable();
        symbols.dedup();
        let mut elsewhere = Vec::new();
        for at in symbols {
            let Symbol { token: first, word, previous, next } = self.symbols[at as usize];
            if first != pair.0 || next == NONE || self.symbols[next as usize].token != pair.1 {
                continue;
            }
            if words.binary_search(&word).is_err() {
                elsewhere.push(at);
                continue;
            }
            let after = self.symbols[next as usize].next;
            if previous != NONE {
                self.subtract(previous);
            }
            if after != NONE {
                self.subtract(next);
                self.symbols[after as usize].previous = at;
            }
            self.symbols[next as usize].token = MERGED;
            self.symbols[at as usize] = Symbol { token, word, previous, next: after };
            if previous != NONE {
                self.add(previous);
            }
            if after != NONE {
                self.add(at);
            }
        }
        self.pairs.entry(pair).or_default().symbols.extend(elsewhere);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::models::bpe::{BPE, BpeTrainer};

    use super::*;

    /// Merges as `tokenizers` learns them.
    fn expected(words: &HashMap<String, u64>, vocabulary_size: usize) -> Vec<(String, String)> {
        let symbols = byte_alphabet::symbols();
        let in_symbols = |word: &str| -> String {
            word.bytes().map(|byte| symbols[usize::from(byte)]).collect()
        };
        let words = words.iter().map(|(word, &count)| (in_symbols(word).as_str().into(), count));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocabulary_size)
            .min_frequency(1)
            .initial_alphabet(symbols.iter().copied().collect())
            .show_progress(false)
            .build();
        let mut model = BPE::default();
        trainer.do_train(&words.collect(), &mut model).unwrap();
        // The merges are readable in the model's JSON alone.
        let json = serde_json::to_value(&model).unwrap();
        serde_json::from_value(json["merges"].clone()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn merges_are_those_of_tokenizers(
            words in prop::collection::hash_map("[abc]{1,14}|[a-d é]{1,9}|a{1,30}", 1..1000u64, 1..20),
            merges in 0..120usize,
        ) {
            let counted = words.iter().map(|(word, &count)| (word.as_str(), count));
            let Learnt { tokens, merges: found } = learn_merges(counted, 256 + merges, 1);
            let token = |id: TokenId| tokens[id as usize].clone();
            let found: Vec<_> =
                found.into_iter().map(|(left, right)| (token(left), token(right))).collect();
            prop_assert_eq!(found, expected(&words, 256 + merges));
        }
    }

    #[test]
    fn a_long_word_takes_time_for_its_length_alone() {
        let mut state = 1u32;
        let letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 24) as u8 % 26)
        };
        let word: String = (0..1_000_000).map(letter).collect();
        let Learnt { tokens, .. } = learn_merges([(word.as_str(), 1)], 4000, 2);
        assert_eq!(tokens.len(), 4000);
    }
}
