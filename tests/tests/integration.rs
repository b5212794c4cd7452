//! Tests across crates: presets to numbers and texts, compared with KerasHub and transformers.

mod bad_input;
mod bundled;
mod dtype;
mod fit;
mod forward;
mod generation;
mod golden;
#[cfg(feature = "gpu")]
mod gpu_errors;
#[cfg(feature = "gpu")]
mod gpu_kernels;
#[cfg(feature = "gpu")]
mod gpu_steps;
mod keras_hub;
mod preprocessor;
mod presets;
mod real_checkpoint;
mod samplers;
mod schedules;
mod shared_model;
mod threads;
mod tiny;
mod tokenizer;
mod training;
