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
        /// How many.
        k: usize,
        /// What the logits are divided by.
        temperature: f32,
    },
    /// One of the most probable, up to the first at which the sum of `softmax(logits /
    /// temperature)` exceeds `p`, in proportion to it.
    TopP {
        /// The probability to be exceeded, at most 1, which keeps all.
        p: f32,
        /// The most tokens to keep: all, if none.
        k: Option<usize>,
        /// What the logits are divided by.
        temperature: f32,
    },
}
