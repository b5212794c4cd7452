//! Names that most programs need: `use gpt2::prelude::*;`.
//!
//! ```
//! # #[cfg(all(feature = "bundled", feature = "flex"))] {
//! use gpt2::prelude::*;
//!
//! let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
//! let text = model.generate("ROMEO:", &GenerateOptions::new().with_max_length(20))?;
//! assert!(text.starts_with("ROMEO:"));
//! # }
//! # Ok::<(), gpt2::Error>(())
//! ```

pub use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig, WeightDtype, parse_device};
#[cfg(feature = "hub")]
pub use gpt2_presets::HubOptions;
pub use gpt2_presets::{
    FromPreset, LoadOptions, LoraWeights, ModelWeights, Preset, PresetFormat, Save, SaveOptions,
};
pub use gpt2_task::{
    CompileOptions, CosineDecay, Draw, FitOptions, GenerateOptions, Gpt2CausalLm,
    Gpt2CausalLmPreprocessor, LearningRate, Metric, PolynomialDecay, Precision, PreprocessorConfig,
    Sampler, StopTokenIds, TokenBatch, TrainingBatch, TrainingData, Truncate, callbacks,
    optimizers, samplers,
};
pub use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, TokenId, UnknownBytes, Vocabulary,
};
