//! Changes of the logits between the model and a search.

use std::fmt;
use std::sync::Arc;

use gpt2_tokenizer::TokenId;

use super::matrix::Matrix;
use crate::error::TaskError;

/// Changes logits before a search sees them, for any sampler.
///
/// Negative infinity forbids a token. The temperature is applied afterwards, in the softmax.
///
/// ```
/// # use gpt2_task::testing::model;
/// use gpt2_task::{GenerateOptions, LogitsProcessor, LogitsProcessors, TokenId, samplers};
///
/// #[derive(Debug)]
/// struct Forbid(TokenId);
///
/// impl LogitsProcessor for Forbid {
///     fn process(&self, _tokens: &[TokenId], logits: &mut [f32]) {
///         logits[self.0 as usize] = f32::NEG_INFINITY;
///     }
/// }
///
/// # let mut model = model();
/// # let letter = model.preprocessor().unwrap().tokenizer().token_to_id("z").unwrap();
/// let options = GenerateOptions::new()
///     .with_logits_processors(LogitsProcessors::new().with(Forbid(letter)));
/// for sampler in ["greedy", "random", "beam:num_beams=2", "contrastive:k=2"] {
///     model.compile(samplers::get(sampler)?)?;
///     let text = model.generate(" airplane at", &options)?;
///     assert!(!text.strip_prefix(" airplane at").unwrap().contains('z'));
/// }
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
pub trait LogitsProcessor: fmt::Debug + Send + Sync {
    /// Changes the logits for the position after `tokens` of one row, in place.
    fn process(&self, tokens: &[TokenId], logits: &mut [f32]);
}

/// Processors in the order of their application. Default: none.
#[derive(Debug, Clone, Default)]
pub struct LogitsProcessors(Vec<Arc<dyn LogitsProcessor>>);

impl LogitsProcessors {
    /// No processors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a processor after the existing ones.
    #[must_use]
    pub fn with(mut self, processor: impl LogitsProcessor + 'static) -> Self {
        self.0.push(Arc::new(processor));
        self
    }

    /// Whether logits stay unchanged. Only then can a device choose tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes logits for `position` of every row from the model to the search.
    ///
    /// # Errors
    ///
    /// [`TaskError::NonFiniteLogits`] if one of the model's logits is not finite, and
    /// [`TaskError::NoTokenAllowed`] if the processors leave a row without an allowed token.
    pub(super) fn apply(
        &self,
        rows: &[Vec<TokenId>],
        position: usize,
        mut logits: Matrix,
    ) -> Result<Matrix, TaskError> {
        if let Some(row) = logits.rows().position(|row| !all(row, f32::is_finite)) {
            return Err(TaskError::NonFiniteLogits { row, position });
        }
        if self.is_empty() {
            return Ok(logits);
        }
        for (row, (tokens, logits)) in rows.iter().zip(logits.rows_mut()).enumerate() {
            for processor in &self.0 {
                processor.process(&tokens[..position], logits);
            }
            let is_logit = |logit: f32| logit < f32::INFINITY;
            if !all(logits, is_logit) || logits.iter().all(|logit| logit.is_infinite()) {
                return Err(TaskError::NoTokenAllowed { row, position });
            }
        }
        Ok(logits)
    }
}

/// Equal if both have the same processors in the same order.
impl PartialEq for LogitsProcessors {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Eq for LogitsProcessors {}

/// Whether all logits are valid. Tests every one without an early exit, so that the compiler can
/// vectorize the loop.
fn all(logits: &[f32], is_valid: impl Fn(f32) -> bool) -> bool {
    logits.iter().fold(true, |all, logit| all & is_valid(*logit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Set(usize, f32);

    impl LogitsProcessor for Set {
        fn process(&self, tokens: &[TokenId], logits: &mut [f32]) {
            logits[self.0] = self.1 + tokens.len() as f32;
        }
    }

    fn apply(processors: &LogitsProcessors, logits: Vec<f32>) -> Result<Matrix, TaskError> {
        processors.apply(&[vec![5, 6, 7], vec![8, 9, 0]], 2, Matrix::new(logits, 2))
    }

    #[test]
    fn processors_follow_each_other_and_see_the_tokens_before() {
        let processors = LogitsProcessors::new().with(Set(0, 1.0)).with(Set(0, 5.0));
        let found = apply(&processors, vec![0.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(found, Matrix::new(vec![7.0, 1.0, 7.0, 3.0], 2));
    }

    #[test]
    fn a_row_keeps_a_token() {
        let forbid = LogitsProcessors::new().with(Set(1, f32::NEG_INFINITY));
        assert!(apply(&forbid, vec![0.0; 4]).is_ok());
        let all = forbid.with(Set(0, f32::NEG_INFINITY));
        for processors in [all, LogitsProcessors::new().with(Set(0, f32::NAN))] {
            let error = apply(&processors, vec![0.0; 4]).unwrap_err();
            assert!(matches!(error, TaskError::NoTokenAllowed { row: 0, position: 2 }), "{error}");
        }
        // Processors must not hide damaged weights.
        let set = LogitsProcessors::new().with(Set(0, 1.0));
        let error = apply(&set, vec![0.0, 0.0, f32::NAN, 0.0]).unwrap_err();
        assert!(matches!(error, TaskError::NonFiniteLogits { row: 1, position: 2 }), "{error}");
    }
}
