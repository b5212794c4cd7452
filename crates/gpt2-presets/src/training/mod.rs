//! What a training leaves behind: LoRA files, its checkpoint, and presets saved after an epoch.

pub(crate) mod lora_file;
pub(crate) mod lora_format;
pub(crate) mod lora_weights;
pub(crate) mod model_checkpoint;
pub(crate) mod training_checkpoint;
