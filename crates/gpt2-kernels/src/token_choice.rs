//! How the next token is chosen of logits, where they are.

/// A way to choose a token of each row of logits, given an evenly distributed random number of
/// `[0, 1)` for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TokenChoice {
    /// The most probable one; of several the first.
    Greedy,
    /// One of all, in proportion to `softmax(logits / temperature)`.
    Random {
        /// What the logits are divided by.
        temperature: f32,
    },
    /// One of the `k` most probable, in proportion to `softmax(logits / temperature)`.
    TopK {
        /// How many, at most [`TokenChoice::MAX_K`].
        k: usize,
        /// What the logits are divided by.
        temperature: f32,
    },
}

impl TokenChoice {
    /// Each of the most probable tokens takes a pass over the logits: more are better sorted.
    pub const MAX_K: usize = 64;
}
