//! KerasHub's functions for loading and saving, as traits of the types, with their options.

pub(crate) mod from_preset;
pub(crate) mod has_contents;
pub(crate) mod load_options;
pub(crate) mod model_weights;
pub(crate) mod replaceable;
pub(crate) mod save;
pub(crate) mod save_options;
