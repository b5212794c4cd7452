//! `gpt2 tokenizer decode`: token ids to text.

use std::io::{self, Read, Write};

use anyhow::{Context as _, bail};
use gpt2_task::TokenId;
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::model::{self, DEFAULT_PRESET};

/// Turn token ids into text
#[derive(clap::Args)]
pub struct Arguments {
    /// Ids, separated by spaces or commas [default: those on standard input]
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Preset or folder with the vocabulary
    #[arg(long, alias = "model", default_value = DEFAULT_PRESET)]
    preset: String,
}

/// Prints the text of all ids.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let ids = ids(&arguments.ids)?;
    let tokenizer = model::tokenizer(&arguments.preset, context)?;
    let bytes = tokenizer.decode_bytes(&ids)?;
    if context.json {
        let text = String::from_utf8_lossy(&bytes);
        context.print_json(json!({"preset": arguments.preset, "token_ids": ids, "text": text}))?;
        return Ok(Answer::Yes);
    }
    // The exact bytes, even if the ids end within a character.
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    if !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(Answer::Yes)
}

fn ids(arguments: &[String]) -> anyhow::Result<Vec<TokenId>> {
    let mut text = arguments.join(" ");
    if text.is_empty() || text == "-" {
        text.clear();
        io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    }
    let is_separator = |character: char| character.is_whitespace() || "[],".contains(character);
    let words = text.split(is_separator).filter(|word| !word.is_empty());
    let parse = |word: &str| match word.parse() {
        Ok(id) => Ok(id),
        Err(_) => bail!("`{word}` is not a token id; pass whole numbers"),
    };
    words.map(parse).collect()
}
