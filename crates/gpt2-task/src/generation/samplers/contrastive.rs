//! Contrastive search: a probable token whose hidden state differs from the earlier ones.

use std::iter::repeat_n;

use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::check::{MAX_BRANCHES, check, check_count, check_temperature};
use super::sampler::SearchStrategy;
use crate::error::TaskError;
use crate::generation::decoding::{Beam, Decoding};
use crate::generation::matrix::Matrix;
use crate::generation::probabilities::argmax;
use crate::generation::top_tokens::TokenProbability;

/// Contrastive search ([Su et al., 2022](https://arxiv.org/abs/2202.06417);
/// `keras_hub/src/samplers/contrastive_sampler.py`).
///
/// Chooses among the `k` most probable tokens the one with the largest
/// `(1 - alpha) * probability - alpha * similarity`. The similarity is the largest cosine between
/// the token's hidden state and those of the tokens before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ContrastiveSampler {
    /// Number of candidates. Each costs a forward pass. Default: 5.
    pub k: usize,
    /// Weight of the similarity, from 0 to 1. Default: 0.6.
    pub alpha: f32,
    /// Divisor of the logits. Default: 1.
    pub temperature: f32,
}

impl Default for ContrastiveSampler {
    fn default() -> Self {
        Self { k: 5, alpha: 0.6, temperature: 1.0 }
    }
}

impl ContrastiveSampler {
    /// Search among `k` candidates.
    pub fn new(k: usize, alpha: f32) -> Self {
        Self { k, alpha, ..Self::default() }
    }

    /// Sets the divisor of the logits.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Indices of the chosen candidates. The candidates of a row are adjacent.
    fn choose(
        &self,
        candidates: &[Vec<TokenProbability>],
        hidden: &Matrix,
        context: &[Context],
    ) -> Vec<usize> {
        let mut first = 0;
        let of_row = |(candidates, context): (&Vec<TokenProbability>, &Context)| {
            let score = |(place, candidate): (usize, &TokenProbability)| {
                let similarity = context.largest_similarity(hidden.row(first + place));
                (1.0 - self.alpha) * candidate.probability - self.alpha * similarity
            };
            let scores: Vec<f32> = candidates.iter().enumerate().map(score).collect();
            let chosen = first + argmax(&scores);
            first += candidates.len();
            chosen
        };
        candidates.iter().zip(context).map(of_row).collect()
    }
}

impl SearchStrategy for ContrastiveSampler {
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        if decoding.is_done() {
            return Ok(None);
        }
        let mut candidates = decoding.top_tokens(self.k, self.temperature)?;
        let positions = decoding.index();
        let mut context: Vec<Context> = decoding
            .hidden_states()?
            .rows()
            .map(|states| Context::new(states, states.len() / positions))
            .collect();
        while !decoding.is_done() {
            let rows = candidates.iter().enumerate();
            let repeated: Vec<usize> =
                rows.flat_map(|(row, candidates)| repeat_n(row, candidates.len())).collect();
            let tokens: Vec<TokenId> =
                candidates.iter().flatten().map(|candidate| candidate.token_id).collect();
            decoding.select_rows(&repeated);
            decoding.write(&tokens)?;
            let following =
                decoding.top_tokens_at(decoding.index() + 1, self.k, self.temperature)?;
            let hidden = decoding.hidden_states()?;
            let chosen = self.choose(&candidates, &hidden, &context);
            decoding.select_rows(&chosen);
            decoding.advance();
            decoding.announce();
            candidates = chosen.iter().map(|&place| following[place].clone()).collect();
            for (context, &place) in context.iter_mut().zip(&chosen) {
                context.push(hidden.row(place));
            }
        }
        Ok(None)
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        check_count("contrastive", "k", self.k, MAX_BRANCHES.min(vocabulary_size))?;
        let valid = (0.0..=1.0).contains(&self.alpha);
        check(valid, "contrastive", "alpha", "between 0 and 1", self.alpha)?;
        check_temperature("contrastive", self.temperature)
    }
}

/// Hidden states of all tokens of a row so far, and their norms.
struct Context {
    states: Vec<f32>,
    norms: Vec<f32>,
}

impl Context {
    /// States of a prompt, `hidden_dim` values each.
    fn new(states: &[f32], hidden_dim: usize) -> Self {
        let mut context = Self { states: Vec::new(), norms: Vec::new() };
        states.chunks_exact(hidden_dim).for_each(|state| context.push(state));
        context
    }

    /// Adds the state of the next token.
    fn push(&mut self, state: &[f32]) {
        self.states.extend_from_slice(state);
        self.norms.push(norm(state));
    }

    /// Largest cosine between `hidden` and one of the states.
    fn largest_similarity(&self, hidden: &[f32]) -> f32 {
        let hidden_norm = norm(hidden);
        let states = self.states.chunks_exact(hidden.len()).zip(&self.norms);
        states
            .map(|(state, state_norm)| dot(state, hidden) / (state_norm * hidden_norm))
            .fold(f32::NEG_INFINITY, f32::max)
    }
}

/// Euclidean norm of a vector.
fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

/// Dot product, with partial sums that the compiler vectorizes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a_blocks, a_rest), (b_blocks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cosine_counts_whatever_the_lengths() {
        let mut context = Context::new(&[3.0, 0.0, 0.0, -1.0, -1.0, 0.0], 3);
        assert!((context.largest_similarity(&[1.0, 1.0, 0.0]) - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(context.largest_similarity(&[0.0, 0.0, 2.0]), 0.0);
        context.push(&[2.0, 2.0, 0.1]);
        assert!(context.largest_similarity(&[1.0, 1.0, 0.0]) > 0.99);
    }

    #[test]
    fn dot_takes_every_element() {
        for length in [1, 15, 16, 17, 40] {
            let a: Vec<f32> = (1..=length).map(|i| i as f32).collect();
            let b: Vec<f32> = a.iter().map(|i| 2.0 - i).collect();
            let expected: i64 = (1..=i64::from(length)).map(|i| i * (2 - i)).sum();
            assert_eq!(dot(&a, &b), expected as f32);
        }
    }
}
