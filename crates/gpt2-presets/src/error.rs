//! Errors of presets.

use std::path::PathBuf;

use gpt2_backbone::{BackboneError, DeviceError};
use gpt2_files::FileError;
use gpt2_hub::HubError;
use gpt2_task::TaskError;
use gpt2_tokenizer::TokenizerError;

/// Reason why a preset cannot be opened, loaded or saved.
///
/// Every message names the thing, the expected and found values, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// The handle is neither a built-in name, nor a hub's handle, nor a path.
    #[error(
        "Unknown preset identifier `{received}`: expected a built-in name ({}), a handle \
         hf://OWNER/MODEL, kaggle://OWNER/MODEL/FRAMEWORK/VARIATION or modelscope://OWNER/MODEL, or \
         the path of a folder, a .keras file or a GGUF file{}",
        builtin.join(", "),
        suggestion.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    )]
    UnknownPreset {
        /// Handle.
        received: String,
        /// Built-in names.
        builtin: Vec<&'static str>,
        /// Name or handle that was probably meant.
        suggestion: Option<String>,
    },

    /// The handle is a path that does not exist.
    #[error(
        "cannot open the preset `{}`: there is no such file or folder; check the path",
        path.display()
    )]
    MissingPath {
        /// Path.
        path: PathBuf,
    },

    /// The preset must be downloaded, but the library was built without downloads.
    #[error(
        "the preset `{preset}` is at `{handle}`, and downloads need the cargo feature `hub`; build \
         with `--features hub`, or download the folder with another tool and pass its path"
    )]
    HubDisabled {
        /// Name of the preset.
        preset: String,
        /// Handle of its folder on a hub.
        handle: String,
    },

    /// The preset is bundled with the library, but was not compiled in.
    #[error(
        "the preset `{preset}` needs the cargo feature `bundled`: build with `--features bundled`"
    )]
    NotBundled {
        /// Name of the preset.
        preset: String,
    },

    /// The handle is a path to something other than a folder.
    #[error(
        "`{}` is not a directory: pass the folder that holds `config.json`, a `.keras` file or a \
         GGUF file",
        path.display()
    )]
    NotADirectory {
        /// Path.
        path: PathBuf,
    },

    /// The preset lacks a file.
    #[error("`{file}` doesn't exist in preset directory `{preset}`; {remedy}")]
    MissingFile {
        /// Preset.
        preset: String,
        /// Missing file, or alternatives of which one is enough.
        file: String,
        /// Remedy.
        remedy: &'static str,
    },

    /// The folder has the checkpoint of a training that has not come to its end.
    #[error(
        "`{}` is an unfinished training: it has no `config.json` yet{}; run the same `gpt2 train` \
         command again to complete it",
        path.display(),
        last.as_ref().map(|last| format!(", and the model so far is `{}`", last.display()))
            .unwrap_or_default()
    )]
    UnfinishedTraining {
        /// Output folder of the training.
        path: PathBuf,
        /// Preset with the model so far. None if there is none.
        last: Option<PathBuf>,
    },

    /// The folder has a tokenizer and no model.
    #[error(
        "`{preset}` is a tokenizer, not a model: `config.json` is missing; pass a model's preset, or \
         train a model for it with `gpt2 train --config FILE --tokenizer {preset}`"
    )]
    TokenizerAlone {
        /// Folder.
        preset: String,
    },

    /// A shard's name refers to a file outside the preset's folder.
    #[error(
        "`{index}` names the shard {name:?}, expected a plain file name of its own folder ({why}); \
         download the preset from a source that you trust"
    )]
    UnsafeShardName {
        /// Index file.
        index: String,
        /// Name in the index.
        name: String,
        /// Fault of the name.
        why: &'static str,
    },

    /// A file is damaged, or uses a feature of its format that is not supported.
    #[error("`{file}` is not a valid {format}: {}; {remedy}", at(object, detail))]
    Malformed {
        /// Format that the file should have: `safetensors file`, `GGUF file`, `Keras weights file`,
        /// `Keras file`, `JSON file of a preset`, `training checkpoint`, `LoRA file for this model`, or
        /// `checkpoint of PyTorch …`.
        format: &'static str,
        /// File.
        file: String,
        /// Part of the file at fault: of the header, the metadata, a tensor or a group. Empty if it
        /// is the whole file.
        object: String,
        /// Expected and found values.
        detail: String,
        /// Remedy.
        remedy: &'static str,
    },

    /// `config.json` has none of the formats' keys.
    #[error(
        "Unrecognized format for config.json in `{preset}`: expected the key {expected}, found \
         {found:?}. Create a preset with `save_to_preset`"
    )]
    UnrecognizedFormat {
        /// Preset.
        preset: String,
        /// Keys of the formats.
        expected: String,
        /// First keys found.
        found: Vec<String>,
    },

    /// The file describes a class other than GPT-2's.
    #[error("`{file}` has the class `{found}`, expected `{expected}`")]
    UnsupportedClass {
        /// File.
        file: String,
        /// Supported class.
        expected: &'static str,
        /// Class found.
        found: String,
    },

    /// A value of a config is missing, of the wrong kind, or not supported.
    #[error("`{key}` in `{file}` must be {expected}, found {found}")]
    InvalidConfigValue {
        /// File.
        file: String,
        /// Key.
        key: &'static str,
        /// Accepted values.
        expected: &'static str,
        /// Value found.
        found: String,
    },

    /// The type of a tensor's elements is not supported.
    #[error(
        "tensor `{tensor}` has elements of type {found}, expected {expected}; quantized checkpoints \
         must be dequantized first, GGUF files with `llama-quantize --allow-requantize IN OUT F16`"
    )]
    UnsupportedElementType {
        /// Tensor.
        tensor: String,
        /// Type of its elements.
        found: String,
        /// Supported types of such a file.
        expected: String,
    },

    /// Two files contain the same tensor, or two names mean it.
    #[error(
        "tensor `{tensor}` occurs twice, in `{first}` and in `{second}`: remove one of the two"
    )]
    DuplicateTensor {
        /// Tensor.
        tensor: String,
        /// Name or file of the first.
        first: String,
        /// Name or file of the second.
        second: String,
    },

    /// The checkpoint's tensors differ from the model's.
    #[error(
        "the weights do not fit the config; tensors missing: {} ({}), unused: {} ({}); \
         `config.json` and the weights must come from the same model",
        missing.len(), first_few(missing), unused.len(), first_few(unused)
    )]
    IncompleteWeights {
        /// Tensors that the model needs and the checkpoint lacks, up to a limit.
        missing: Vec<String>,
        /// Tensors that the checkpoint has and the model does not use.
        unused: Vec<String>,
    },

    /// A tensor's shape does not follow from the config.
    #[error(
        "tensor `{tensor}` must have shape {expected:?}, found {found:?}; `config.json` and the \
         weights must come from the same model"
    )]
    TensorShape {
        /// Tensor.
        tensor: String,
        /// Shape that follows from the config.
        expected: Vec<usize>,
        /// Shape found.
        found: Vec<usize>,
    },

    /// The output layer is tied to the token embedding, but has different values.
    #[error(
        "`{head}` differs from `{embedding}` although `tie_word_embeddings` is true: set it to \
         false in config.json to use the tensor, or remove the tensor"
    )]
    ConflictingHead {
        /// Tensor of the output layer.
        head: String,
        /// Tensor of the token embedding.
        embedding: String,
    },

    /// A weight is NaN or infinite.
    #[error(
        "tensor `{tensor}` holds {value} at element {index}, expected finite numbers: the file is \
         damaged or the training diverged; `LoadOptions::with_check_finite(false)` loads it anyway"
    )]
    NonFiniteWeight {
        /// Name of the first such tensor.
        tensor: String,
        /// Index of the tensor's first such element, in row-major order.
        index: usize,
        /// Value of the element.
        value: f32,
    },

    /// The tokenizer has tokens without an embedding in the model.
    #[error(
        "the tokenizer of `{preset}` has ids up to {max_token_id}, and the model has \
         {vocabulary_size} embeddings, so the largest id may be {}: use the vocabulary that \
         belongs to the model", vocabulary_size.saturating_sub(1)
    )]
    VocabularyTooLarge {
        /// Preset.
        preset: String,
        /// Largest id.
        max_token_id: u32,
        /// Rows of the token embedding.
        vocabulary_size: usize,
    },

    /// The text is not the name of a format.
    #[error("unknown format `{found}`, expected `keras`, `transformers` or `gguf`")]
    UnknownFormat {
        /// Text.
        found: String,
    },

    /// The format does not support such contents.
    #[error("cannot save {what} in the format `{format}`; {remedy}")]
    CannotSave {
        /// Contents.
        what: &'static str,
        /// Name of the format.
        format: &'static str,
        /// Remedy.
        remedy: &'static str,
    },

    /// The format does not support a setting.
    #[error(
        "{format} cannot express `{setting}` = {found}, expected {expected}, which it always \
         assumes; {remedy}"
    )]
    Inexpressible {
        /// Format.
        format: &'static str,
        /// Setting.
        setting: &'static str,
        /// Value.
        found: String,
        /// The only value that loaders of the format assume.
        expected: String,
        /// Remedy.
        remedy: &'static str,
    },

    /// A number is outside the float type's range.
    #[error(
        "tensor `{tensor}` holds {value} at element {index}, which is outside the range of {dtype}; use another \
         `WeightDtype`"
    )]
    Overflow {
        /// Name of the first such tensor.
        tensor: String,
        /// Index of the tensor's first such element, in row-major order.
        index: usize,
        /// Value of the element.
        value: f32,
        /// Float type.
        dtype: &'static str,
    },

    /// The file name does not end as a weights file's.
    #[error(
        "The filename must end in `.weights.h5`. Received: filepath={} (or in `.weights.json`, for \
         weights in several files)",
        path.display()
    )]
    WeightsFileName {
        /// Path.
        path: PathBuf,
    },

    // Uploading.
    //
    /// The folder to upload does not exist.
    #[error("The preset directory {} doesn't exist.", path.display())]
    PresetDirectoryMissing {
        /// Folder.
        path: PathBuf,
    },

    /// The folder to upload is not a complete preset.
    #[error("{file} is missing from the preset directory `{}`. {remedy}", path.display())]
    IncompletePreset {
        /// Folder.
        path: PathBuf,
        /// Missing file.
        file: String,
        /// Remedy.
        remedy: &'static str,
    },

    /// The folder to upload has a `config.json` that is not a JSON object.
    #[error("Config file `{}` is an invalid json file. Error message: {detail}", path.display())]
    InvalidConfigFile {
        /// File.
        path: PathBuf,
        /// Message of the parser.
        detail: String,
    },

    // LoRA and training.
    //
    /// The model has no LoRA to save.
    #[error(
        "There are no lora-enabled layers in this model. Make sure to call `.enable_lora(rank)` \
         first."
    )]
    LoraNotEnabled,

    /// The file name does not end as a LoRA file's.
    #[error(
        "The filename must end in `.lora.h5`, for KerasHub's format, or in `.safetensors`, for one \
         that keeps the biases too. Received: filepath={}",
        path.display()
    )]
    LoraFileName {
        /// Path.
        path: PathBuf,
    },

    /// A LoRA file and the model have different ranks.
    #[error(
        "The Lora rank expected by file '{}' is rank={expected}, but the model was called with \
         `.enable_lora(rank={found})`. Both ranks must match.",
        path.display()
    )]
    LoraRankMismatch {
        /// File.
        path: PathBuf,
        /// Rank in the file.
        expected: usize,
        /// Rank of the model.
        found: usize,
    },

    /// A LoRA file and the model have a LoRA in different layers.
    #[error(
        "`{}` and the model have their LoRA in different layers; only in the file: {}; only in the \
         model: {}; call `enable_lora` with the `target_layer_names` of the file, or not at all",
        path.display(), first_few(in_file), first_few(in_model)
    )]
    LoraLayerMismatch {
        /// File.
        path: PathBuf,
        /// Layers that only the file has.
        in_file: Vec<String>,
        /// Layers that only the model has.
        in_model: Vec<String>,
    },

    /// A callback cannot save the model.
    #[error("ModelCheckpoint cannot save the model in `{}`", path.display())]
    ModelCheckpoint {
        /// Folder.
        path: PathBuf,
        /// Reason.
        source: Box<PresetError>,
    },

    /// The handle is malformed, or a hub refused a download or an upload.
    #[error(transparent)]
    Hub(#[from] HubError),

    /// A file or folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// An error of the config or the device.
    #[error(transparent)]
    Backbone(#[from] BackboneError),

    /// An error of the vocabulary, the merges, or the tokenizer's settings.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),

    /// An error of the preprocessor's settings.
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl From<DeviceError> for PresetError {
    fn from(error: DeviceError) -> Self {
        Self::Backbone(error.into())
    }
}

fn at(object: &str, detail: &str) -> String {
    if object.is_empty() { detail.to_owned() } else { format!("`{object}`: {detail}") }
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "none".to_owned(),
        count if count <= SHOWN => names.join(", "),
        _ => format!("{}, …", names[..SHOWN].join(", ")),
    }
}
