//! A backbone that remembers what it has seen: one token a step.

use burn::module::Module;
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use gpt2_backbone::{
    ForwardOptions, Gpt2Backbone, KeyValueCache, PendingRead, read_f32, start_read,
};
use gpt2_kernels::{choose_tokens, chooses_tokens, run_on_cores, top_tokens};
use gpt2_tokenizer::TokenId;

use crate::TaskError;
use crate::next_token::{Matrix, NextToken, TokenProbability, TokenRequest, best_of_logits};
use crate::probabilities::top_k;
use crate::token_batch::ids_to_tensor;

/// Feeds the backbone the tokens that its cache does not hold yet.
pub(crate) struct CachedModel {
    backbone: Gpt2Backbone,
    cache: KeyValueCache,
    /// Hidden states of the tokens fed last, `[rows, positions, hidden_dim]`.
    hidden_states: Option<Tensor<3>>,
    /// The tokens that were chosen last on the device, `[rows]`, which the cache does not hold.
    chosen: Option<Tensor<1, Int>>,
}

impl CachedModel {
    /// A model for `batch_size` rows of up to `max_length` tokens.
    pub(crate) fn new(
        backbone: &Gpt2Backbone,
        batch_size: usize,
        max_length: usize,
    ) -> Result<Self, TaskError> {
        // Without autodiff: a graph of all steps would be kept otherwise. Tensors are shared.
        let backbone = backbone.valid();
        let cache = backbone.new_cache(batch_size, max_length)?;
        Ok(Self { backbone, cache, hidden_states: None, chosen: None })
    }

    /// The tokens before `index` that the cache does not hold, `[rows, positions]`.
    fn unseen(&self, rows: &[Vec<TokenId>], index: usize) -> Result<Tensor<2, Int>, TaskError> {
        let start = self.cache.len();
        let unseen: Vec<Vec<TokenId>> = rows.iter().map(|row| row[start..index].to_vec()).collect();
        let vocabulary_size = self.backbone.config().vocabulary_size;
        ids_to_tensor("token_ids", &unseen, vocabulary_size, &self.backbone.device())
    }

    /// Logits behind tokens that the cache does not hold, `[rows, vocabulary_size]`.
    fn forward(&mut self, token_ids: Tensor<2, Int>) -> Result<Tensor<2>, TaskError> {
        let [_, new] = token_ids.dims();
        let options = ForwardOptions { cache: Some(&mut self.cache), ..Default::default() };
        let hidden_states = self.backbone.forward_with(token_ids, options)?;
        // Only the last position is asked for; the others' logits would cost more than the layers.
        let last = hidden_states.clone().narrow(1, new - 1, 1);
        self.hidden_states = Some(hidden_states);
        Ok(self.backbone.logits(last).flatten(0, 1))
    }
}

impl NextToken for CachedModel {
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError> {
        let token_ids = self.unseen(rows, index)?;
        // One token's operations are too short to wake a core for each.
        let logits = run_on_cores(|| Ok::<_, TaskError>(read_f32(self.forward(token_ids)?)?))?;
        Ok(Matrix::new(logits, self.vocabulary_size()))
    }

    fn best(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        if !self.chooses() {
            return best_of_logits(self.next(rows, index)?, index, k, temperature);
        }
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
            let best = top_k(probabilities, k).into_iter();
            let describe = |place: usize| TokenProbability {
                token_id: tokens[place],
                probability: probabilities[place],
            };
            Ok(best.map(describe).collect())
        })
        .collect()
    }

    fn hidden_states(&mut self) -> Result<Matrix, TaskError> {
        let hidden_states = self.hidden_states.clone().expect("`next` was called before");
        let [_, positions, hidden_dim] = hidden_states.dims();
        Ok(Matrix::new(read_f32(hidden_states)?, positions * hidden_dim))
    }

    fn select_rows(&mut self, rows: &[usize]) {
        self.cache.select_rows(rows);
    }

    fn vocabulary_size(&self) -> usize {
        self.backbone.config().vocabulary_size
    }

    fn chooses(&self) -> bool {
        chooses_tokens(&self.backbone.device())
    }

    fn choose(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<PendingRead, TaskError> {
        let device = self.backbone.device();
        let token_ids = match self.chosen.take() {
            // They need not come here and go back.
            Some(chosen) => chosen.unsqueeze_dim(1),
            None => self.unseen(rows, index)?,
        };
        let logits = self.forward(token_ids)?;
        let [count, _] = logits.dims();
        let numbers = TensorData::new(request.numbers.clone(), [count]);
        let numbers = Tensor::from_data(numbers, (&device, DType::F32));
        let chosen = choose_tokens(logits, numbers, request.choice);
        let chosen = chosen.expect("the device has the kernel");
        // What stands for damaged logits is no token: the step that runs ahead of its reading must
        // not look for it.
        let last = self.vocabulary_size() as i64 - 1;
        self.chosen = Some(force(chosen.clone().clamp_max(last), &request.forced));
        Ok(start_read(chosen))
    }
}

/// The chosen tokens, but for rows whose token is given.
fn force(chosen: Tensor<1, Int>, forced: &[Option<TokenId>]) -> Tensor<1, Int> {
    if forced.iter().all(Option::is_none) {
        return chosen;
    }
    let (device, count) = (chosen.device(), forced.len());
    let is_forced: Vec<bool> = forced.iter().map(Option::is_some).collect();
    let tokens: Vec<i32> = forced.iter().map(|token| token.unwrap_or_default() as i32).collect();
    let is_forced = Tensor::<1, Bool>::from_data(TensorData::new(is_forced, [count]), &device);
    let tokens = Tensor::from_data(TensorData::new(tokens, [count]), &device);
    chosen.mask_where(is_forced, tokens)
}
