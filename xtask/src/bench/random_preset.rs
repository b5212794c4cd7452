//! Model with random weights and GPT-2's own tokenizer, which is as fast as a trained one.

use std::path::Path;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FromPreset, Save};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::Gpt2Tokenizer;

/// Writes the model in transformers' format.
pub fn write(folder: &Path, config: &Gpt2BackboneConfig) -> anyhow::Result<()> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let backbone = Gpt2Backbone::new(config, 0, &device)?;
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer()?, PreprocessorConfig::default())?;
    Ok(Gpt2CausalLm::new(backbone, Some(preprocessor))?.export_to_transformers(folder)?)
}

/// GPT-2's tokenizer, from this workspace's golden data.
pub fn tokenizer() -> anyhow::Result<Gpt2Tokenizer> {
    let root = env!("CARGO_MANIFEST_DIR");
    let folder = format!("{root}/../tests/golden/gpt2_vocabulary/transformers");
    Ok(Gpt2Tokenizer::from_preset(&folder)?)
}
