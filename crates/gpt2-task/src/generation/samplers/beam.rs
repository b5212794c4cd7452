//! Beam search: the most probable whole text among several candidates.

use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::check::{MAX_BRANCHES, check_count, check_temperature};
use super::sampler::SearchStrategy;
use crate::error::TaskError;
use crate::generation::decoding::{Beam, Decoding};
use crate::generation::probabilities::top_k;
use crate::generation::top_tokens::TokenProbability;

/// Keeps the `num_beams` most probable continuations at every step
/// (`keras_hub/src/samplers/beam_sampler.py`).
///
/// As in KerasHub, the score of a beam is the sum of its log probabilities, without a length
/// penalty. A beam with a stop token still competes, together with the tokens that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BeamSampler {
    /// Number of continuations to keep for each row. Default: 5.
    pub num_beams: usize,
    /// Whether all beams and their scores are returned, not only the best beam. Default: false.
    pub return_all_beams: bool,
    /// Divisor of the logits. Default: 1.
    pub temperature: f32,
    /// Treatment of a row whose prompt is longer than the batch's shortest. Default:
    /// [`RaggedBeams::KerasHub`].
    pub ragged: RaggedBeams,
}

/// Scores of a beam search during the rest of a longer prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RaggedBeams {
    /// As in KerasHub: the scores include chosen tokens that the prompt then overwrites, and all
    /// beams become equal. A row's answer depends on the other rows of the batch.
    #[default]
    KerasHub,
    /// The search starts at the end of the row's own prompt: the answer equals that of the row
    /// alone.
    Independent,
}

impl Default for BeamSampler {
    fn default() -> Self {
        let ragged = RaggedBeams::default();
        Self { num_beams: 5, return_all_beams: false, temperature: 1.0, ragged }
    }
}

impl BeamSampler {
    /// Search that keeps `num_beams` continuations.
    pub fn new(num_beams: usize) -> Self {
        Self { num_beams, ..Self::default() }
    }

    /// Sets whether all beams are returned.
    #[must_use]
    pub fn with_return_all_beams(mut self, return_all_beams: bool) -> Self {
        self.return_all_beams = return_all_beams;
        self
    }

    /// Sets the divisor of the logits.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets the treatment of prompts of different lengths.
    #[must_use]
    pub fn with_ragged(mut self, ragged: RaggedBeams) -> Self {
        self.ragged = ragged;
        self
    }

    /// One step of all rows. Takes and returns the scores of every row's beams.
    fn step(
        &self,
        decoding: &mut Decoding<'_>,
        scores: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>, TaskError> {
        // At most `num_beams` continuations of one beam can be kept.
        let candidates = decoding.top_tokens(self.num_beams, self.temperature)?;
        let mut kept: Vec<Vec<Candidate>> = Vec::with_capacity(scores.len());
        let mut place = 0;
        for scores in scores {
            let waits = self.ragged == RaggedBeams::Independent && decoding.is_forced(place);
            let mut of_row = Vec::new();
            for score in scores {
                if waits {
                    // The prompt's own token overwrites this id.
                    of_row.push(Candidate { score, place, token_id: 0 });
                } else {
                    let candidate = |token: &TokenProbability| Candidate {
                        score: token.probability.ln() + score,
                        place,
                        token_id: token.token_id,
                    };
                    of_row.extend(candidates[place].iter().map(candidate));
                }
                place += 1;
            }
            kept.push(self.keep(of_row));
        }
        let flat = kept.iter().flatten();
        decoding.select_rows(&flat.clone().map(|candidate| candidate.place).collect::<Vec<_>>());
        decoding.write(&flat.map(|candidate| candidate.token_id).collect::<Vec<_>>())?;
        decoding.advance();
        let scores = |row: Vec<Candidate>| row.into_iter().map(|c| c.score).collect();
        Ok(kept.into_iter().map(scores).collect())
    }

    /// The `num_beams` candidates with the highest scores, the highest first.
    fn keep(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        candidates.sort_by(|a, b| {
            let first = (a.place, a.token_id).cmp(&(b.place, b.token_id));
            b.score.total_cmp(&a.score).then(first)
        });
        candidates.truncate(self.num_beams);
        candidates
    }
}

/// Beam of the batch, and a token that may continue it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    place: usize,
    token_id: TokenId,
}

impl SearchStrategy for BeamSampler {
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        // Every row starts with one beam, so that each prompt is computed once.
        let mut scores = vec![vec![0.0]; decoding.rows().len()];
        while !decoding.is_done() {
            scores = self.step(decoding, scores)?;
        }
        let ranked = rank(decoding, &scores);
        let best: Vec<usize> = ranked.iter().map(|row| row[0].0).collect();
        decoding.select_rows(&best);
        decoding.announce_all();
        let beams = |row: Vec<(usize, Beam)>| row.into_iter().map(|(_, beam)| beam).collect();
        Ok(self.return_all_beams.then(|| ranked.into_iter().map(beams).collect()))
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        check_count("beam", "num_beams", self.num_beams, MAX_BRANCHES.min(vocabulary_size))?;
        check_temperature("beam", self.temperature)
    }
}

/// Beams of every row with their indices in the batch, the best first.
fn rank(decoding: &Decoding<'_>, scores: &[Vec<f32>]) -> Vec<Vec<(usize, Beam)>> {
    let mut first = 0;
    let mut ranked = Vec::with_capacity(scores.len());
    for scores in scores {
        let beam = |beam: usize| {
            let place = first + beam;
            let token_ids = decoding.rows()[place].clone();
            let log_probability = scores[beam];
            (place, Beam { token_ids, length: decoding.length(place), log_probability })
        };
        ranked.push(top_k(scores, scores.len()).into_iter().map(beam).collect());
        first += scores.len();
    }
    ranked
}
