//! Stage 6, words to ids: the merges, on the byte-pair encoder of the `tokenizers` crate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use tokenizers::Model;
use tokenizers::models::bpe::BPE;

use crate::{Merges, TokenId, Vocabulary, byte_alphabet};

/// It is not known yet whether the token survives as a word.
const UNTRIED: u8 = 0;
/// The merges turn the token, as a word, into itself.
const WHOLE: u8 = 1;
/// The merges turn the token, as a word, into something else.
const SPLIT: u8 = 2;

/// Length in symbols of the longest word worth remembering.
const REMEMBERED_LENGTH: usize = 64;
/// Number of words that one call remembers at most: some ten megabytes.
const REMEMBERED_WORDS: usize = 1 << 16;

/// What one call on the tokenizer works with: it needs no lock, and ends with the call.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    symbols: String,
    /// Ids of the words that are no token, which repeat in any language.
    merged: HashMap<Box<str>, Box<[TokenId]>>,
}

/// The byte-pair encoder of one vocabulary.
///
/// Most words are a token. For these the merges need not run, once they were seen to end there:
/// they do for every token of GPT-2, but not in every vocabulary.
#[derive(Debug)]
pub(crate) struct Encoder {
    bpe: BPE,
    /// By id: whether the token survives as a word. A race only repeats the trial.
    whole: Vec<AtomicU8>,
    /// Length in bytes of the longest token.
    longest: usize,
    /// By byte: whether its symbol is a token.
    known: [bool; 256],
}

impl Encoder {
    /// Makes the encoder; the merges were checked against the vocabulary before.
    pub(crate) fn new(vocabulary: &Vocabulary, merges: &Merges) -> Self {
        let bpe = BPE::builder()
            .vocab_and_merges::<tokenizers::models::bpe::Vocab>(
                vocabulary.iter().map(|(token, id)| (token.to_owned(), id)).collect(),
                merges.iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect(),
            )
            // Its cache belongs to the thread and outlives the tokenizer; `Workspace` does not.
            .cache_capacity(0)
            .build()
            .expect("the parts and results of all merges are in the vocabulary");
        let known = byte_alphabet::symbols().map(|symbol| {
            let mut buffer = [0; 4];
            vocabulary.id(symbol.encode_utf8(&mut buffer)).is_some()
        });
        Self {
            bpe,
            whole: (0..=vocabulary.max_token_id()).map(|_| AtomicU8::new(UNTRIED)).collect(),
            longest: vocabulary.iter().map(|(token, _)| token.len()).max().unwrap_or(0),
            known,
        }
    }

    /// Whether the symbol of every byte is a token, as in GPT-2's own vocabulary.
    pub(crate) fn knows_all_bytes(&self) -> bool {
        self.known.iter().all(|known| *known)
    }

    /// Whether the symbol of `byte` is a token.
    pub(crate) fn knows(&self, byte: u8) -> bool {
        self.known[usize::from(byte)]
    }

    /// Appends the ids of one word to `ids`; bytes without a token are dropped.
    pub(crate) fn encode(&self, word: &str, work: &mut Workspace, ids: &mut Vec<TokenId>) {
        let alphabet = byte_alphabet::symbols();
        work.symbols.clear();
        work.symbols.extend(
            word.bytes().filter(|byte| self.knows(*byte)).map(|byte| alphabet[usize::from(byte)]),
        );
        let token = match work.symbols.len() <= self.longest {
            true => self.bpe.token_to_id(&work.symbols),
            false => None,
        };
        let Some(token) = token else {
            return self.merge_once(work, ids);
        };
        let whole = &self.whole[token as usize];
        if whole.load(Ordering::Relaxed) == WHOLE {
            return ids.push(token);
        }
        let start = ids.len();
        self.merge(&work.symbols, ids);
        let found = if ids[start..] == [token] { WHOLE } else { SPLIT };
        whole.store(found, Ordering::Relaxed);
    }

    /// Appends the ids of the word in `work`, from memory where it can.
    fn merge_once(&self, work: &mut Workspace, ids: &mut Vec<TokenId>) {
        if let Some(merged) = work.merged.get(work.symbols.as_str()) {
            return ids.extend_from_slice(merged);
        }
        let start = ids.len();
        self.merge(&work.symbols, ids);
        if work.symbols.len() <= REMEMBERED_LENGTH && work.merged.len() < REMEMBERED_WORDS {
            work.merged.insert(work.symbols.as_str().into(), ids[start..].into());
        }
    }

    /// Runs the merges over a word that is written in symbols.
    fn merge(&self, symbols: &str, ids: &mut Vec<TokenId>) {
        let tokens = self.bpe.tokenize(symbols).expect("without unknown token BPE cannot fail");
        ids.extend(tokens.iter().map(|token| token.id));
    }
}
