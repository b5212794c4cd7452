//! A probable token that does not repeat what has been said.

use serde::{Deserialize, Serialize};

use super::{MAX_BRANCHES, SearchStrategy, check, check_count, check_temperature};
use crate::TaskError;
use crate::decoding::{Beam, Decoding, Matrix};
use crate::probabilities::{argmax, softmax, token, top_k};

/// Contrastive search ([Su et al., 2022](https://arxiv.org/abs/2202.06417);
/// `keras_hub/src/samplers/contrastive_sampler.py`).
///
/// Of the `k` most probable tokens, it chooses the one with the best
/// `(1 - alpha) * probability - alpha * similarity`, where the similarity is the largest cosine
/// between the token's hidden state and those of the tokens before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastiveSampler {
    /// Number of candidates: 5. Each costs a forward pass.
    pub k: usize,
    /// Weight of the similarity, from 0 to 1: 0.6.
    pub alpha: f32,
    /// What the logits are divided by: 1.
    pub temperature: f32,
}

impl Default for ContrastiveSampler {
    fn default() -> Self {
        Self { k: 5, alpha: 0.6, temperature: 1.0 }
    }
}

impl ContrastiveSampler {
    /// A search among `k` candidates.
    pub fn new(k: usize, alpha: f32) -> Self {
        Self { k, alpha, ..Self::default() }
    }

    /// Sets what the logits are divided by.
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Chooses among the candidates of all rows; each row's `k` candidates lie side by side.
    fn choose(
        &self,
        probabilities: &[f32],
        candidates: &Matrix,
        context: &[Vec<f32>],
    ) -> Vec<usize> {
        let rows = context.iter().enumerate();
        rows.map(|(row, context)| {
            let first = row * self.k;
            let scores: Vec<f32> = (first..first + self.k)
                .map(|candidate| {
                    let hidden = candidates.row(candidate);
                    let similarity = largest_similarity(context, hidden);
                    (1.0 - self.alpha) * probabilities[candidate] - self.alpha * similarity
                })
                .collect();
            first + argmax(&scores)
        })
        .collect()
    }

    /// The `k` most probable tokens of every row and their probabilities.
    fn candidates(&self, logits: &mut Matrix) -> (Vec<u32>, Vec<f32>) {
        let (mut tokens, mut probabilities) = (Vec::new(), Vec::new());
        for logits in logits.rows_mut() {
            softmax(logits, self.temperature);
            for index in top_k(logits, self.k) {
                tokens.push(token(index));
                probabilities.push(logits[index]);
            }
        }
        (tokens, probabilities)
    }
}

impl SearchStrategy for ContrastiveSampler {
    fn search(&mut self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        if decoding.is_done() {
            return Ok(None);
        }
        let batch_size = decoding.rows().len();
        let repeated: Vec<usize> =
            (0..batch_size).flat_map(|row| std::iter::repeat_n(row, self.k)).collect();
        let mut logits = decoding.next_logits()?;
        // The hidden states of every token so far, row by row.
        let mut context: Vec<Vec<f32>> =
            decoding.hidden_states()?.rows().map(<[f32]>::to_vec).collect();
        while !decoding.is_done() {
            let (tokens, probabilities) = self.candidates(&mut logits);
            decoding.select_rows(&repeated);
            decoding.write(&tokens)?;
            let candidate_logits = decoding.logits_at(decoding.index() + 1)?;
            let hidden = decoding.hidden_states()?;
            let chosen = self.choose(&probabilities, &hidden, &context);
            decoding.select_rows(&chosen);
            decoding.advance();
            decoding.announce();
            logits = candidate_logits.select(&chosen);
            for (context, &candidate) in context.iter_mut().zip(&chosen) {
                context.extend_from_slice(hidden.row(candidate));
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

/// The largest cosine between `hidden` and the vectors of `context`.
fn largest_similarity(context: &[f32], hidden: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let norm = dot(hidden, hidden).sqrt();
    context
        .chunks_exact(hidden.len())
        .map(|before| dot(before, hidden) / (dot(before, before).sqrt() * norm))
        .fold(f32::NEG_INFINITY, f32::max)
}
