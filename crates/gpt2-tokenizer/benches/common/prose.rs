//! Deterministic text like prose, for benchmarks of tokenizers.

use gpt2_tokenizer::Vocabulary;

/// Words of GPT-2's vocabulary, short ids more often, as in language. One word in eight has an
/// ending that makes it not a token; one in eight is followed by a string that is not a word.
pub fn prose(vocabulary: &Vocabulary, bytes: usize) -> String {
    let mut random = Random(7);
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        let magnitude = random.below(16);
        let id = 256 + random.below(1 << magnitude) as u32;
        let Some(word) = vocabulary.token(id).and_then(|token| token.strip_prefix('Ġ')) else {
            continue;
        };
        if !word.chars().all(|character| character.is_ascii_alphabetic()) {
            continue;
        }
        text.extend([" ", word]);
        match random.below(64) {
            0..8 => text.push_str(["ish", "ington", "ably", "ford"][random.below(4)]),
            8..16 => text.push_str([",", ".", ".\n", " 1984", "'s", "!\""][random.below(6)]),
            _ => {}
        }
    }
    text
}

/// Deterministic random numbers (xorshift). The state must not be 0.
pub struct Random(pub u64);

impl Random {
    /// Random number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}
