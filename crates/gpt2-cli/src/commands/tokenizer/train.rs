//! `gpt2 tokenizer train`: a vocabulary from text.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use gpt2_presets::{Corpus, Save};
use gpt2_tokenizer::TokenizerTrainer;
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::values::text_path;

/// Train a byte-level BPE vocabulary, as GPT-2's
#[derive(clap::Args)]
pub struct Arguments {
    /// Text files, `.jsonl` files, or folders of them
    #[arg(required = true, value_parser = text_path(), value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Maximum number of tokens: 256 bytes, merges, and `<|endoftext|>`
    #[arg(long, value_name = "N")]
    vocabulary_size: usize,
    /// Minimum number of occurrences for a pair of tokens to be merged
    #[arg(long, default_value_t = 2, value_name = "N")]
    min_frequency: u64,
    /// Key of the text in the objects of `.jsonl` files
    #[arg(long, default_value = "text", value_name = "KEY")]
    text_key: String,
    /// Folder to write, in transformers' format: `vocab.json`, `merges.txt`, `tokenizer.json`
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an existing vocabulary in the folder
    #[arg(long)]
    force: bool,
}

/// Counts words, learns merges, and writes the files.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let Arguments { files, vocabulary_size, min_frequency, text_key, output, force } = arguments;
    if output.join("vocab.json").exists() && !force {
        bail!(
            "cannot write to {}: it has a vocabulary already; pass --force to replace it",
            output.display()
        );
    }
    let trainer = TokenizerTrainer::new(*vocabulary_size)?;
    let mut trainer = trainer.with_min_frequency(*min_frequency);
    let corpus = Corpus::open(files)?.with_text_key(text_key);
    for part in corpus.document_parts() {
        trainer.feed(&part?);
    }
    let tokenizer = trainer.train().context("cannot learn the vocabulary")?;
    tokenizer.export_to_transformers(output)?;
    let (tokens, merges) = (tokenizer.vocabulary_size(), tokenizer.merges().len());
    if context.json {
        context.print_json(json!({"output": output, "tokens": tokens, "merges": merges}))?;
        return Ok(Answer::Yes);
    }
    let path = output.display();
    context.print(format_args!("{tokens} tokens, {merges} of them merges -> {path}"))?;
    if tokens < *vocabulary_size {
        context.note(format_args!(
            "fewer than {vocabulary_size}: no other pair occurs {min_frequency} times"
        ));
    }
    Ok(Answer::Yes)
}
