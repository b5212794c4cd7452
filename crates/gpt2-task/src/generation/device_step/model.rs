//! Model that chooses tokens on its device.

use gpt2_backbone::PendingRead;
use gpt2_kernels::{StepPlan, TokenChoice};
use gpt2_tokenizer::TokenId;

use crate::error::TaskError;
use crate::generation::top_tokens::TokenProbability;

/// Model that chooses tokens on the device of its logits.
pub trait DeviceModel {
    /// The `k` most probable tokens for position `index` of every row, the most probable first, by
    /// `softmax(logits / temperature)`.
    ///
    /// # Errors
    ///
    /// Those of the model, and [`TaskError::NonFiniteLogits`].
    fn top_tokens(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError>;

    /// Chooses the token for position `index` of every row, and starts to read it. An id equal to
    /// the vocabulary size means non-finite logits.
    ///
    /// The first call uses `rows`. Each later call is for the next position and has the same
    /// request. It may come before the tokens of the previous call are read or written to `rows`.
    ///
    /// # Errors
    ///
    /// Those of the model.
    fn choose(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<PendingRead, TaskError>;
}

/// Request for the tokens of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRequest {
    choice: TokenChoice,
    plan: StepPlan,
}

impl TokenRequest {
    pub(super) fn new(choice: TokenChoice, plan: StepPlan) -> Self {
        Self { choice, plan }
    }

    /// Rule that chooses a token from its logits.
    pub fn choice(&self) -> TokenChoice {
        self.choice
    }

    /// Random numbers in `[0, 1)` for a position, one for each row.
    pub fn numbers(&self, position: usize) -> &[f32] {
        &self.plan.numbers[position * self.plan.rows..][..self.plan.rows]
    }

    /// Prompt tokens at a position, one for each row; -1 after the end of a prompt.
    pub fn forced(&self, position: usize) -> &[i32] {
        &self.plan.forced[position * self.plan.rows..][..self.plan.rows]
    }

    pub(super) fn plan(&self) -> &StepPlan {
        &self.plan
    }
}
