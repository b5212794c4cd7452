//! Arguments of `gpt2 train`.

use std::path::PathBuf;

use clap::ValueEnum;
use clap_complete::ArgValueCompleter;
use gpt2_task::Precision;

use crate::commands::completions::preset_names;
use crate::model;
use crate::values::{parse_optimizer, parse_schedule, text_path};

const EXAMPLES: &str = "\
Examples:
  gpt2 train --train my_text.txt --output my_preset --learning-rate 1e-3
  gpt2 train --preset gpt2_base_en --train texts/ --output my_preset --lora-rank 4
  gpt2 train --train a.txt --validation b.txt --output my_preset --epochs 20 --early-stopping 2

Ctrl-C saves a checkpoint; the same command continues from it.
Arguments of optimizers and schedules: gpt2 help optimizers, gpt2 help schedules";

/// Train a GPT-2 on text files
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Start from this model: built-in name; handle hf://, kaggle:// or modelscope://; folder in
    /// Keras' or transformers' format; .keras file; or GGUF file
    #[arg(long, alias = "model", default_value = model::DEFAULT_PRESET, conflicts_with = "config", add = ArgValueCompleter::new(preset_names), help_heading = "Model")]
    pub(super) preset: String,
    /// Start from random weights: a JSON file with the arguments of KerasHub's `GPT2Backbone`
    #[arg(long, requires = "tokenizer", value_name = "FILE", help_heading = "Model")]
    pub(super) config: Option<PathBuf>,
    /// With --config: preset or folder with the vocabulary
    #[arg(long, requires = "config", value_name = "PRESET", help_heading = "Model")]
    pub(super) tokenizer: Option<String>,
    /// Text files, .jsonl files, .bin files of token ids, or folders of them
    #[arg(long, required = true, num_args = 1.., value_parser = text_path(), value_name = "PATH", help_heading = "Data")]
    pub(super) train: Vec<PathBuf>,
    /// Evaluate on these files after every epoch
    #[arg(long, num_args = 1.., value_parser = text_path(), value_name = "PATH", help_heading = "Data")]
    pub(super) validation: Vec<PathBuf>,
    /// Key of the text in the objects of .jsonl files [default: text]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub(super) text_key: Option<String>,
    /// Treatment of characters that the vocabulary lacks: an error, or skip them
    #[arg(long, value_enum, default_value_t = Unknown::Error, value_name = "HOW", help_heading = "Data")]
    pub(super) unknown: Unknown,
    /// Length of an example in tokens [default: the preset's, or the model's positions]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(super) sequence_length: Option<usize>,
    /// Begin a training example every N tokens; less than the length lets examples overlap
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(super) stride: Option<usize>,
    /// Number of examples in a step
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub(super) batch_size: usize,
    /// Number of passes over the training data [default: 1]
    #[arg(long, conflicts_with = "steps", value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// Number of steps, in place of epochs
    #[arg(long, value_name = "N")]
    pub(super) steps: Option<usize>,
    /// Number of steps in an epoch, which ends with an evaluation [default: a pass over the data]
    #[arg(long, value_name = "N")]
    pub(super) steps_per_epoch: Option<usize>,
    /// Peak learning rate [default: 2e-5]
    #[arg(long, value_name = "X")]
    pub(super) learning_rate: Option<f64>,
    /// Learning rate schedule: constant, cosine, linear, …, as in cosine:warmup_steps=100,alpha=0.1
    #[arg(long, default_value = "constant", value_name = "S", value_parser = parse_schedule)]
    pub(super) schedule: String,
    /// Optimizer: adam, adamw, sgd, adafactor, lion or rmsprop, as in adamw:weight_decay=0.1
    #[arg(long, default_value = "adam", value_name = "NAME", value_parser = parse_optimizer)]
    pub(super) optimizer: String,
    /// Train only a LoRA of rank N on queries and values
    #[arg(long, value_name = "R")]
    pub(super) lora_rank: Option<usize>,
    /// Also save the LoRA of --lora-rank separately: a .safetensors or .lora.h5 file
    #[arg(long, value_name = "FILE", requires = "lora_rank", help_heading = "Output")]
    pub(super) lora_adapter: Option<PathBuf>,
    /// Dropout rate [default: the config's]
    #[arg(long, value_name = "X")]
    pub(super) dropout: Option<f64>,
    /// Stop after N epochs without a better validation loss, and keep the best weights
    #[arg(long, requires = "validation", value_name = "N")]
    pub(super) early_stopping: Option<usize>,
    /// Recompute layers in the backward pass: takes less memory and a third more time
    #[arg(long)]
    pub(super) gradient_checkpointing: bool,
    /// Float type of products and activations
    #[arg(long, default_value = "float32")]
    pub(super) precision: PrecisionName,
    /// Seed of the initialisation, the order of examples and dropout
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    /// Save a checkpoint and the preset training/last every N steps
    #[arg(long, default_value_t = 100, value_name = "N", help_heading = "Output")]
    pub(super) save_every: usize,
    /// Compute on cpu, auto, wgpu, vulkan:0, cuda:0, …; others than cpu need their cargo feature
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
    /// Folder of the trained preset; its folder `training` gets checkpoint and log
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(super) output: PathBuf,
    /// Replace an existing preset in the folder
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    /// Delete the checkpoint of an unfinished training and start anew
    #[arg(long, help_heading = "Output")]
    pub(super) restart: bool,
    /// Print a continuation of PROMPT after every epoch; may be repeated
    #[arg(long, value_name = "PROMPT", help_heading = "Output")]
    pub(super) sample: Vec<String>,
    /// Draw the loss curves to training/curves.svg after every epoch
    #[arg(long, help_heading = "Output")]
    pub(super) plot: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum PrecisionName {
    Float32,
    MixedBfloat16,
    MixedFloat16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Float32 => Self::Float32,
            PrecisionName::MixedBfloat16 => Self::MixedBfloat16,
            PrecisionName::MixedFloat16 => Self::MixedFloat16,
        }
    }
}

/// Treatment of characters that the vocabulary lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Unknown {
    Error,
    Drop,
}
