//! A model that chooses tokens on its device.

use gpt2_backbone::PendingRead;
use gpt2_kernels::{StepPlan, TokenChoice};
use gpt2_tokenizer::TokenId;

use crate::error::TaskError;
use crate::generation::top_tokens::TokenProbability;

/// A model that chooses tokens where its logits are.
pub trait DeviceModel {
    /// The `k` most probable tokens for position `index` of every row, the most probable first, by
    /// `softmax(logits / temperature)`.
    ///
    /// # Errors
    ///
    /// The model's own, and [`TaskError::NonFiniteLogits`].
    fn top_tokens(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError>;

    /// Chooses the token for position `index` of every row, and starts to read it. An id equal to
    /// the vocabulary's size stands for logits that are not finite.
    ///
    /// The first call sees `rows`. Each later one is for the next position, has the same request,
    /// and may come before the tokens of the one before it are read or in `rows`.
    ///
    /// # Errors
    ///
    /// The model's own.
    fn choose(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<PendingRead, TaskError>;
}

/// Choice of the tokens of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRequest {
    choice: TokenChoice,
    plan: StepPlan,
}

impl TokenRequest {
    pub(super) fn new(choice: TokenChoice, plan: StepPlan) -> Self {
        Self { choice, plan }
    }

    /// Way in which a token follows from its logits.
    pub fn choice(&self) -> TokenChoice {
        self.choice
    }

    /// Random numbers of `[0, 1)` for a position, one for each row.
    pub fn numbers(&self, position: usize) -> &[f32] {
        &self.plan.numbers[position * self.plan.rows..][..self.plan.rows]
    }

    /// Tokens that the prompts have at a position, or -1, one for each row.
    pub fn forced(&self, position: usize) -> &[i32] {
        &self.plan.forced[position * self.plan.rows..][..self.plan.rows]
    }

    pub(super) fn plan(&self) -> &StepPlan {
        &self.plan
    }
}
