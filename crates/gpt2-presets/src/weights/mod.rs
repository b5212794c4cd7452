//! Weight maps and checkpoints: which tensor holds which parameter, and loading.

pub(crate) mod checkpoint;
pub(crate) mod load;
pub(crate) mod parameter_count;
pub(crate) mod placed_checkpoint;
pub(crate) mod placed_parameters;
pub(crate) mod shard_index;
pub(crate) mod weight_map;
