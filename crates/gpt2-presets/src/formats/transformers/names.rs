//! Names of a transformers model's files.

use crate::weights::weights_names::WeightsNames;

pub(crate) const VOCABULARY_FILE: &str = "vocab.json";
pub(crate) const MERGES_FILE: &str = "merges.txt";
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
pub(crate) const GENERATION_CONFIG_FILE: &str = "generation_config.json";

/// Names of weights as safetensors, the format that is written.
pub(crate) const SAFETENSORS: WeightsNames =
    WeightsNames { whole: "model.safetensors", index: "model.safetensors.index.json" };
/// Names of weights as PyTorch files.
pub(crate) const PYTORCH: WeightsNames =
    WeightsNames { whole: "pytorch_model.bin", index: "pytorch_model.bin.index.json" };
