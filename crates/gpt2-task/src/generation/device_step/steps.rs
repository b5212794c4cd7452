//! Device side: each step feeds the tokens that the step before chose.

use burn::tensor::{DType, Int, Tensor, TensorData};
use gpt2_backbone::{BackboneError, ForwardOptions, Gpt2Backbone, KeyValueCache, read};
use gpt2_kernels::{Repeated, StepState, TokenChoice, choose_tokens, has_steps};
use gpt2_tokenizer::TokenId;

use super::model::TokenRequest;
use crate::error::TaskError;
use crate::generation::choices::Choices;

/// Steps of one generation after the first.
pub(crate) struct DeviceSteps {
    /// Last chosen tokens, `[rows]`.
    chosen: Tensor<1, Int>,
    choices: Choices,
    progress: Progress,
}

enum Progress {
    /// No step yet: tokens were chosen for this position, where the cache ends. The device repeats
    /// the steps from a recording if it can, unless `told`.
    Chosen { position: usize, told: bool },
    /// Recording that the device repeats. It contains the state and the cache, including the
    /// position.
    Repeated(Box<Repeated<Tensor<1, Int>>>),
    /// Single steps. The host keeps the position, that of the cache.
    Told(Box<StepState>),
}

impl DeviceSteps {
    /// Steps after tokens were `chosen` for `position`, where the cache ends. The device repeats
    /// them from a recording if it can, unless `told`.
    pub(crate) fn new(
        chosen: Tensor<1, Int>,
        choices: Choices,
        position: usize,
        told: bool,
    ) -> Self {
        Self { chosen, choices, progress: Progress::Chosen { position, told } }
    }

    /// Chooses the next tokens. None if the device could not record the step; the cache is then
    /// lost.
    pub(crate) fn run(
        &mut self,
        backbone: &Gpt2Backbone,
        cache: &mut KeyValueCache,
        request: &TokenRequest,
    ) -> Result<Option<Tensor<1, Int>>, TaskError> {
        if let Progress::Chosen { position, told } = self.progress {
            let state = state_after(backbone, self.chosen.clone(), self.choices, position, request);
            self.progress =
                Progress::new(backbone, cache, state, self.choices, request.choice(), told);
        }
        let chosen = match &mut self.progress {
            Progress::Chosen { .. } => unreachable!("the steps have begun"),
            Progress::Told(state) => {
                step(backbone, cache, state, None, self.choices, request.choice())?
            }
            Progress::Repeated(repeated) => match repeated.run() {
                Ok(chosen) => chosen,
                Err(_) => return Ok(None),
            },
        };
        self.chosen = chosen.clone();
        Ok(Some(chosen))
    }

    /// Ids that the lost step should have fed at `position`. Frees the recording.
    pub(crate) fn into_fed(
        self,
        backbone: &Gpt2Backbone,
        position: usize,
        request: &TokenRequest,
    ) -> Result<Vec<TokenId>, TaskError> {
        let Self { chosen, choices, progress } = self;
        drop(progress);
        let state = state_after(backbone, chosen, choices, position, request);
        Ok(read(state.tokens)?.iter::<TokenId>().collect())
    }
}

impl Progress {
    fn new(
        backbone: &Gpt2Backbone,
        cache: &KeyValueCache,
        state: StepState,
        choices: Choices,
        choice: TokenChoice,
        told: bool,
    ) -> Self {
        if told || !has_steps(&backbone.device(), backbone.config().head_dim()) {
            return Self::Told(Box::new(state));
        }
        Self::Repeated(Box::new(repeated(backbone, cache, state, choices, choice)))
    }
}

/// Chooses tokens from logits, `[rows, choices]`, for a position.
pub(crate) fn choose_first(
    logits: Tensor<2>,
    position: usize,
    request: &TokenRequest,
) -> Tensor<1, Int> {
    let numbers = request.numbers(position);
    let numbers = TensorData::new(numbers.to_vec(), [numbers.len()]);
    let numbers = Tensor::from_data(numbers, (&logits.device(), DType::F32));
    choose(logits, numbers, request.choice())
}

fn choose(logits: Tensor<2>, numbers: Tensor<1>, choice: TokenChoice) -> Tensor<1, Int> {
    choose_tokens(logits, numbers, choice).expect("the device has the kernel")
}

/// State after tokens were chosen for `position`.
fn state_after(
    backbone: &Gpt2Backbone,
    chosen: Tensor<1, Int>,
    choices: Choices,
    position: usize,
    request: &TokenRequest,
) -> StepState {
    StepState::new(position, chosen, choices.end(), request.plan(), &backbone.device())
}

/// Feeds the state's tokens, chooses the next ones, and advances the state.
fn step(
    backbone: &Gpt2Backbone,
    cache: &mut KeyValueCache,
    state: &mut StepState,
    position: Option<Tensor<1, Int>>,
    choices: Choices,
    choice: TokenChoice,
) -> Result<Tensor<1, Int>, BackboneError> {
    let token_ids = state.tokens.clone().unsqueeze_dim(1);
    let options = ForwardOptions { cache: Some(cache), position, ..Default::default() };
    let hidden_states = backbone.forward_with(token_ids, options)?;
    let logits = choices.logits(backbone, hidden_states);
    let chosen = choose(logits, state.numbers.clone(), choice);
    state.advance(chosen.clone(), choices.end());
    Ok(chosen)
}

/// Recording of all steps after a state. Each step has the same operations, because the position is
/// on the device.
fn repeated(
    backbone: &Gpt2Backbone,
    cache: &KeyValueCache,
    mut state: StepState,
    choices: Choices,
    choice: TokenChoice,
) -> Repeated<Tensor<1, Int>> {
    let (backbone, mut cache) = (backbone.clone(), cache.clone());
    Repeated::new(&backbone.device(), move || {
        let position = Some(state.position.clone());
        let chosen = step(&backbone, &mut cache, &mut state, position, choices, choice);
        chosen.expect("the cache has room for every position")
    })
}
