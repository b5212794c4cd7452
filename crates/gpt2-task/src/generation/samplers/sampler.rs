//! Traits of samplers and searches.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;

use crate::error::TaskError;
use crate::generation::decoding::{Beam, Decoding};
use crate::generation::draw::Draw;
use crate::generation::probabilities::softmax;

/// Chooses one token from its distribution (`keras_hub/src/samplers/sampler.py`).
///
/// KerasHub's own example, a greedy search that forbids some tokens:
///
/// ```
/// use gpt2_task::{Draw, Sampler, TokenId, argmax};
///
/// struct Forbid(Vec<TokenId>);
///
/// impl Sampler for Forbid {
///     fn get_next_token(&self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
///         for &token in &self.0 {
///             probabilities[token as usize] = 0.0;
///         }
///         argmax(probabilities) as TokenId
///     }
/// }
/// # let sampler = Forbid(vec![1]);
/// # assert_eq!(sampler.get_next_token(&mut [0.1, 0.6, 0.3], &mut Draw::new(0, 0, 0, 0)), 2);
/// ```
pub trait Sampler: Send + Sync {
    /// Next token of one row.
    ///
    /// `probabilities` has an entry for every token of the vocabulary and may be overwritten.
    /// Random numbers come from `draw`, so that a seed reproduces them. Several threads may use one
    /// sampler at a time. A search that remembers earlier tokens therefore implements
    /// [`SearchStrategy`], whose
    /// `search` keeps what belongs to one generation.
    fn get_next_token(&self, probabilities: &mut [f32], draw: &mut Draw) -> TokenId;

    /// Next token of one row, chosen by its logits, which may be overwritten.
    ///
    /// The default computes the probabilities and calls [`get_next_token`](Self::get_next_token). A
    /// sampler that needs no probabilities overrides this method; the search then does not call
    /// `get_next_token`.
    fn get_next_token_of_logits(&self, logits: &mut [f32], draw: &mut Draw) -> TokenId {
        softmax(logits, self.temperature());
        self.get_next_token(logits, draw)
    }

    /// The same choice in a form that a device can make. Default: none.
    ///
    /// If a device makes the choice, the search does not call the other methods.
    fn choice(&self) -> Option<TokenChoice> {
        None
    }

    /// Divisor of the logits. Default: 1.
    fn temperature(&self) -> f32 {
        1.0
    }

    /// Seed of the random numbers. None: a new seed when the model is compiled.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Checks the arguments that depend on the model, before a generation starts.
    ///
    /// # Errors
    ///
    /// Usually [`TaskError::InvalidSamplerArgument`].
    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        let _ = vocabulary_size;
        Ok(())
    }
}

/// Fills all rows of a batch. Every [`Sampler`] is a strategy that goes token by token.
///
/// Implement it for a search that looks ahead, like beam search, or that remembers its choices.
/// Several threads may search at a time: local variables of `search` hold the state of one
/// generation.
pub trait SearchStrategy: Send + Sync {
    /// Fills the rows until [`Decoding::is_done`]. Returns all beams if the search keeps several.
    ///
    /// # Errors
    ///
    /// Those of the model, and those of the search.
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError>;

    /// Seed of the random numbers. None: a new seed when the model is compiled.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Checks the arguments that depend on the model, before a generation starts.
    ///
    /// # Errors
    ///
    /// Usually [`TaskError::InvalidSamplerArgument`].
    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        let _ = vocabulary_size;
        Ok(())
    }
}

impl<S: Sampler> SearchStrategy for S {
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        if let Some(choice) = self.choice()
            && decoding.fill_on_device(choice)?
        {
            return Ok(None);
        }
        while !decoding.is_done() {
            let mut logits = decoding.next_logits()?;
            let mut tokens = Vec::with_capacity(logits.rows().len());
            for (row, logits) in logits.rows_mut().enumerate() {
                tokens.push(self.get_next_token_of_logits(logits, &mut decoding.draw(row)));
            }
            decoding.write(&tokens)?;
            decoding.advance();
            decoding.announce();
        }
        Ok(None)
    }

    fn seed(&self) -> Option<u64> {
        Sampler::seed(self)
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        Sampler::validate(self, vocabulary_size)
    }
}

impl SearchStrategy for Box<dyn SearchStrategy> {
    fn search(&self, decoding: &mut Decoding<'_>) -> Result<Option<Vec<Vec<Beam>>>, TaskError> {
        self.as_ref().search(decoding)
    }

    fn seed(&self) -> Option<u64> {
        self.as_ref().seed()
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        self.as_ref().validate(vocabulary_size)
    }
}
