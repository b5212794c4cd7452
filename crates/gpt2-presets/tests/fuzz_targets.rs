//! The crate's parsers as functions of bytes, shared by the campaign in `mutations.rs` and the
//! fuzzer in `fuzz/`.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig};
use gpt2_presets::{
    CheckpointFolder, HubOptions, LoraWeights, ModelWeights, Preset, Save, SaveOptions,
};
use gpt2_task::{
    BoxError, CheckpointStore, Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig,
    TrainingCheckpoint,
};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};
use tempfile::TempDir;

/// A set of files, one of which is replaced by arbitrary bytes.
pub struct Target {
    /// Name of the parsed input.
    pub name: &'static str,
    /// Name of the replaced file.
    file: &'static str,
    /// Writes valid files to a folder.
    write: fn(&Path),
    /// Reads the folder.
    read: fn(&Path) -> Result<(), BoxError>,
}

pub const TARGETS: [Target; 22] = [
    folder("keras_config", "config.json", keras),
    folder("keras_task", "task.json", keras),
    folder("keras_preprocessor", "preprocessor.json", keras_without_task),
    folder("keras_tokenizer", "tokenizer.json", keras),
    folder("vocabulary", "assets/tokenizer/vocabulary.json", keras),
    folder("merges", "assets/tokenizer/merges.txt", keras),
    folder("hdf5", "model.weights.h5", keras),
    folder("keras_index", "model.weights.json", keras_shards),
    folder("transformers_config", "config.json", transformers),
    folder("transformers_tokenizer", "tokenizer.json", transformers_tokenizer),
    folder("tokenizer_config", "tokenizer_config.json", transformers),
    folder("safetensors", "model.safetensors", transformers),
    folder("safetensors_index", "model.safetensors.index.json", transformers_shards),
    folder("pytorch", "pytorch_model.bin", pytorch),
    folder("pytorch_legacy", "pytorch_model.bin", pytorch_legacy),
    folder("pytorch_index", "pytorch_model.bin.index.json", pytorch_shards),
    Target {
        name: "keras_archive",
        file: "model.keras",
        write: archive,
        read: |folder| load(&folder.join("model.keras")),
    },
    Target {
        name: "gguf",
        file: "model.gguf",
        write: gguf,
        read: |folder| load(&folder.join("model.gguf")),
    },
    Target {
        name: "task_weights",
        file: "task.weights.h5",
        write: |folder| model().save_weights(folder.join("task.weights.h5")).unwrap(),
        read: |folder| Ok(model().load_weights(folder.join("task.weights.h5"))?),
    },
    Target {
        name: "keras_lora",
        file: "mine.lora.h5",
        write: |folder| adapted().save_lora_weights(folder.join("mine.lora.h5")).unwrap(),
        read: |folder| Ok(model().load_lora_weights(folder.join("mine.lora.h5"))?),
    },
    Target {
        name: "lora",
        file: "mine.safetensors",
        write: |folder| adapted().save_lora_weights(folder.join("mine.safetensors")).unwrap(),
        read: |folder| Ok(model().load_lora_weights(folder.join("mine.safetensors"))?),
    },
    Target {
        name: "training_checkpoint",
        file: "training.checkpoint.safetensors",
        write: checkpoint,
        read: |folder| CheckpointFolder::new(folder).load(&Device::flex()).map(drop),
    },
];

const fn folder(name: &'static str, file: &'static str, write: fn(&Path)) -> Target {
    Target { name, file, write, read: load }
}

/// Loads everything in a preset.
fn load(path: &Path) -> Result<(), BoxError> {
    Ok(Preset::open(path.to_str().unwrap())?.causal_lm(&Device::flex()).map(drop)?)
}

/// A target whose preset is on the disk.
pub struct Prepared<'a> {
    target: &'a Target,
    folder: TempDir,
}

impl Target {
    pub fn prepare(&self) -> Prepared<'_> {
        let folder = tempfile::tempdir().unwrap();
        (self.write)(folder.path());
        Prepared { target: self, folder }
    }
}

impl Prepared<'_> {
    fn path(&self) -> PathBuf {
        self.folder.path().join(self.target.file)
    }

    /// Content of the valid file.
    pub fn seed(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Reads with these bytes as the file's content.
    pub fn read(&self, bytes: &[u8]) -> Result<(), BoxError> {
        fs::write(self.path(), bytes).unwrap();
        (self.target.read)(self.folder.path())
    }
}

/// Parses a text as a handle, without contacting a hub.
pub fn handle(text: &str) -> Result<(), BoxError> {
    let nowhere = std::env::temp_dir().join("gpt2-presets-no-such-folder");
    let hub = HubOptions::new()
        .with_offline(true)
        .with_hugging_face_cache(&nowhere)
        .with_kaggle_cache(&nowhere)
        .with_model_scope_cache(&nowhere);
    Ok(Preset::open_with(text, &hub).map(drop)?)
}

fn model() -> Gpt2CausalLm {
    let config = Gpt2BackboneConfig::new(4, 1, 1, 2, 2).with_max_sequence_length(3);
    let backbone = Gpt2Backbone::new(&config, 7, &Device::flex()).unwrap();
    let vocabulary = r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#;
    let vocabulary = Vocabulary::from_json(vocabulary).unwrap();
    let merges = Merges::parse("a b\n").unwrap();
    let tokenizer = Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new()).unwrap();
    let config = PreprocessorConfig::new().with_sequence_length(3);
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config).unwrap();
    Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap()
}

fn adapted() -> Gpt2CausalLm {
    let mut model = model();
    model.enable_lora(LoraConfig::new(1).with_seed(7)).unwrap();
    model
}

fn checkpoint(folder: &Path) {
    let tensors = [("weights/a".to_owned(), Tensor::from_data([0.5f32, 2.0], &Device::flex()))];
    let state = serde_json::json!({"step": 3});
    let checkpoint = TrainingCheckpoint { state, tensors: tensors.into() };
    CheckpointFolder::new(folder).save(&checkpoint).unwrap();
}

fn keras(folder: &Path) {
    model().save_to_preset(folder).unwrap();
}

fn keras_without_task(folder: &Path) {
    keras(folder);
    fs::remove_file(folder.join("task.json")).unwrap();
}

fn keras_shards(folder: &Path) {
    model().save(folder, SaveOptions::keras().with_max_shard_size(100)).unwrap();
}

fn transformers(folder: &Path) {
    model().export_to_transformers(folder).unwrap();
}

fn transformers_tokenizer(folder: &Path) {
    transformers(folder);
    fs::remove_file(folder.join("vocab.json")).unwrap();
}

fn transformers_shards(folder: &Path) {
    let options = SaveOptions::transformers().with_max_shard_size(100);
    model().save(folder, &options).unwrap();
}

fn pytorch(folder: &Path) {
    pytorch_fixture(folder, include_bytes!("fixtures/pytorch/whole.bin"));
}

fn pytorch_legacy(folder: &Path) {
    pytorch_fixture(folder, include_bytes!("fixtures/pytorch/legacy.bin"));
}

fn pytorch_shards(folder: &Path) {
    pytorch_fixture(folder, b"");
    fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
    for (name, bytes) in [
        (
            "pytorch_model-00001-of-00002.bin",
            &include_bytes!("fixtures/pytorch/pytorch_model-00001-of-00002.bin")[..],
        ),
        (
            "pytorch_model-00002-of-00002.bin",
            include_bytes!("fixtures/pytorch/pytorch_model-00002-of-00002.bin"),
        ),
        (
            "pytorch_model.bin.index.json",
            include_bytes!("fixtures/pytorch/pytorch_model.bin.index.json"),
        ),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The fixtures' model, as PyTorch saved it.
fn pytorch_fixture(folder: &Path, bytes: &[u8]) {
    transformers(folder);
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    let config = r#"{"model_type": "gpt2", "vocab_size": 6, "n_positions": 5, "n_embd": 4,
        "n_layer": 1, "n_head": 2, "n_inner": 8}"#;
    fs::write(folder.join("config.json"), config).unwrap();
    fs::write(folder.join("pytorch_model.bin"), bytes).unwrap();
}

fn archive(folder: &Path) {
    let bytes = include_bytes!("fixtures/keras/fitted.keras");
    fs::write(folder.join("model.keras"), bytes).unwrap();
}

fn gguf(folder: &Path) {
    model().export_to_gguf(folder.join("model.gguf")).unwrap();
}
