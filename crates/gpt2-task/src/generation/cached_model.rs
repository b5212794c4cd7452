//! A backbone that remembers what it has seen: one token a step.

use burn::module::Module;
use burn::tensor::{DType, Int, Tensor, TensorData};
use gpt2_backbone::{
    ForwardOptions, Gpt2Backbone, KeyValueCache, PendingRead, read, read_f32, start_read,
};
use gpt2_kernels::{
    Repeated, StepState, choose_tokens, chooses_tokens, has_steps, run_on_cores, top_tokens,
};
use gpt2_tokenizer::TokenId;

use super::next_token::{
    Matrix, NextToken, TokenProbability, TokenRequest, best_of, best_of_logits,
};
use crate::error::TaskError;
use crate::token_batch::ids_to_tensor;

/// Feeds the backbone the tokens that its cache does not hold yet.
pub(crate) struct CachedModel {
    backbone: Gpt2Backbone,
    cache: KeyValueCache,
    /// Hidden states of the tokens fed last, `[rows, positions, hidden_dim]`.
    hidden_states: Option<Tensor<3>>,
    /// The tokens that were chosen last on the device, `[rows]`, which the cache does not hold.
    chosen: Option<Tensor<1, Int>>,
    steps: Steps,
}

/// How tokens are chosen behind the first one.
enum Steps {
    /// Step by step, as the device or this model has no other way.
    Told,
    /// As a computation that the device repeats, yet to be made.
    Repeatable,
    /// By this one, which has the cache.
    Repeated(Box<Repeated<Tensor<1, Int>>>),
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
        let steps = match has_steps(&backbone.device(), backbone.config().head_dim()) {
            true => Steps::Repeatable,
            false => Steps::Told,
        };
        Ok(Self { backbone, cache, hidden_states: None, chosen: None, steps })
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
            Ok(best_of(probabilities, k, |place| tokens[place]))
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
        let chosen = match self.chosen.take() {
            None => self.choose_behind(self.unseen(rows, index)?, index, request)?,
            Some(chosen) => self.choose_next(rows, chosen, index, request)?,
        };
        self.chosen = Some(chosen.clone());
        Ok(start_read(chosen))
    }
}

impl CachedModel {
    /// Tokens for position `index`, where `chosen` was chosen for the one before it.
    fn choose_next(
        &mut self,
        rows: &[Vec<TokenId>],
        chosen: Tensor<1, Int>,
        index: usize,
        request: &TokenRequest,
    ) -> Result<Tensor<1, Int>, TaskError> {
        if let Steps::Repeatable = self.steps {
            let repeated = self.repeated_step(chosen.clone(), index, request);
            self.steps = Steps::Repeated(Box::new(repeated));
        }
        match &mut self.steps {
            Steps::Repeated(repeated) => match repeated.run() {
                Ok(chosen) => Ok(chosen),
                Err(_) => self.choose_again(rows, chosen, index, request),
            },
            Steps::Repeatable | Steps::Told => {
                let tokens = self.fed(chosen, request.forced(index - 1));
                self.choose_behind(tokens.unsqueeze_dim(1), index, request)
            }
        }
    }

    /// Tokens for position `index`, behind tokens that the cache does not hold.
    fn choose_behind(
        &mut self,
        token_ids: Tensor<2, Int>,
        index: usize,
        request: &TokenRequest,
    ) -> Result<Tensor<1, Int>, TaskError> {
        let logits = self.forward(token_ids)?;
        let numbers = TensorData::new(request.numbers(index).to_vec(), [request.plan.rows]);
        let numbers = Tensor::from_data(numbers, (&self.backbone.device(), DType::F32));
        Ok(choose_tokens(logits, numbers, request.choice).expect("the device has the kernel"))
    }

    /// The tokens that are fed where these were chosen: some rows' are given.
    fn fed(&self, chosen: Tensor<1, Int>, forced: &[i32]) -> Tensor<1, Int> {
        // What stands for damaged logits is no token: the step that runs ahead of its reading must
        // not look for it.
        let chosen = chosen.clamp_max(self.vocabulary_size() as i64 - 1);
        if forced.iter().all(|token| *token < 0) {
            return chosen;
        }
        let forced = TensorData::new(forced.to_vec(), [forced.len()]);
        let forced = Tensor::<1, Int>::from_data(forced, (&chosen.device(), DType::I32));
        chosen.mask_where(forced.clone().greater_equal_elem(0), forced)
    }

    /// All steps from the one that chooses for position `index` on, given what was chosen before.
    fn repeated_step(
        &mut self,
        chosen: Tensor<1, Int>,
        index: usize,
        request: &TokenRequest,
    ) -> Repeated<Tensor<1, Int>> {
        let (backbone, choice) = (self.backbone.clone(), request.choice);
        let (device, vocabulary_size) = (backbone.device(), self.vocabulary_size());
        let mut state = StepState::new(index - 1, chosen, vocabulary_size, &request.plan, &device);
        let mut cache = self.cache.clone();
        Repeated::new(&device, move || {
            let position = Some(state.position.clone());
            let options =
                ForwardOptions { cache: Some(&mut cache), position, ..Default::default() };
            let token_ids = state.tokens.clone().unsqueeze_dim(1);
            let hidden_states = backbone.forward_with(token_ids, options);
            let hidden_states = hidden_states.expect("the cache has room for every position");
            let logits = backbone.logits(hidden_states).flatten(0, 1);
            let chosen = choose_tokens(logits, state.numbers.clone(), choice);
            let chosen = chosen.expect("the device has the kernel");
            state.advance(chosen.clone(), vocabulary_size);
            chosen
        })
    }

    /// The same as if nothing had been repeated, after a repetition that could not be recorded and
    /// whose cache is lost. `rows` may lack the token before `index`, which was `chosen`.
    fn choose_again(
        &mut self,
        rows: &[Vec<TokenId>],
        chosen: Tensor<1, Int>,
        index: usize,
        request: &TokenRequest,
    ) -> Result<Tensor<1, Int>, TaskError> {
        self.steps = Steps::Told;
        let batch_size = self.cache.batch_size();
        self.cache = self.backbone.new_cache(batch_size, self.cache.max_length())?;
        let fed = read(self.fed(chosen, request.forced(index - 1)))?;
        let mut rows = rows.to_vec();
        for (row, token) in rows.iter_mut().zip(fed.iter::<TokenId>()) {
            row[index - 1] = token;
        }
        self.choose_behind(self.unseen(&rows, index)?, index, request)
    }
}
