//! Applies merge rules to the symbols of a word, the best rule first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::RandomState;

use crate::TokenId;

/// Id of a symbol that was joined to the one before it. No token has this id.
const JOINED: TokenId = TokenId::MAX;

/// Rules by the pair of tokens that they join.
#[derive(Debug)]
pub(crate) struct MergeRules {
    rules: HashMap<[TokenId; 2], Rule, RandomState>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    /// The rule with the smallest rank is applied first.
    rank: usize,
    result: TokenId,
}

/// Working memory: the symbols of one word, and the rules that apply to them. Reused from word to
/// word.
#[derive(Debug, Default)]
pub(crate) struct MergeWork {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
}

/// Token of the word, linked to its neighbours. An index out of bounds means no neighbour.
#[derive(Debug)]
struct Symbol {
    id: TokenId,
    previous: usize,
    next: usize,
}

/// Two neighbours that a rule joins. Ordered as the rules are applied, then from the left.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: usize,
    at: usize,
    pair: [TokenId; 2],
    result: TokenId,
}

impl MergeRules {
    /// Rules in the order of their rank, each as left part, right part and result. Of two rules for
    /// one pair, the later one wins, as in `tokenizers`.
    pub(crate) fn new(rules: &[[TokenId; 3]]) -> Self {
        let ranked = rules.iter().enumerate();
        let rule = |(rank, &[left, right, result]): (usize, &[TokenId; 3])| {
            ([left, right], Rule { rank, result })
        };
        Self { rules: ranked.map(rule).collect() }
    }

    /// Merges the symbols of a word by the rules, and appends the remaining ids to `ids`.
    pub(crate) fn merge(
        &self,
        word: impl Iterator<Item = TokenId>,
        MergeWork { symbols, queue }: &mut MergeWork,
        ids: &mut Vec<TokenId>,
    ) {
        symbols.clear();
        symbols.extend(word.enumerate().map(|(at, id)| Symbol {
            id,
            previous: at.wrapping_sub(1),
            next: at + 1,
        }));
        queue.extend((0..symbols.len()).filter_map(|at| self.candidate(symbols, at)));
        while let Some(Reverse(Candidate { at, pair: [left, right], result, .. })) = queue.pop() {
            let next = symbols[at].next;
            // A symbol only grows, so an unchanged id means an unchanged symbol.
            if symbols[at].id != left || symbols.get(next).is_none_or(|next| next.id != right) {
                continue;
            }
            let after = symbols[next].next;
            symbols[next].id = JOINED;
            symbols[at].id = result;
            symbols[at].next = after;
            if let Some(after) = symbols.get_mut(after) {
                after.previous = at;
            }
            queue.extend(self.candidate(symbols, symbols[at].previous));
            queue.extend(self.candidate(symbols, at));
        }
        ids.extend(symbols.iter().map(|symbol| symbol.id).filter(|id| *id != JOINED));
    }

    /// Candidate of the symbol at `at` and its right neighbour, if both exist and a rule joins
    /// them.
    fn candidate(&self, symbols: &[Symbol], at: usize) -> Option<Reverse<Candidate>> {
        let left = symbols.get(at)?;
        let pair = [left.id, symbols.get(left.next)?.id];
        let Rule { rank, result } = *self.rules.get(&pair)?;
        Some(Reverse(Candidate { rank, at, pair, result }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokenizers::Model;
    use tokenizers::models::bpe::{BPE, Vocab};

    use super::*;

    /// Tokens by id, and rules between any of them in any order, including rules that no training
    /// makes.
    fn vocabulary(choices: &[(usize, usize)]) -> (Vec<String>, Vec<[TokenId; 3]>) {
        let mut tokens: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut rules = Vec::new();
        for (left, right) in choices {
            let (left, right) = (left % tokens.len(), right % tokens.len());
            let joined = format!("{}{}", tokens[left], tokens[right]);
            let known = tokens.iter().position(|token| *token == joined);
            let result = known.unwrap_or(tokens.len());
            if known.is_none() {
                tokens.push(joined);
            }
            rules.push([left, right, result].map(|id| id as TokenId));
        }
        (tokens, rules)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

        #[test]
        fn words_are_merged_as_by_tokenizers(
            choices in vec((any::<usize>(), any::<usize>()), 0..12), reversed: bool, word in "[abc]{0,24}")
        {
            let (tokens, mut rules) = vocabulary(&choices);
            if reversed {
                rules.reverse();
            }
            let token = |id: TokenId| tokens[id as usize].clone();
            let theirs = BPE::builder()
                .vocab_and_merges::<Vocab>(
                    (0..).zip(&tokens).map(|(id, token)| (token.clone(), id)).collect(),
                    rules.iter().map(|[left, right, _]| (token(*left), token(*right))).collect(),
                )
                .build()
                .unwrap();
            let expected: Vec<TokenId> =
                theirs.tokenize(&word).unwrap().iter().map(|token| token.id).collect();
            let symbols = word.bytes().map(|byte| TokenId::from(byte - b'a'));
            let mut ids = Vec::new();
            MergeRules::new(&rules).merge(symbols, &mut MergeWork::default(), &mut ids);
            prop_assert_eq!(ids, expected);
        }
    }
}
