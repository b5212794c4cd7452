//! KerasHub's tiny test model, with weights that tests may set.

use burn::tensor::TensorData;
use gpt2_backbone::{
    BackboneError, Gpt2Backbone, Gpt2BackboneConfig, ParameterSource, ParameterSpec,
    RandomParameters,
};
use gpt2_task::{Gpt2CausalLm, testing};

use crate::golden::device;

/// Number of tokens in a row.
pub const LENGTH: usize = 8;
/// Width of the hidden states.
pub const HIDDEN_DIM: usize = 4;
/// Number of layers.
pub const NUM_LAYERS: usize = 2;

/// Random parameters that `edit` may change, given path and values.
struct Edited<F> {
    random: RandomParameters,
    edit: F,
}

impl<F: FnMut(&str, &mut [f32])> ParameterSource for Edited<F> {
    type Error = BackboneError;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, BackboneError> {
        let Ok(data) = self.random.parameter(parameter);
        let mut values = data.try_into_vec::<f32>().expect("random parameters are 32-bit floats");
        (self.edit)(parameter.path, &mut values);
        Ok(TensorData::new(values, parameter.shape.to_vec()))
    }
}

/// The model of `gpt2_causal_lm_test.py` with edited weights.
pub fn model_with(edit: impl FnMut(&str, &mut [f32])) -> Gpt2CausalLm {
    let vocabulary_size = testing::tokenizer().vocabulary_size();
    let config = Gpt2BackboneConfig::new(vocabulary_size, NUM_LAYERS, 2, HIDDEN_DIM, 8)
        .with_max_sequence_length(LENGTH);
    let mut source = Edited { random: RandomParameters::new(42), edit };
    let backbone = Gpt2Backbone::from_source(&config, &mut source, &device()).unwrap();
    Gpt2CausalLm::new(backbone, Some(testing::preprocessor())).unwrap()
}

/// The model of [`model_with`] without edits.
pub fn model() -> Gpt2CausalLm {
    model_with(|_, _| {})
}
