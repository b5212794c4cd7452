//! Times of a generation, without loading of the model.

use std::time::Instant;

/// Times of a generation.
pub(super) struct Watch {
    start: Instant,
    /// Seconds until the first token, if there was one.
    pub(super) first_token: Option<f64>,
    seconds: f64,
    tokens: usize,
}

impl Watch {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), first_token: None, seconds: 0.0, tokens: 0 }
    }

    /// Records a token.
    pub(super) fn token(&mut self) {
        self.first_token.get_or_insert_with(|| self.start.elapsed().as_secs_f64());
    }

    /// Records the end of a generation of `tokens` tokens.
    pub(super) fn stop(&mut self, tokens: usize) {
        self.seconds = self.start.elapsed().as_secs_f64();
        self.tokens += tokens;
    }

    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(super) fn tokens_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.tokens as f64 / self.seconds } else { 0.0 }
    }
}
