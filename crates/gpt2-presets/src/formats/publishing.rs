//! A format's data for uploads.

use crate::weights::weights_names::WeightsNames;

/// Weights that hubs' users can load, and the texts of the model card.
#[derive(Debug)]
pub(crate) struct Publishing {
    /// Names of the weights.
    pub(crate) weights: WeightsNames,
    /// Name of the library, as Hugging Face knows it.
    pub(crate) library: &'static str,
    /// First sentence of the card.
    pub(crate) introduction: &'static str,
    /// Key of `config.json` that has the settings. None if they are top-level keys.
    pub(crate) settings: Option<&'static str>,
    /// File that names the model's task. None if every model is a causal language model.
    pub(crate) task_file: Option<&'static str>,
    /// Code that loads the model with an id, in libraries other than KerasHub.
    pub(crate) usage: fn(id: &str) -> String,
}
