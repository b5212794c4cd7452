//! Ways to choose the next token.

/// Way to choose a token of each row of logits by a uniform random number of `[0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TokenChoice {
    /// The most probable token; of equally probable ones the first.
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
    /// One of the nucleus, in proportion to `softmax(logits / temperature)`. The nucleus is the
    /// most probable tokens, up to the first at which the sum of their probabilities exceeds `p`.
    TopP {
        /// Probability that the nucleus exceeds. At 1 it has all tokens.
        p: f32,
        /// Largest number of candidates. None: no limit.
        k: Option<usize>,
        /// Divisor of the logits.
        temperature: f32,
    },
}
