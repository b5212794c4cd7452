//! Backbone with a key/value cache: after the prefill, each step processes one token.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use gpt2_backbone::{
    ForwardOptions, Gpt2Backbone, KeyValueCache, PendingRead, read_f32, start_read,
};
use gpt2_kernels::{chooses_tokens, run_on_cores, top_tokens};
use gpt2_tokenizer::TokenId;

use super::choices::Choices;
use super::device_step::model::{DeviceModel, TokenRequest};
use super::device_step::steps::{DeviceSteps, choose_first};
use super::matrix::Matrix;
use super::next_token::NextToken;
use super::top_tokens::{self, TokenProbability};
use crate::error::TaskError;
use crate::token_batch::ids_to_tensor;

/// Feeds the backbone the tokens that its cache does not hold yet.
pub(crate) struct CachedModel {
    backbone: Gpt2Backbone,
    choices: Choices,
    cache: KeyValueCache,
    /// Hidden states of the last step, `[rows, positions, hidden_dim]`.
    hidden_states: Option<Tensor<3>>,
    /// Next steps, after the device has chosen the first tokens.
    steps: Option<DeviceSteps>,
}

impl CachedModel {
    /// Model for `batch_size` rows of up to `max_length` tokens.
    pub(crate) fn new(
        backbone: &Gpt2Backbone,
        choices: Choices,
        batch_size: usize,
        max_length: usize,
    ) -> Result<Self, TaskError> {
        // Without autodiff, which would keep a graph of all steps. The weights are shared.
        let backbone = backbone.valid();
        let cache = backbone.new_cache(batch_size, max_length)?;
        Ok(Self { backbone, choices, cache, hidden_states: None, steps: None })
    }

    /// Tokens before `index` that the cache does not hold, `[rows, positions]`.
    fn unseen(&self, rows: &[Vec<TokenId>], index: usize) -> Result<Tensor<2, Int>, TaskError> {
        let start = self.cache.len();
        let unseen: Vec<Vec<TokenId>> = rows.iter().map(|row| row[start..index].to_vec()).collect();
        let vocabulary_size = self.backbone.config().vocabulary_size;
        ids_to_tensor("token_ids", &unseen, vocabulary_size, &self.backbone.device())
    }

    /// Logits of the choices after tokens that the cache does not hold, `[rows, choices]`.
    fn forward(&mut self, token_ids: Tensor<2, Int>) -> Result<Tensor<2>, TaskError> {
        let [_, new] = token_ids.dims();
        let options = ForwardOptions { cache: Some(&mut self.cache), ..Default::default() };
        let hidden_states = self.backbone.forward_with(token_ids, options)?;
        // Only the last position is needed: logits of the others would cost more than the layers.
        let last = hidden_states.clone().narrow(1, new - 1, 1);
        self.hidden_states = Some(hidden_states);
        Ok(self.choices.logits(&self.backbone, last))
    }

    /// Chooses tokens for position `index` on the device, from the rows before it. The device
    /// repeats the next steps from a recording if it can, unless `told`.
    fn first_step(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
        told: bool,
    ) -> Result<Tensor<1, Int>, TaskError> {
        let logits = self.forward(self.unseen(rows, index)?)?;
        let chosen = choose_first(logits, index, request);
        self.steps = Some(DeviceSteps::new(chosen.clone(), self.choices, index, told));
        Ok(chosen)
    }

    /// Recomputes the tokens of a step whose recording failed, now without a recording. The step's
    /// cache is lost, and `rows` may lack the token before `index`.
    fn start_over(
        &mut self,
        steps: DeviceSteps,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<Tensor<1, Int>, TaskError> {
        let fed = steps.into_fed(&self.backbone, index - 1, request)?;
        let batch_size = self.cache.batch_size();
        self.cache = self.backbone.new_cache(batch_size, self.cache.max_length())?;
        let mut rows = rows.to_vec();
        for (row, token) in rows.iter_mut().zip(fed) {
            row[index - 1] = token;
        }
        self.first_step(&rows, index, request, true)
    }
}

impl NextToken for CachedModel {
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError> {
        let token_ids = self.unseen(rows, index)?;
        // The operations of one token are too short to wake a core for each.
        let logits = run_on_cores(|| Ok::<_, TaskError>(read_f32(self.forward(token_ids)?)?))?;
        Ok(Matrix::new(logits, self.vocabulary_size()))
    }

    fn hidden_states(&mut self) -> Result<Matrix, TaskError> {
        let hidden_states = self.hidden_states.clone().expect("a step was computed before");
        let [_, positions, hidden_dim] = hidden_states.dims();
        Ok(Matrix::new(read_f32(hidden_states)?, positions * hidden_dim))
    }

    fn select_rows(&mut self, rows: &[usize]) {
        self.cache.select_rows(rows);
    }

    fn vocabulary_size(&self) -> usize {
        self.choices.end()
    }

    fn on_device(&mut self) -> Option<&mut dyn DeviceModel> {
        match chooses_tokens(&self.backbone.device()) {
            true => Some(self),
            false => None,
        }
    }
}

impl DeviceModel for CachedModel {
    fn top_tokens(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        let token_ids = self.unseen(rows, index)?;
        let found = top_tokens(self.forward(token_ids)?, k, temperature);
        let (probabilities, tokens) = found.expect("the device has the kernel");
        let (probabilities, tokens) = (start_read(probabilities), start_read(tokens));
        let probabilities: Vec<f32> = probabilities.wait()?.iter().collect();
        let tokens: Vec<TokenId> = tokens.wait()?.iter().collect();
        let vocabulary_size = self.vocabulary_size();
        let rows = tokens.chunks_exact(k).zip(probabilities.chunks_exact(k)).enumerate();
        rows.map(|(row, (tokens, probabilities))| {
            if tokens[0] as usize == vocabulary_size {
                return Err(TaskError::NonFiniteLogits { row, position: index });
            }
            Ok(top_tokens::top_tokens(probabilities, k, |place| tokens[place]))
        })
        .collect()
    }

    fn choose(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<PendingRead, TaskError> {
        let Some(mut steps) = self.steps.take() else {
            return Ok(start_read(self.first_step(rows, index, request, false)?));
        };
        let chosen = steps.run(&self.backbone, &mut self.cache, request)?;
        let chosen = match chosen {
            Some(chosen) => {
                self.steps = Some(steps);
                chosen
            }
            None => self.start_over(steps, rows, index, request)?,
        };
        Ok(start_read(chosen))
    }
}
