//! Names of the files of a KerasHub preset.

use crate::weights::weights_names::WeightsNames;

pub(crate) const TOKENIZER_CONFIG_FILE: &str = "tokenizer.json";
pub(crate) const PREPROCESSOR_CONFIG_FILE: &str = "preprocessor.json";
pub(crate) const TASK_CONFIG_FILE: &str = "task.json";
pub(crate) const METADATA_FILE: &str = "metadata.json";

pub(crate) const VOCABULARY_FILE: &str = "assets/tokenizer/vocabulary.json";
pub(crate) const MERGES_FILE: &str = "assets/tokenizer/merges.txt";

/// Names of the weights files.
pub(crate) const WEIGHTS: WeightsNames =
    WeightsNames { whole: "model.weights.h5", index: "model.weights.json" };
