//! Name of the file with the checkpoint of a training.

/// File in the folder of a [`CheckpointFolder`](crate::CheckpointFolder).
pub(crate) const CHECKPOINT_FILE: &str = "training.checkpoint.safetensors";
