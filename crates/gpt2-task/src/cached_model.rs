//! A backbone that remembers what it has seen: one token a step.

use burn::module::Module;
use burn::tensor::Tensor;
use gpt2_backbone::{ForwardOptions, Gpt2Backbone, KeyValueCache, read_f32};
use gpt2_kernels::run_on_cores;
use gpt2_tokenizer::TokenId;

use crate::TaskError;
use crate::decoding::{Matrix, NextToken};
use crate::token_batch::ids_to_tensor;

/// Feeds the backbone the tokens that its cache does not hold yet.
pub(crate) struct CachedModel {
    backbone: Gpt2Backbone,
    cache: KeyValueCache,
    /// Hidden states of the tokens fed last, `[rows, positions, hidden_dim]`.
    hidden_states: Option<Tensor<3>>,
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
        Ok(Self { backbone, cache, hidden_states: None })
    }
}

impl NextToken for CachedModel {
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError> {
        let start = self.cache.len();
        let unseen: Vec<Vec<TokenId>> = rows.iter().map(|row| row[start..index].to_vec()).collect();
        let device = self.backbone.device();
        let token_ids = ids_to_tensor("token_ids", &unseen, self.vocabulary_size(), &device)?;
        let (backbone, cache) = (&self.backbone, &mut self.cache);
        // One token's operations are too short to wake a core for each.
        let (hidden_states, logits) = run_on_cores(|| {
            let options = ForwardOptions { cache: Some(cache), ..Default::default() };
            let hidden_states = backbone.forward_with(token_ids, options)?;
            // Only the last position is asked for; the others' logits would cost more than the
            // layers.
            let last = hidden_states.clone().narrow(1, index - start - 1, 1);
            Ok::<_, TaskError>((hidden_states, read_f32(backbone.logits(last))?))
        })?;
        self.hidden_states = Some(hidden_states);
        Ok(Matrix::new(logits, self.vocabulary_size()))
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
}
