//! Names of the formats.

/// Format of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresetFormat {
    /// KerasHub: `model.weights.h5`, `assets/tokenizer/`.
    Keras,
    /// The transformers library: `model.safetensors`, `vocab.json`, `merges.txt`.
    Transformers,
    /// llama.cpp: one `.gguf` file.
    Gguf,
}
