#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod prelude;

pub use burn;
pub use gpt2_backbone as backbone;
pub use gpt2_data as data;
pub use gpt2_files as files;
pub use gpt2_hub as hub;
pub use gpt2_kernels as kernels;
pub use gpt2_presets as presets;
pub use gpt2_task as task;
pub use gpt2_tokenizer as tokenizer;

pub use gpt2_backbone::{
    BackboneError, DeviceError, Gpt2Backbone, Gpt2BackboneConfig, LoraConfig, WeightDtype, devices,
    parse_device,
};
pub use gpt2_presets::{
    CheckpointFolder, FromPreset, LoadOptions, LoraWeights, ModelCheckpoint, ModelWeights, Preset,
    PresetError, PresetFormat, Save, SaveOptions,
};
#[cfg(feature = "hub")]
pub use gpt2_presets::{HubOptions, upload_preset};
pub use gpt2_task::{
    CompileOptions, CosineDecay, CosineDecayRestarts, Dataset, Draw, ExponentialDecay, FitOptions,
    GenerateOptions, Generation, Gpt2CausalLm, Gpt2CausalLmPreprocessor, History, InverseTimeDecay,
    LearningRate, LogitsProcessor, LogitsProcessors, Metric, PiecewiseConstantDecay,
    PolynomialDecay, Precision, PreprocessorConfig, Sampler, SearchStrategy, StopTokenIds,
    TaskError, TokenBatch, TokenEvent, TrainingBatch, TrainingData, Truncate, argmax, callbacks,
    optimizers, reuse_memory, samplers,
};
pub use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SpecialText, SplitPattern, TokenId, TokenizerError,
    TokenizerTrainer, UnknownBytes, Vocabulary,
};

/// Error to which the errors of tokenizer, backbone, task and hubs convert, so that `?` works on all.
pub type Error = PresetError;

/// Compiles and runs the examples of the workspace's documents.
#[cfg(all(doctest, feature = "bundled", feature = "flex"))]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct WorkspaceReadme;

    #[doc = include_str!("../../../docs/porting-from-kerashub.md")]
    struct PortingFromKerasHub;

    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;

    #[doc = include_str!("../../../docs/training.md")]
    struct Training;

    #[doc = include_str!("../../../docs/formats.md")]
    struct Formats;
}
