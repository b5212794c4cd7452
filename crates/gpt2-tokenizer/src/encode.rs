//! Words to ids: one lookup for a word that is a token; the merges, run once, for any other word.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;

use crate::merge_rules::{MergeRules, MergeWork};
use crate::vocabulary::Vocabulary;
use crate::{TokenId, byte_alphabet};

/// Length in bytes of the longest word that is cached.
const REMEMBERED_LENGTH: usize = 64;
/// Most words in the cache of one call: about ten megabytes.
const REMEMBERED_WORDS: usize = 1 << 16;

/// Working memory of one call to the tokenizer. It needs no lock, and is dropped after the call.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    merging: MergeWork,
    /// Cached ids of the words that are not tokens: words repeat in any language.
    merged: HashMap<Box<[u8]>, Box<[TokenId]>, RandomState>,
}

/// Byte-pair encoder of one vocabulary.
///
/// Most words are tokens. Such a word skips the merges after they have produced that token once.
/// They do so for every token of GPT-2, but not in every vocabulary.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Tokens that fit a key. Longer words are cached in the workspace instead.
    tokens: HashMap<Key, Token, RandomState>,
    /// Token for each byte's symbol.
    bytes: [Option<TokenId>; 256],
    knows_all_bytes: bool,
    rules: MergeRules,
}

/// Short word, stored in the table itself: a lookup touches one place in memory.
type Key = [u64; 2];

/// Token that a whole word may be.
#[derive(Debug)]
struct Token {
    id: TokenId,
    /// Whether the merges have turned this word into its token before. A race only repeats the
    /// merges.
    survives: AtomicBool,
}

impl Encoder {
    /// Makes the encoder from a vocabulary and its rules. A rule is two parts and their result.
    pub(crate) fn new(vocabulary: &Vocabulary, rules: &[[TokenId; 3]]) -> Self {
        let bytes = byte_alphabet::symbols().map(|symbol| {
            let mut buffer = [0; 4];
            vocabulary.id(symbol.encode_utf8(&mut buffer))
        });
        let mut tokens =
            HashMap::with_capacity_and_hasher(vocabulary.len(), RandomState::default());
        // A word is never a token that is not written in the byte alphabet.
        tokens.extend(vocabulary.iter().filter_map(|(token, id)| {
            let key = key(&byte_alphabet::bytes_of(token)?)?;
            Some((key, Token { id, survives: AtomicBool::new(false) }))
        }));
        Self {
            tokens,
            bytes,
            knows_all_bytes: bytes.iter().all(Option::is_some),
            rules: MergeRules::new(rules),
        }
    }

    /// Whether the symbol of every byte is a token, as in GPT-2's vocabulary.
    pub(crate) fn knows_all_bytes(&self) -> bool {
        self.knows_all_bytes
    }

    /// Whether the symbol of `byte` is a token.
    pub(crate) fn knows(&self, byte: u8) -> bool {
        self.bytes[usize::from(byte)].is_some()
    }

    /// Appends the ids of one word to `ids`. Bytes without a token are dropped.
    pub(crate) fn encode(&self, word: &str, work: &mut Workspace, ids: &mut Vec<TokenId>) {
        let word = self.known_bytes(word);
        let token = key(&word).and_then(|key| self.tokens.get(&key));
        if let Some(token) = token
            && token.survives.load(Ordering::Relaxed)
        {
            return ids.push(token.id);
        }
        if let Some(merged) = work.merged.get(&*word) {
            return ids.extend_from_slice(merged);
        }
        let start = ids.len();
        let symbols = word.iter().filter_map(|byte| self.bytes[usize::from(*byte)]);
        self.rules.merge(symbols, &mut work.merging, ids);
        match token {
            Some(token) if ids[start..] == [token.id] => {
                token.survives.store(true, Ordering::Relaxed);
            }
            _ if word.len() <= REMEMBERED_LENGTH && work.merged.len() < REMEMBERED_WORDS => {
                work.merged.insert(word.into(), ids[start..].into());
            }
            _ => {}
        }
    }

    /// Bytes of a word that have a token.
    fn known_bytes<'a>(&self, word: &'a str) -> Cow<'a, [u8]> {
        match self.knows_all_bytes {
            true => word.as_bytes().into(),
            false => word.bytes().filter(|byte| self.knows(*byte)).collect(),
        }
    }
}

/// Bytes of a word and their number, if they fit in a key: all but 130 tokens of GPT-2 do.
fn key(word: &[u8]) -> Option<Key> {
    let mut key = [0; size_of::<Key>()];
    let (length, bytes) = key.split_last_mut()?;
    bytes.get_mut(..word.len())?.copy_from_slice(word);
    *length = word.len() as u8;
    let (first, second) = key.split_at(size_of::<u64>());
    Some([first, second].map(|half| u64::from_le_bytes(half.try_into().expect("eight bytes"))))
}
