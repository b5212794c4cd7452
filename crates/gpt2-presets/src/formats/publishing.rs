//! Data of a format for uploads.

use crate::weights::weights_names::WeightsNames;

/// Weights that users of a hub can load, and the model card's texts.
#[derive(Debug)]
pub(crate) struct Publishing {
    /// Names of the weights.
    pub(crate) weights: WeightsNames,
    /// Name of the library, as Hugging Face knows it.
    pub(crate) library: &'static str,
    /// First sentence of the card.
    pub(crate) introduction: &'static str,
    /// Key of `config.json` under which the settings are. None if they are its own keys.
    pub(crate) settings: Option<&'static str>,
    /// File that names the model's task. None if every model is a causal language model.
    pub(crate) task_file: Option<&'static str>,
    /// Code that loads the model of an id, in other libraries than KerasHub.
    pub(crate) usage: fn(id: &str) -> String,
}
