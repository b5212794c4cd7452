//! Weight maps, and checkpoints that are loaded or written with them.

pub(crate) mod checkpoint;
pub(crate) mod load;
pub(crate) mod load_report;
pub(crate) mod overflow;
pub(crate) mod parameter_count;
pub(crate) mod placed_checkpoint;
pub(crate) mod placed_parameters;
pub(crate) mod placing;
pub(crate) mod weight_map;
pub(crate) mod weights_names;
