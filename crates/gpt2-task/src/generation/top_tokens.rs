//! Most probable tokens of a position.

use gpt2_tokenizer::TokenId;

use super::matrix::Matrix;
use super::probabilities::{softmax, token, top_k};

/// Candidate for the next token, with its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenProbability {
    /// Id of the token.
    pub token_id: TokenId,
    /// Probability of the token.
    pub probability: f32,
}

/// The `k` most probable tokens of each row by `softmax(logits / temperature)`, the most probable
/// first. A row with fewer allowed tokens has fewer.
pub(super) fn top_tokens_of_logits(
    mut logits: Matrix,
    k: usize,
    temperature: f32,
) -> Vec<Vec<TokenProbability>> {
    let of_row = |logits: &mut [f32]| {
        let places = logits.iter().enumerate();
        let forbidden = places.filter(|(_, logit)| **logit == f32::NEG_INFINITY);
        let forbidden: Vec<usize> = forbidden.map(|(place, _)| place).collect();
        softmax(logits, temperature);
        // Forbidden tokens come after all allowed ones, even after those whose probability rounds
        // to 0.
        forbidden.iter().for_each(|&place| logits[place] = f32::NEG_INFINITY);
        top_tokens(logits, k.min(logits.len() - forbidden.len()), token)
    };
    logits.rows_mut().map(of_row).collect()
}

/// The `k` most probable tokens, the most probable first. `token_at` maps an index to its token.
pub(super) fn top_tokens(
    probabilities: &[f32],
    k: usize,
    token_at: impl Fn(usize) -> TokenId,
) -> Vec<TokenProbability> {
    let describe =
        |place| TokenProbability { token_id: token_at(place), probability: probabilities[place] };
    top_k(probabilities, k).into_iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_tokens_are_no_candidates() {
        // The probability of the logit -200 rounds to 0.
        let logits = vec![f32::NEG_INFINITY, -200.0, 1.0, f32::NEG_INFINITY, 3.0, 2.0, 1.0, 0.0];
        let found = top_tokens_of_logits(Matrix::new(logits, 4), 3, 1.0);
        let ids = |row: &Vec<TokenProbability>| row.iter().map(|token| token.token_id).collect();
        let ids: Vec<Vec<TokenId>> = found.iter().map(ids).collect();
        assert_eq!(ids, [vec![2, 1], vec![0, 1, 2]]);
        assert_eq!(found[0][1].probability, 0.0);
    }
}
