//! What can go wrong between a preset's handle and a model, and on the way back.

use std::path::PathBuf;

use gpt2_backbone::BackboneError;
use gpt2_files::FileError;
use gpt2_hub::HubError;
use gpt2_task::TaskError;
use gpt2_tokenizer::TokenizerError;

/// Why a preset cannot be opened, loaded or saved.
///
/// Every message names the thing, what was expected, what was found and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// The handle is no built-in name, no hub's handle and no path.
    #[error(
        "Unknown preset identifier. A preset must be a one of:\n1) a built-in preset identifier, \
         one of {builtin:?}\n2) a Kaggle Models handle like \
         `'kaggle://keras/gpt2/keras/gpt2_base_en'`\n3) a Hugging Face handle like \
         `'hf://username/gpt2_base_en'`\n4) a Modelscope handle like \
         `'modelscope://username/gpt2_base_en'`\n5) a path to a local preset directory like \
         `'./gpt2_base_en'`\nReceived: preset='{received}'"
    )]
    UnknownPreset {
        /// The handle.
        received: String,
        /// The built-in names.
        builtin: Vec<&'static str>,
    },

    /// The preset would have to be downloaded, and the library was compiled without that.
    #[error(
        "the preset `{preset}` is at `{handle}`, and downloads need the cargo feature `hub`: build \
         with `--features hub`, or get the folder with another tool, and pass its path"
    )]
    HubDisabled {
        /// What was asked for.
        preset: String,
        /// Where it is.
        handle: String,
    },

    /// The preset is part of the library, but was not compiled in.
    #[error(
        "the preset `{preset}` needs the cargo feature `bundled`: build with `--features bundled`"
    )]
    NotBundled {
        /// Its name.
        preset: String,
    },

    /// The handle is a path, but not a folder's.
    #[error(
        "`{}` is not a directory: pass the folder that holds `config.json`, a `.keras` file or a \
         GGUF file",
        path.display()
    )]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },

    /// A file is not there.
    #[error("`{file}` doesn't exist in preset directory `{preset}`; {remedy}")]
    MissingFile {
        /// The preset.
        preset: String,
        /// The file or files, any of which would have done.
        file: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A shard's name leads out of the preset's folder.
    #[error(
        "`{index}` names the shard {name:?}, expected a plain file name of its own folder ({why}); \
         download the preset from a source that you trust"
    )]
    UnsafeShardName {
        /// The index file.
        index: String,
        /// The name in it.
        name: String,
        /// What is wrong with the name.
        why: &'static str,
    },

    /// A JSON file cannot be parsed, or lacks what it must have.
    #[error("`{file}` is not the JSON expected: {detail}; download or export the preset again")]
    InvalidJson {
        /// The file.
        file: String,
        /// What is wrong, with line and column where known.
        detail: String,
    },

    /// `config.json` says neither that it is Keras' nor that it is transformers'.
    #[error(
        "Unrecognized format for config.json in `{preset}`: expected the key `registered_name` \
         (KerasHub) or `model_type` (transformers), found {found:?}. Create a preset with \
         `save_to_preset`"
    )]
    UnrecognizedFormat {
        /// The preset.
        preset: String,
        /// The first keys found.
        found: Vec<String>,
    },

    /// The file describes another class than GPT-2's.
    #[error("`{file}` holds the class `{found}`, and this library loads `{expected}` only")]
    UnsupportedClass {
        /// The file.
        file: String,
        /// The class that would have been loaded.
        expected: &'static str,
        /// The class found.
        found: String,
    },

    /// A value of a config is missing, of the wrong kind, or not supported.
    #[error("`{key}` in `{file}` must be {expected}, found {found}")]
    InvalidConfigValue {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// What would have been accepted.
        expected: &'static str,
        /// What is there.
        found: String,
    },

    /// A `.keras` file is no zip archive, or one that Keras does not write.
    #[error("`{}` is not a valid Keras file: {detail}; save or download it again", path.display())]
    InvalidArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the member at fault.
        detail: String,
    },

    /// A checkpoint of PyTorch is malformed, or holds more than a model's weights.
    #[error(
        "`{file}` is no checkpoint of PyTorch that can be read without running code: {detail}; \
         convert it on a machine where that does not matter, with transformers' \
         `save_pretrained(folder, safe_serialization=True)`, and load `model.safetensors`"
    )]
    InvalidPytorch {
        /// The file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },

    /// A safetensors file is malformed.
    #[error("`{file}` is not a valid safetensors file: {field}: {detail}; download it again")]
    InvalidSafetensors {
        /// The file.
        file: String,
        /// The field at fault: a part of the header, or a tensor.
        field: String,
        /// What was expected and found.
        detail: String,
    },

    /// A GGUF file is malformed, or of a kind that is not read.
    #[error("`{file}` is not a valid GGUF file: {field}: {detail}; download or convert it again")]
    InvalidGguf {
        /// The file.
        file: String,
        /// The field at fault: a part of the header, a key of the metadata, or a tensor.
        field: String,
        /// What was expected and found.
        detail: String,
    },

    /// An HDF5 file is malformed, or uses what Keras' weights files do not.
    #[error("`{file}` is not a valid Keras weights file: `{object}`: {detail}")]
    InvalidHdf5 {
        /// The file.
        file: String,
        /// The object in it.
        object: String,
        /// What was expected and found.
        detail: String,
    },

    /// A tensor has elements that are no 16-, 32- or 64-bit floats.
    #[error(
        "tensor `{tensor}` has elements of type {found}, expected float32, float16 or bfloat16 \
         (in HDF5 also float64, in GGUF also Q8_0, Q4_0 and Q6_K); quantized checkpoints must be \
         dequantized first, GGUF files with `llama-quantize --allow-requantize IN OUT F16`"
    )]
    UnsupportedElementType {
        /// The tensor.
        tensor: String,
        /// Its element type.
        found: String,
    },

    /// Two files, or two names, hold the same tensor.
    #[error(
        "tensor `{tensor}` occurs twice, in `{first}` and in `{second}`: remove one of the two"
    )]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
        /// Where it was found first.
        first: String,
        /// Where it was found again.
        second: String,
    },

    /// The checkpoint's tensors are not the model's.
    #[error(
        "the weights do not fit the config; tensors missing: {} ({}), unused: {} ({}); \
         `config.json` and the weights must come from the same model",
        missing.len(), first_few(missing), unused.len(), first_few(unused)
    )]
    IncompleteWeights {
        /// Tensors that the model needs and the checkpoint lacks; the search ends after some.
        missing: Vec<String>,
        /// Tensors that the checkpoint has and the model does not know.
        unused: Vec<String>,
    },

    /// A tensor has another shape than the config says.
    #[error(
        "tensor `{tensor}` must have shape {expected:?}, found {found:?}; `config.json` and the \
         weights must come from the same model"
    )]
    TensorShape {
        /// The tensor.
        tensor: String,
        /// The shape that follows from the config.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },

    /// The output layer is said to be the token embedding, and has other values.
    #[error(
        "`{head}` differs from `{embedding}` although `tie_word_embeddings` is true: set it to \
         false in config.json to use the tensor, or remove the tensor"
    )]
    ConflictingHead {
        /// The output layer's tensor.
        head: String,
        /// The token embedding's tensor.
        embedding: String,
    },

    /// A weight is not a number.
    #[error(
        "tensor `{tensor}` holds {value} at element {index}, expected finite numbers: the file is \
         damaged or the training diverged; `LoadOptions::with_check_finite(false)` loads it anyway"
    )]
    NonFiniteWeight {
        /// The first such tensor.
        tensor: String,
        /// Index of its first such element, in row-major order.
        index: usize,
        /// The element.
        value: f32,
    },

    /// The tokenizer has tokens for which the model has no embedding.
    #[error(
        "the tokenizer of `{preset}` has ids up to {max_token_id}, and the model has \
         {vocabulary_size} embeddings, so the largest id may be {}: use the vocabulary that \
         belongs to the model", vocabulary_size.saturating_sub(1)
    )]
    VocabularyTooLarge {
        /// The preset.
        preset: String,
        /// The largest id.
        max_token_id: u32,
        /// Rows of the token embedding.
        vocabulary_size: usize,
    },

    /// The format that was asked for has no place for a setting.
    #[error(
        "{format} cannot express `{setting}` = {found}, expected {expected}, which it takes for \
         granted; {remedy}"
    )]
    Inexpressible {
        /// The format.
        format: &'static str,
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The only value that a loader of the format knows.
        expected: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A number is too large for the float type that was asked for.
    #[error(
        "tensor `{tensor}` holds {value} at element {index}, more than {dtype} can express; use \
         another `WeightDtype`"
    )]
    Overflow {
        /// The first such tensor.
        tensor: String,
        /// Index of its first such element, in row-major order.
        index: usize,
        /// The element.
        value: f32,
        /// The float type.
        dtype: &'static str,
    },

    /// The end of a file's name is not that of a weights file.
    #[error(
        "The filename must end in `.weights.h5`. Received: filepath={} (or in `.weights.json`, for \
         weights in several files)",
        path.display()
    )]
    WeightsFileName {
        /// The path.
        path: PathBuf,
    },

    // Uploading.
    //
    /// There is no folder to upload.
    #[error("The preset directory {} doesn't exist.", path.display())]
    PresetDirectoryMissing {
        /// The folder.
        path: PathBuf,
    },

    /// The folder to upload is no preset: what is loaded from it would fail.
    #[error("{file} is missing from the preset directory `{}`. {remedy}", path.display())]
    IncompletePreset {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        file: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// The folder to upload has a `config.json` that is no JSON object.
    #[error("Config file `{}` is an invalid json file. Error message: {detail}", path.display())]
    InvalidConfigFile {
        /// The file.
        path: PathBuf,
        /// What the parser says.
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

    /// The end of a file's name does not say which format its LoRA has.
    #[error(
        "The filename must end in `.lora.h5`, for KerasHub's format, or in `.safetensors`, for one \
         that keeps the biases too. Received: filepath={}",
        path.display()
    )]
    LoraFileName {
        /// The path.
        path: PathBuf,
    },

    /// A file's LoRA has another rank than the model's.
    #[error(
        "The Lora rank expected by file '{}' is rank={expected}, but the model was called with \
         `.enable_lora(rank={found})`. Both ranks must match.",
        path.display()
    )]
    LoraRankMismatch {
        /// The file.
        path: PathBuf,
        /// The file's rank.
        expected: usize,
        /// The model's rank.
        found: usize,
    },

    /// A file's LoRA belongs to other layers than the model's.
    #[error(
        "`{}` and the model have their LoRA in different layers; only in the file: {}; only in the \
         model: {}; call `enable_lora` with the `target_layer_names` of the file, or not at all",
        path.display(), first_few(in_file), first_few(in_model)
    )]
    LoraLayerMismatch {
        /// The file.
        path: PathBuf,
        /// The layers that only the file has.
        in_file: Vec<String>,
        /// The layers that only the model has.
        in_model: Vec<String>,
    },

    /// A file holds no LoRA, or one of another model.
    #[error(
        "`{}` holds no LoRA for this model: `{object}` must be {expected}, found {found}; load a \
         file that was saved from a model of this size",
        path.display()
    )]
    InvalidLoraFile {
        /// The file.
        path: PathBuf,
        /// The tensor or setting at fault.
        object: String,
        /// What would have been accepted.
        expected: String,
        /// What is there.
        found: String,
    },

    /// The file of a training checkpoint is not what `CheckpointFolder` writes.
    ///
    /// That cannot come from a process that was killed while it saved.
    #[error(
        "the training checkpoint `{}` is damaged: {detail}; remove it to begin the training anew",
        path.display()
    )]
    DamagedCheckpoint {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        detail: String,
    },

    /// A callback cannot save the model.
    #[error("ModelCheckpoint cannot save the model in `{}`: {source}", path.display())]
    ModelCheckpoint {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Box<PresetError>,
    },

    // Training data.
    //
    /// There is no file to train on.
    #[error(
        "no files to train on in {path:?}: expected text files, `.jsonl` files or `.bin` files of token \
         ids whose names do not begin with a dot; pass others"
    )]
    NoTrainingFiles {
        /// The folder; empty if no path was given.
        path: PathBuf,
    },

    /// The files to train on give no token at all.
    #[error(
        "no token in `{}`, the first of {files} files: expected text in one of them; pass others",
        path.display()
    )]
    NoTrainingTokens {
        /// The first file.
        path: PathBuf,
        /// How many there are.
        files: usize,
    },

    /// A file to train on is no UTF-8 text.
    #[error(
        "`{}` is not text: expected UTF-8, found the byte {byte:#04x} at offset {offset}; convert \
         the file to UTF-8, or leave it out",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the byte is.
        offset: u64,
        /// A byte that is invalid there, or zero.
        byte: u8,
    },

    /// A line of a JSONL file has no text.
    #[error(
        "line {line} of `{}`: expected a JSON object with the string `{key}`, found {found}; \
         correct the line, or set the key of the text",
        path.display()
    )]
    InvalidJsonLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The key of the text.
        key: String,
        /// What is there.
        found: String,
    },

    /// A text to train on cannot be tokenized.
    #[error("cannot tokenize the text at {at} of `{}`: {source}", path.display())]
    Untokenizable {
        /// The file.
        path: PathBuf,
        /// Line or byte where the text begins, from which the tokenizer counts.
        at: String,
        /// What the tokenizer says.
        source: TokenizerError,
    },

    /// A file was written to while it was tokenized.
    #[error("`{}` has changed while it was read: begin again when it is complete", path.display())]
    CorpusChanged {
        /// The file.
        path: PathBuf,
    },

    /// A file of token ids is damaged, or of another format.
    #[error("`{}` is no file of token ids: {field} must be {expected}, found {found}; write it again", path.display())]
    InvalidTokenShard {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        field: &'static str,
        /// What would have been accepted.
        expected: String,
        /// What is there.
        found: u64,
    },

    /// A folder of token ids holds data for training and for validation.
    #[error(
        "`{}` holds files for training (`{training}`) and for validation (`{validation}`): pass \
         the files themselves, not the folder",
        path.display()
    )]
    MixedTokenShards {
        /// The folder.
        path: PathBuf,
        /// A file with `train` in its name.
        training: String,
        /// A file with `val` or `test` in its name.
        validation: String,
    },

    /// Token ids are not those of the model's vocabulary.
    #[error(
        "`{}` holds the token id {token_id} at position {position}, expected ids below \
         {vocabulary_size}: use the tokenizer that the file was made with",
        path.display()
    )]
    ShardTokenOutOfRange {
        /// The file.
        path: PathBuf,
        /// Which of its tokens, from 0.
        position: u64,
        /// The id.
        token_id: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },

    /// The data does not fill one window.
    #[error(
        "the training data has {found} tokens, expected at least {needed} for one example: add \
         text, or lower `sequence_length`"
    )]
    TooFewTokens {
        /// Tokens there are.
        found: u64,
        /// `sequence_length` + 1.
        needed: u64,
    },

    /// An option of the training data is out of range.
    #[error("`{option}` of the training data must be {expected}, found {found}; change it")]
    InvalidDataOption {
        /// The option.
        option: &'static str,
        /// What would have been accepted.
        expected: &'static str,
        /// What was given.
        found: usize,
    },

    /// A handle of a hub is malformed, or a hub does not give or take a file.
    #[error(transparent)]
    Hub(#[from] HubError),

    /// A file or folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The config, or the device.
    #[error(transparent)]
    Backbone(#[from] BackboneError),

    /// The vocabulary, the merges, or the tokenizer's settings.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),

    /// The preprocessor's settings.
    #[error(transparent)]
    Task(#[from] TaskError),
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "none".to_owned(),
        count if count <= SHOWN => names.join(", "),
        _ => format!("{}, …", names[..SHOWN].join(", ")),
    }
}
