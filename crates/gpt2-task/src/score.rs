//! Logits and losses of given tokens.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};
use gpt2_backbone::{ForwardOptions, LayerIntercept};
use gpt2_tokenizer::TokenId;

use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;
use crate::token_batch::{TokenBatch, check_rows, ids_to_tensor};

impl Gpt2CausalLm {
    /// Logits at every position: KerasHub's `score(scoring_mode="logits")`.
    ///
    /// On an autodiff device, gradients flow through the result.
    ///
    /// # Shapes
    ///
    /// Result: `[batch_size, sequence_length, vocabulary_size]`.
    ///
    /// # Errors
    ///
    /// [`TaskError::TokenOutOfRange`], and [`TaskError::Backbone`] for a sequence that is too long.
    #[doc(alias = "score")]
    pub fn score_logits(&self, tokens: &TokenBatch) -> Result<Tensor<3>, TaskError> {
        self.intercepted_logits(tokens, None)
    }

    /// As [`score_logits`](Self::score_logits); `intercept` receives the activations after the
    /// embeddings and after every layer, and may replace them: KerasHub's `layer_intercept_fn`.
    ///
    /// # Errors
    ///
    /// As [`score_logits`](Self::score_logits).
    pub fn score_logits_with<'a>(
        &self,
        tokens: &TokenBatch,
        intercept: &'a mut LayerIntercept<'a>,
    ) -> Result<Tensor<3>, TaskError> {
        self.intercepted_logits(tokens, Some(intercept))
    }

    fn intercepted_logits<'a>(
        &self,
        tokens: &TokenBatch,
        intercept: Option<&'a mut LayerIntercept<'a>>,
    ) -> Result<Tensor<3>, TaskError> {
        let backbone = self.backbone();
        let (token_ids, padding_mask) =
            tokens.to_tensors(backbone.config().vocabulary_size, &backbone.device())?;
        let padding_mask = Some(padding_mask);
        let options = ForwardOptions { padding_mask, intercept, ..Default::default() };
        Ok(backbone.logits(backbone.forward_with(token_ids, options)?))
    }

    /// Cross-entropy of a target at every position: KerasHub's `score(scoring_mode="loss")`.
    ///
    /// Targets are not shifted. To score a text, pass its tokens rolled left by one position.
    ///
    /// ```
    /// # use gpt2_task::testing::model;
    /// use gpt2_task::TokenBatch;
    ///
    /// let tokens = TokenBatch::unpadded(vec![vec![1, 2, 3, 4]])?;
    /// let loss = model().score_loss(&tokens, &[vec![2, 3, 4, 1]])?;
    /// assert_eq!(loss.dims(), [1, 4]);
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// `target_ids`: `[batch_size][sequence_length]`; result: `[batch_size, sequence_length]`, in nats.
    ///
    /// # Errors
    ///
    /// Those of [`score_logits`](Self::score_logits), and [`TaskError::BatchSize`] or
    /// [`TaskError::RowLength`] if the targets' shape differs from that of the tokens.
    #[doc(alias = "score")]
    pub fn score_loss(
        &self,
        tokens: &TokenBatch,
        target_ids: &[Vec<TokenId>],
    ) -> Result<Tensor<2>, TaskError> {
        self.intercepted_loss(tokens, target_ids, None)
    }

    /// As [`score_loss`](Self::score_loss), with the intercept of
    /// [`score_logits_with`](Self::score_logits_with).
    ///
    /// # Errors
    ///
    /// As [`score_loss`](Self::score_loss).
    pub fn score_loss_with<'a>(
        &self,
        tokens: &TokenBatch,
        target_ids: &[Vec<TokenId>],
        intercept: &'a mut LayerIntercept<'a>,
    ) -> Result<Tensor<2>, TaskError> {
        self.intercepted_loss(tokens, target_ids, Some(intercept))
    }

    fn intercepted_loss<'a>(
        &self,
        tokens: &TokenBatch,
        target_ids: &[Vec<TokenId>],
        intercept: Option<&'a mut LayerIntercept<'a>>,
    ) -> Result<Tensor<2>, TaskError> {
        check_rows("target_ids", target_ids, tokens.batch_size(), tokens.sequence_length())?;
        let vocabulary_size = self.backbone().config().vocabulary_size;
        let device = self.backbone().device();
        let targets = ids_to_tensor("target_ids", target_ids, vocabulary_size, &device)?;
        let log_probabilities =
            log_softmax(self.intercepted_logits(tokens, intercept)?.cast(DType::F32), 2);
        Ok(-log_probabilities.gather(2, targets.unsqueeze_dim(2)).squeeze_dim::<2>(2))
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::Device;
    use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, InterceptPoint};

    use super::*;

    /// Loss of one row after `step * direction` is added to its embeddings, and the embeddings that
    /// the loss was computed from.
    fn loss(model: &Gpt2CausalLm, direction: &Tensor<3>, step: f64) -> (Tensor<1>, Tensor<3>) {
        let tokens = TokenBatch::unpadded(vec![vec![1, 2, 3, 4]]).unwrap();
        let mut watched = None;
        let mut watch = |x: Tensor<3>, point| {
            if point != InterceptPoint::Embeddings {
                return x;
            }
            let x = (x + direction.clone() * step).detach().require_grad();
            watched = Some(x.clone());
            x
        };
        let loss = model.score_loss_with(&tokens, &[vec![2, 3, 4, 5]], &mut watch).unwrap();
        (loss.sum(), watched.unwrap())
    }

    #[test]
    fn the_loss_is_differentiable_in_what_the_intercept_sees() {
        let device = Device::flex().autodiff();
        let config = Gpt2BackboneConfig::new(10, 2, 2, 8, 16).with_max_sequence_length(4);
        let backbone = Gpt2Backbone::new(&config, 1, &device).unwrap();
        let model = Gpt2CausalLm::new(backbone, None).unwrap();

        let (value, embeddings) = loss(&model, &Tensor::zeros([1, 4, 8], &device), 0.0);
        let gradient = embeddings.grad(&value.backward()).unwrap();
        // Direction of the largest slope: it exceeds the rounding errors of the loss by most.
        let direction = Tensor::from_inner(gradient.clone().sign());
        let slope: f32 = gradient.abs().sum().into_scalar();

        let step = 1e-3;
        let [above, below] = [step, -step].map(|step| {
            let (loss, _) = loss(&model, &direction, step);
            loss.into_scalar::<f32>()
        });
        let expected = (above - below) / (2.0 * step as f32);
        assert!(slope > 0.1, "the slope {slope} says something");
        // The difference of two losses of about ten has an error of a few hundred roundings.
        assert!((slope - expected).abs() < 0.05 * slope, "{slope} is not {expected}");
    }
}
