//! Ways to choose the next token.

/// A way to choose a token of each row of logits, given a uniform random number of `[0, 1)` for each
/// row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TokenChoice {
    /// The most probable token; of equal ones the first.
    Greedy,
    /// Any token, in proportion to `softmax(logits / temperature)`.
    Random {
        /// Divisor of the logits.
        temperature: f32,
    },
    /// One of the `k` most probable, in proportion to `softmax(logits / temperature)`.
    TopK {
        /// Number of candidates.
        k: usize,
        /// Divisor of the logits.
        temperature: f32,
    },
    /// One of the nucleus, in proportion to `softmax(logits / temperature)`: the most probable tokens,
    /// up to the first at which the sum of their probabilities exceeds `p`.
    TopP {
        /// Probability to be exceeded, at most 1, which keeps all tokens.
        p: f32,
        /// Most tokens to keep; none for no limit.
        k: Option<usize>,
        /// Divisor of the logits.
        temperature: f32,
    },
}
