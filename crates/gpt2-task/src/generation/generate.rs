//! Generation: text in, text out.

use std::ops::ControlFlow;

use gpt2_tokenizer::TokenId;

use super::cached_model::CachedModel;
use super::choices::Choices;
use super::decoding::{Decoded, Decoding};
use super::options::{GenerateOptions, StopTokenIds};
use super::rows::{OnToken, TokenEvent};
use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;
use crate::start_end_packer::check_length;
use crate::token_batch::{TokenBatch, check_ids};

/// Answer to one prompt, with its details.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Generation {
    /// Generated text, with or without its prompt, without special tokens.
    pub text: String,
    /// All real tokens: start token, prompt and answer, up to and including a stop token.
    pub token_ids: Vec<TokenId>,
    /// Number of tokens of the start token and the prompt.
    pub prompt_tokens: usize,
    /// All beams, the best first. Empty unless the sampler returns them.
    pub beams: Vec<GeneratedBeam>,
}

impl Generation {
    /// Number of generated tokens.
    pub fn new_tokens(&self) -> usize {
        self.token_ids.len() - self.prompt_tokens
    }
}

/// Answer of a beam search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GeneratedBeam {
    /// Generated text, with or without its prompt, without special tokens.
    pub text: String,
    /// All real tokens, as in [`Generation::token_ids`].
    pub token_ids: Vec<TokenId>,
    /// Sum of the log probabilities of the generated tokens.
    pub log_probability: f32,
}

/// Input of [`Gpt2CausalLm::generate`]: a text, several texts, or token ids. This trait is sealed.
pub trait GenerateInput: Sealed {
    /// Type of the answer: one text, several texts, or token ids, like the input.
    type Output;

    /// Generates from `self`.
    ///
    /// # Errors
    ///
    /// Those of [`Gpt2CausalLm::generate`].
    fn generate(
        self,
        model: &Gpt2CausalLm,
        options: &GenerateOptions,
    ) -> Result<Self::Output, TaskError>;
}

/// The private module of this trait seals [`GenerateInput`].
pub trait Sealed {}

impl Sealed for &str {}

impl GenerateInput for &str {
    type Output = String;

    fn generate(
        self,
        model: &Gpt2CausalLm,
        options: &GenerateOptions,
    ) -> Result<String, TaskError> {
        let mut texts = [self].as_slice().generate(model, options)?;
        Ok(texts.remove(0))
    }
}

impl<S: AsRef<str>> Sealed for &[S] {}

impl<S: AsRef<str>> GenerateInput for &[S] {
    type Output = Vec<String>;

    fn generate(
        self,
        model: &Gpt2CausalLm,
        options: &GenerateOptions,
    ) -> Result<Vec<String>, TaskError> {
        let generations = model.generate_with(self, options, &mut |_| ControlFlow::Continue(()))?;
        Ok(generations.into_iter().map(|generation| generation.text).collect())
    }
}

/// Implements an input by conversion to another one: owned texts, and other kinds of lists.
macro_rules! generate_as {
    ($(impl[$($generics:tt)*] $input:ty: $method:ident -> $output:ty;)*) => {$(
        impl<$($generics)*> Sealed for $input {}

        impl<$($generics)*> GenerateInput for $input {
            type Output = $output;

            fn generate(
                self,
                model: &Gpt2CausalLm,
                options: &GenerateOptions,
            ) -> Result<$output, TaskError> {
                self.$method().generate(model, options)
            }
        }
    )*};
}

generate_as! {
    impl[] String: as_str -> String;
    impl[] &String: as_str -> String;
    impl[S: AsRef<str>] Vec<S>: as_slice -> Vec<String>;
    impl[S: AsRef<str>] &Vec<S>: as_slice -> Vec<String>;
    impl[S: AsRef<str>, const N: usize] [S; N]: as_slice -> Vec<String>;
    impl[S: AsRef<str>, const N: usize] &[S; N]: as_slice -> Vec<String>;
}

impl Sealed for &TokenBatch {}

/// Token ids in, token ids out, like KerasHub without a preprocessor. The rows keep their width.
impl GenerateInput for &TokenBatch {
    type Output = TokenBatch;

    fn generate(
        self,
        model: &Gpt2CausalLm,
        options: &GenerateOptions,
    ) -> Result<TokenBatch, TaskError> {
        if let Some(max_length) = options.max_length {
            let found = self.sequence_length();
            return Err(TaskError::MaxLengthWithTokenIds { max_length, found });
        }
        let stop_token_ids = model.stop_token_ids(&options.stop_token_ids)?;
        let continue_always = &mut |_| ControlFlow::Continue(());
        let decoded = model.search(self, &stop_token_ids, options, continue_always)?;
        let width = self.sequence_length();
        let mask = |&length: &usize| (0..width).map(|position| position < length).collect();
        let padding_mask: Vec<Vec<bool>> = decoded.lengths.iter().map(mask).collect();
        TokenBatch::new(decoded.rows, padding_mask)
    }
}

impl Sealed for TokenBatch {}

impl GenerateInput for TokenBatch {
    type Output = Self;

    fn generate(self, model: &Gpt2CausalLm, options: &GenerateOptions) -> Result<Self, TaskError> {
        (&self).generate(model, options)
    }
}

impl Gpt2CausalLm {
    /// Generates with the compiled sampler from a text, several texts (a slice, an array or a
    /// `Vec`), or right-padded token ids ([`TokenBatch`]). Several texts form one batch.
    ///
    /// ```
    /// # use gpt2_task::testing::model;
    /// use gpt2_task::GenerateOptions;
    ///
    /// let mut model = model();
    /// model.compile("greedy")?;
    /// let options = GenerateOptions::new().with_max_length(8);
    /// let text: String = model.generate(" airplane at", &options)?;
    /// assert!(text.starts_with(" airplane at"));
    /// let texts: Vec<String> = model.generate([" airplane", " airport"], &options)?;
    /// assert_eq!(texts.len(), 2);
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// For the input: [`TaskError::EmptyBatch`], [`TaskError::EmptyPrompt`],
    /// [`TaskError::PromptTooLong`], [`TaskError::TokenOutOfRange`], [`TaskError::NotRightPadded`],
    /// [`TaskError::Tokenizer`]. For the options: [`TaskError::InvalidLength`],
    /// [`TaskError::MaxLengthWithTokenIds`], [`TaskError::EmptyStopTokenIds`],
    /// [`TaskError::AutoStopWithoutPreprocessor`]. Without a preprocessor, text is
    /// [`TaskError::NoPreprocessor`]. From the model: [`TaskError::NonFiniteLogits`].
    pub fn generate<I: GenerateInput>(
        &self,
        inputs: I,
        options: &GenerateOptions,
    ) -> Result<I::Output, TaskError> {
        inputs.generate(self, options)
    }

    /// Generates batch by batch, each on demand.
    ///
    /// # Errors
    ///
    /// For each item, those of [`generate`](Self::generate).
    pub fn generate_batches<'a, I>(
        &'a self,
        batches: impl IntoIterator<Item = I, IntoIter: 'a>,
        options: &'a GenerateOptions,
    ) -> impl Iterator<Item = Result<I::Output, TaskError>> + 'a
    where
        I: GenerateInput + 'a,
    {
        batches.into_iter().map(move |batch| self.generate(batch, options))
    }

    /// Like [`generate`](Self::generate) on texts, with all details, and a callback for every
    /// token.
    ///
    /// `on_token` receives the tokens of all rows, including stop tokens, and can end the
    /// generation with `ControlFlow::Break`. A beam search reports its tokens only at its end.
    ///
    /// # Errors
    ///
    /// Those of [`generate`](Self::generate).
    pub fn generate_with(
        &self,
        prompts: &[impl AsRef<str>],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(TokenEvent) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, TaskError> {
        let stop_token_ids = self.stop_token_ids(&options.stop_token_ids)?;
        let preprocessor = self.require_preprocessor("generate")?;
        let limit = self.backbone().config().max_sequence_length;
        let max_length =
            options.max_length.unwrap_or_else(|| preprocessor.sequence_length().min(limit));
        check_length("max_length", max_length, limit)?;
        let input = preprocessor.generate_preprocess_with(prompts, max_length, options.truncate)?;
        let prompt_lengths = input.row_lengths()?;
        let decoded = self.search(&input, &stop_token_ids, options, on_token)?;
        self.describe(decoded, prompt_lengths, options.strip_prompt)
    }

    /// Core of [`generate`](Self::generate): token ids in, token ids out.
    ///
    /// Continues every row after its prompt, up to the rows' width. Without stop ids, every row is
    /// filled.
    ///
    /// # Errors
    ///
    /// Those of [`generate`](Self::generate).
    pub fn generate_step(
        &self,
        inputs: &TokenBatch,
        stop_token_ids: &[TokenId],
        on_token: &mut OnToken<'_>,
    ) -> Result<Decoded, TaskError> {
        self.search(inputs, stop_token_ids, &GenerateOptions::new(), on_token)
    }

    fn search(
        &self,
        inputs: &TokenBatch,
        stop_token_ids: &[TokenId],
        options: &GenerateOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<Decoded, TaskError> {
        let prompt_lengths = inputs.row_lengths()?;
        if let Some(row) = prompt_lengths.iter().position(|&length| length == 0) {
            return Err(TaskError::EmptyPrompt { row });
        }
        let width = inputs.sequence_length();
        check_length("sequence_length", width, self.backbone().config().max_sequence_length)?;
        inputs.check_ids(self.backbone().config().vocabulary_size)?;
        let (choices, forbidden) = match self.preprocessor() {
            Some(preprocessor) if !options.ids_without_token => {
                Choices::with_token(preprocessor.tokenizer())
            }
            _ => (Choices::all(self.backbone()), None),
        };
        let mut processors = options.logits_processors.clone();
        if let Some(forbidden) = forbidden {
            processors = processors.with(forbidden);
        }
        let mut model = CachedModel::new(self.backbone(), choices, inputs.batch_size(), width)?;
        let draws = self.next_draws(options.seed);
        let mut rows = inputs.token_ids().to_vec();
        for (row, &length) in rows.iter_mut().zip(&prompt_lengths) {
            row[length..].fill(0);
        }
        let mut decoding =
            Decoding::new(&mut model, rows, prompt_lengths, stop_token_ids, draws, on_token)
                .with_logits_processors(processors);
        let beams = self.sampler().search(&mut decoding)?;
        Ok(decoding.finish(beams))
    }

    /// Stop ids for the option.
    fn stop_token_ids(&self, option: &StopTokenIds) -> Result<Vec<TokenId>, TaskError> {
        match option {
            StopTokenIds::None => Ok(Vec::new()),
            StopTokenIds::Auto => match self.preprocessor() {
                Some(preprocessor) => Ok(vec![preprocessor.tokenizer().end_token_id()]),
                None => Err(TaskError::AutoStopWithoutPreprocessor),
            },
            StopTokenIds::Ids(ids) if ids.is_empty() => Err(TaskError::EmptyStopTokenIds),
            StopTokenIds::Ids(ids) => {
                let vocabulary_size = self.backbone().config().vocabulary_size;
                let rows = std::slice::from_ref(ids);
                check_ids("stop_token_ids", rows, vocabulary_size)?;
                Ok(ids.clone())
            }
        }
    }

    fn describe(
        &self,
        decoded: Decoded,
        prompt_lengths: Vec<usize>,
        strip_prompt: bool,
    ) -> Result<Vec<Generation>, TaskError> {
        let preprocessor = self.require_preprocessor("generate")?;
        // Ids without a token occur only with `ids_without_token`.
        let has_token = |id: &TokenId| preprocessor.tokenizer().vocabulary().token(*id).is_some();
        let text = |ids: &[TokenId]| {
            preprocessor.text(&ids.iter().copied().filter(has_token).collect::<Vec<_>>())
        };
        let mut all_beams = decoded.beams.unwrap_or_default().into_iter();
        let mut generations = Vec::with_capacity(decoded.rows.len());
        for (mut token_ids, (length, prompt_tokens)) in
            decoded.rows.into_iter().zip(decoded.lengths.into_iter().zip(prompt_lengths))
        {
            let first = if strip_prompt { prompt_tokens } else { 0 };
            token_ids.truncate(length);
            let mut beams = Vec::new();
            for mut beam in all_beams.next().unwrap_or_default() {
                beam.token_ids.truncate(beam.length);
                beams.push(GeneratedBeam {
                    text: text(&beam.token_ids[first..])?,
                    token_ids: beam.token_ids,
                    log_probability: beam.log_probability,
                });
            }
            let text = text(&token_ids[first..])?;
            generations.push(Generation { text, token_ids, prompt_tokens, beams });
        }
        Ok(generations)
    }
}
