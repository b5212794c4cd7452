//! `gpt2 train`: a preset trained on text files, or a new model from nothing.
//!
//! Stop it at any moment and start it again with the same command: it goes on from its last
//! checkpoint, and on the CPU ends with the same bits as if it had never been stopped.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use burn::tensor::Device;
use clap::ValueEnum;
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig};
use gpt2_presets::{
    CheckpointFolder, PackedDataset, TokenizeOptions, TrainingDataOptions, WeightDtype,
    open_training_data, progress_bars,
};
use gpt2_task::callbacks::{EarlyStopping, JsonlLogger, LambdaCallback, ProgressBar, StepHistory};
use gpt2_task::optimizers;
use gpt2_task::{
    Callback, CheckpointStore, CompileOptions, Dataset, FitOptions, Gpt2CausalLm,
    Gpt2CausalLmPreprocessor, History, LearningRate, Metric, Precision, PreprocessorConfig,
    TrainingData, plot,
};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::evaluation::{Evaluation, evaluate};
use crate::model;

/// Train a GPT-2 on text files.
#[derive(clap::Args)]
pub struct Arguments {
    /// Model to start from: built-in name; handle hf://, kaggle:// or modelscope://; folder in Keras'
    /// or transformers' format; .keras file; or GGUF file
    #[arg(long, default_value = "gpt2_tiny_shakespeare", conflicts_with = "config")]
    preset: String,
    /// Start from nothing: a JSON file with KerasHub's arguments of `GPT2Backbone`
    #[arg(long, requires = "tokenizer", value_name = "FILE")]
    config: Option<PathBuf>,
    /// With --config: the preset or the folder with the vocabulary
    #[arg(long, requires = "config", value_name = "PRESET")]
    tokenizer: Option<String>,
    /// Text files, .jsonl files, .bin files of token ids, or folders of them
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    train: Vec<PathBuf>,
    /// The same, to evaluate on after every epoch
    #[arg(long, num_args = 1.., value_name = "PATH")]
    validation: Vec<PathBuf>,
    /// Tokens of an example [default: the preset's, or the model's positions]
    #[arg(long, value_name = "N")]
    sequence_length: Option<usize>,
    /// Tokens between the beginnings of two training examples; fewer than the length let them overlap
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Examples of a step
    #[arg(long, default_value_t = 8, value_name = "N")]
    batch_size: usize,
    /// Passes over the training data [default: 1]
    #[arg(long, conflicts_with = "steps", value_name = "N")]
    epochs: Option<usize>,
    /// Steps in all, in place of epochs
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Steps of an epoch, after which the model is evaluated [default: a pass over the data]
    #[arg(long, value_name = "N")]
    steps_per_epoch: Option<usize>,
    /// The highest learning rate [default: 2e-5]
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// constant, cosine, linear, …, with arguments as in `cosine:warmup_steps=100,alpha=0.1`
    #[arg(long, default_value = "constant", value_name = "S")]
    schedule: String,
    /// adam, adamw, sgd, adafactor, lion or rmsprop, with arguments as in `adamw:weight_decay=0.1`
    #[arg(long, default_value = "adam", value_name = "NAME")]
    optimizer: String,
    /// Train low-rank additions to queries and values only
    #[arg(long, value_name = "R")]
    lora_rank: Option<usize>,
    /// Dropout rate [default: the config's]
    #[arg(long, value_name = "X")]
    dropout: Option<f64>,
    /// End after so many epochs without a better validation loss, and keep the best weights
    #[arg(long, requires = "validation", value_name = "EPOCHS")]
    early_stopping: Option<usize>,
    /// Recompute layers on the way back: less memory, a third more time
    #[arg(long)]
    gradient_checkpointing: bool,
    /// Float type of products and activations
    #[arg(long, default_value = "float32")]
    precision: PrecisionName,
    /// From which initialisation, order of examples and dropout follow
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Steps between two checkpoints
    #[arg(long, default_value_t = 100, value_name = "N")]
    save_every: usize,
    /// cpu, auto, wgpu, vulkan:0, cuda:0, …; others than cpu need their cargo feature
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Folder for the trained preset; checkpoint and log go into its folder `training`
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace a preset that is in the folder
    #[arg(long)]
    force: bool,
    /// Draw the curves: training/curves.svg
    #[arg(long)]
    plot: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
    Float32,
    MixedBfloat16,
    MixedFloat16,
}

/// Trains, saves and reports.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    gpt2_task::reuse_memory();
    let folder = arguments.output.join("training");
    let mut checkpoint = CheckpointFolder::new(&folder);
    prepare(arguments, &checkpoint, &folder)?;
    let device = model::device(&arguments.device)?;
    let mut model = start(arguments, &device, context)?;
    let training = open(&arguments.train, arguments.stride, &model, &folder)?;
    let validation = match arguments.validation.as_slice() {
        [] => None,
        paths => Some(open(paths, None, &model, &folder)?),
    };
    let plan = Plan::new(arguments, training.len());
    compile(&mut model, arguments, plan)?;

    let begin = Instant::now();
    let mut steps = StepHistory::new();
    let history = fit(
        &mut model,
        training,
        validation.as_ref().map(|data| data as &dyn Dataset),
        arguments,
        plan,
        &mut steps,
        &mut checkpoint,
    )?;
    model.merge_lora();
    model::save(&model, &arguments.output)?;
    if arguments.plot {
        let path = folder.join("curves.svg");
        fs::write(&path, plot(&history, Some(&steps)))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    report(arguments, context, &model, &history, validation.as_ref(), begin)?;
    // The last of all: until then the same command has something to go on from.
    checkpoint.clear().map_err(anyhow::Error::from_boxed)?;
    Ok(Answer::Yes)
}

/// Creates the output's folder, unless a preset would be replaced by a new training.
fn prepare(
    arguments: &Arguments,
    checkpoint: &CheckpointFolder,
    folder: &Path,
) -> anyhow::Result<()> {
    let output = &arguments.output;
    let is_allowed = arguments.force || checkpoint.path().exists();
    ensure!(
        is_allowed || !output.join("config.json").exists(),
        "{} holds a preset already; pass --force to replace it",
        output.display()
    );
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

/// The model before training: a preset's, or a new one.
fn start(
    arguments: &Arguments,
    device: &Device,
    context: &Context,
) -> anyhow::Result<Gpt2CausalLm> {
    let (mut backbone, tokenizer, mut config) = match &arguments.config {
        None => {
            let model = model::load(&arguments.preset, device, WeightDtype::F32, context)?;
            let preprocessor = model.preprocessor().context("the preset has no tokenizer")?;
            let (tokenizer, config) =
                (preprocessor.tokenizer().clone(), preprocessor.config().clone());
            (model.into_backbone(), tokenizer, config)
        }
        Some(path) => {
            let text =
                fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let config = read_config(&text)
                .with_context(|| format!("{} is not a backbone's config", path.display()))?;
            let source = arguments.tokenizer.as_deref().unwrap_or_default();
            let tokenizer = model::tokenizer(source, context)?;
            let backbone = Gpt2Backbone::new(&config, arguments.seed, device)?;
            (backbone, tokenizer, PreprocessorConfig::default())
        }
    };
    if let Some(dropout) = arguments.dropout {
        backbone.set_dropout(dropout)?;
    }
    let positions = backbone.config().max_sequence_length;
    let default = config.sequence_length.min(positions);
    config.sequence_length = arguments.sequence_length.unwrap_or(default);
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config)?;
    let mut model = Gpt2CausalLm::new(backbone, Some(preprocessor))?;
    if let Some(rank) = arguments.lora_rank {
        model.enable_lora(LoraConfig::new(rank).with_seed(arguments.seed))?;
    }
    Ok(model)
}

/// Reads a config all of whose keys are known: a misspelt one would be ignored.
fn read_config(text: &str) -> anyhow::Result<Gpt2BackboneConfig> {
    let known = Gpt2BackboneConfig::KEYS;
    let given: Map<String, Value> = serde_json::from_str(text)?;
    if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
        bail!("unknown key `{unknown}`, expected one of {known:?}");
    }
    Ok(serde_json::from_str(text)?)
}

/// Opens files as examples. Texts are tokenized once, with a bar if standard error is a terminal.
fn open(
    paths: &[PathBuf],
    stride: Option<usize>,
    model: &Gpt2CausalLm,
    folder: &Path,
) -> anyhow::Result<PackedDataset> {
    let preprocessor = model.preprocessor().context("the model has a tokenizer")?;
    let tokenize =
        TokenizeOptions::new(folder.join("tokens")).with_on_progress(progress_bars::tokenizing());
    let mut options = TrainingDataOptions::new(preprocessor.sequence_length(), tokenize);
    if let Some(stride) = stride {
        options = options.with_stride(stride);
    }
    Ok(open_training_data(paths, preprocessor.tokenizer(), &options)?)
}

/// Length of the training.
#[derive(Clone, Copy)]
struct Plan {
    epochs: usize,
    steps_per_epoch: usize,
    steps: usize,
}

impl Plan {
    fn new(arguments: &Arguments, examples: usize) -> Self {
        let pass = examples.div_ceil(arguments.batch_size.max(1));
        let steps_per_epoch = arguments.steps_per_epoch.unwrap_or(pass).max(1);
        match arguments.steps {
            Some(steps) => {
                let steps_per_epoch = steps_per_epoch.min(steps.max(1));
                Self { epochs: steps.div_ceil(steps_per_epoch), steps_per_epoch, steps }
            }
            None => {
                let epochs = arguments.epochs.unwrap_or(1);
                Self { epochs, steps_per_epoch, steps: epochs.saturating_mul(steps_per_epoch) }
            }
        }
    }
}

fn compile(model: &mut Gpt2CausalLm, arguments: &Arguments, plan: Plan) -> anyhow::Result<()> {
    let optimizer = optimizers::get(&arguments.optimizer)?;
    let named = arguments.optimizer.contains("learning_rate=");
    ensure!(
        !named || arguments.learning_rate.is_none(),
        "the learning rate is given twice: by --learning-rate and by --optimizer"
    );
    let rate = if named { optimizer.learning_rate() } else { 2e-5 };
    let rate = arguments.learning_rate.unwrap_or(rate);
    let schedule = LearningRate::from_text_for_steps(&arguments.schedule, rate, plan.steps)?;
    let optimizer = optimizer.with_learning_rate(schedule);
    let precision = match arguments.precision {
        PrecisionName::Float32 => Precision::Float32,
        PrecisionName::MixedBfloat16 => Precision::MixedBfloat16,
        PrecisionName::MixedFloat16 => Precision::MixedFloat16,
    };
    let options = CompileOptions::new()
        .with_optimizer(optimizer)
        .with_weighted_metrics([Metric::SparseCategoricalAccuracy, Metric::Perplexity])
        .with_gradient_checkpointing(arguments.gradient_checkpointing)
        .with_precision(precision);
    Ok(model.compile(options)?)
}

fn fit<'a>(
    model: &mut Gpt2CausalLm,
    training: PackedDataset,
    validation: Option<&'a dyn Dataset>,
    arguments: &Arguments,
    plan: Plan,
    steps: &'a mut StepHistory,
    checkpoint: &'a mut CheckpointFolder,
) -> anyhow::Result<History> {
    let mut log = JsonlLogger::new(open_log(arguments, checkpoint.path().exists())?);
    let mut progress = ProgressBar::new();
    let total = plan.steps as u64;
    let mut end = LambdaCallback::new().with_on_train_batch_end(move |_, _, trainer| {
        if trainer.model().optimizer().iterations() >= total {
            trainer.stop_training();
        }
        Ok(())
    });
    let mut stopping = arguments.early_stopping.map(|patience| {
        EarlyStopping::new("val_loss").with_patience(patience).with_restore_best_weights(true)
    });
    let mut options = FitOptions::new()
        .with_batch_size(arguments.batch_size)
        .with_epochs(plan.epochs)
        .with_steps_per_epoch(plan.steps_per_epoch)
        .with_seed(arguments.seed)
        .with_callback(&mut end)
        .with_callback(&mut progress)
        .with_callback(steps)
        .with_callback(&mut log);
    if let Some(validation) = validation {
        options = options.with_validation_data(TrainingData::dataset(validation));
    }
    if let Some(stopping) = &mut stopping {
        options = options.with_callback(stopping as &mut dyn Callback);
    }
    options =
        options.with_backup(checkpoint, Some(arguments.save_every)).with_delete_checkpoint(false);
    Ok(model.fit(TrainingData::dataset(training), options)?)
}

/// Opens the log, to go on with it where the training was interrupted.
fn open_log(arguments: &Arguments, resumed: bool) -> anyhow::Result<File> {
    let path = arguments.output.join("training/log.jsonl");
    let mut open = OpenOptions::new();
    let log = open.create(true).write(true).append(resumed).truncate(!resumed).open(&path);
    log.with_context(|| format!("opening {}", path.display()))
}

fn report(
    arguments: &Arguments,
    context: &Context,
    model: &Gpt2CausalLm,
    history: &History,
    validation: Option<&PackedDataset>,
    begin: Instant,
) -> anyhow::Result<()> {
    let mut object = json!({
        "output": arguments.output,
        "epoch": history.epoch,
        "history": history.history.iter().map(|(name, values)| (name.clone(), json!(values))).collect::<Map<String, Value>>(),
        "steps": model.optimizer().iterations(),
        "seconds": begin.elapsed().as_secs_f64(),
    });
    if let Some(data) = validation {
        let Evaluation { loss, bits_per_byte, .. } = evaluate(model, data, arguments.batch_size)?;
        object["val_loss"] = loss.into();
        object["val_bits_per_byte"] = bits_per_byte.into();
    }
    if context.json {
        context.print_json(object)?;
    } else {
        if let Some(bits) = object["val_bits_per_byte"].as_f64() {
            let loss = object["val_loss"].as_f64().unwrap_or_default();
            context.note(format_args!("validation: {loss:.4} nats a token, {bits:.4} bits a byte"));
        }
        context.print(arguments.output.display())?;
    }
    Ok(())
}
