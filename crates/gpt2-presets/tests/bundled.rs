//! The preset that is part of the library.

use gpt2_backbone::Gpt2Backbone;
use gpt2_presets::{FromPreset, Preset, presets};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::support::device;

const BUNDLED: &str = "gpt2_tiny_shakespeare";

#[test]
fn the_bundled_preset_is_complete() {
    let preset = Preset::open(BUNDLED).unwrap();
    assert_eq!(preset.config().parameter_count(), 2_001_024);
    assert_eq!(presets()[0].parameter_count, 2_001_024);
    let tokenizer = Gpt2Tokenizer::from_preset(BUNDLED).unwrap();
    assert_eq!((tokenizer.vocabulary_size(), tokenizer.end_token_id()), (1024, 1023));
    let preprocessor = Gpt2CausalLmPreprocessor::from_preset(BUNDLED).unwrap();
    assert_eq!(preprocessor.sequence_length(), 128);
    let backbone = Gpt2Backbone::from_preset_with(BUNDLED, &device()).unwrap();
    assert_eq!(backbone.config(), preset.config());
    let model = Gpt2CausalLm::from_preset_with(BUNDLED, &device()).unwrap();
    assert!(model.preprocessor().is_some());
}
