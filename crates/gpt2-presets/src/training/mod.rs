//! Files of a training: LoRA weights, the last checkpoint, and presets saved after an epoch.

mod lora_file;
mod lora_format;
pub(crate) mod lora_weights;
pub(crate) mod model_checkpoint;
pub(crate) mod training_checkpoint;
