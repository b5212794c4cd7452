//! Names of the files of a model of the transformers library.

use crate::weights::weights_names::WeightsNames;

pub(crate) const VOCABULARY_FILE: &str = "vocab.json";
pub(crate) const MERGES_FILE: &str = "merges.txt";
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
pub(crate) const GENERATION_CONFIG_FILE: &str = "generation_config.json";

/// The weights in safetensors files, which are also written.
pub(crate) const SAFETENSORS: WeightsNames =
    WeightsNames { whole: "model.safetensors", index: "model.safetensors.index.json" };
/// The weights in files of PyTorch.
pub(crate) const PYTORCH: WeightsNames =
    WeightsNames { whole: "pytorch_model.bin", index: "pytorch_model.bin.index.json" };
