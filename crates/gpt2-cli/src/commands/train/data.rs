//! Conversion of files to examples.

use std::path::PathBuf;

use anyhow::Context as _;
use gpt2_presets::{
    PackedDataset, TokenizeOptions, TrainingDataOptions, open_training_data, progress_bars,
};
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::{Gpt2Tokenizer, UnknownBytes};

use super::arguments::{Arguments, Unknown};
use super::folder::OutputFolder;
use crate::context::Context;

/// Examples of a training and of its validation.
pub(super) struct Data {
    pub(super) training: PackedDataset,
    pub(super) validation: Option<PackedDataset>,
}

impl Data {
    /// Opens the files. Texts are tokenized once, with a progress bar if standard error is a
    /// terminal.
    pub(super) fn open(
        arguments: &Arguments,
        model: &Gpt2CausalLm,
        folder: &OutputFolder,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let preprocessor = model.preprocessor().context("the model has a tokenizer")?;
        let tokenizer = tokenizer(arguments, preprocessor.tokenizer())?;
        let mut tokenize = TokenizeOptions::new(folder.file("tokens"));
        if !context.quiet {
            tokenize = tokenize.with_on_progress(progress_bars::tokenizing());
        }
        let mut options = TrainingDataOptions::new(preprocessor.sequence_length(), tokenize);
        if let Some(key) = &arguments.text_key {
            options = options.with_text_key(key);
        }
        let open = |paths: &[PathBuf], options: &TrainingDataOptions, name: &str| {
            open_training_data(paths, &tokenizer, options)
                .with_context(|| format!("cannot open the {name} data"))
        };
        let validation = match arguments.validation.as_slice() {
            [] => None,
            paths => Some(open(paths, &options, "validation")?),
        };
        if let Some(stride) = arguments.stride {
            options = options.with_stride(stride);
        }
        Ok(Self { training: open(&arguments.train, &options, "training")?, validation })
    }
}

/// Tokenizer for the files. The preset keeps its own.
fn tokenizer(arguments: &Arguments, tokenizer: &Gpt2Tokenizer) -> anyhow::Result<Gpt2Tokenizer> {
    match arguments.unknown {
        Unknown::Error => Ok(tokenizer.clone()),
        Unknown::Drop => {
            let config = tokenizer.config().clone().with_unknown(UnknownBytes::Drop);
            Ok(tokenizer.with_config(config)?)
        }
    }
}
