//! `gpt2 tokenizer encode`: text to token ids.

use std::io::{self, Read};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::model::{self, DEFAULT_PRESET};

/// Turn text into token ids
#[derive(clap::Args)]
pub struct Arguments {
    /// Texts, printed as a line of ids each [default: standard input as one text]
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Preset or folder with the vocabulary
    #[arg(long, alias = "model", default_value = DEFAULT_PRESET)]
    preset: String,
    /// Print each token next to its id, one a line
    #[arg(long)]
    tokens: bool,
}

/// Prints a line of ids for each text.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let tokenizer = model::tokenizer(&arguments.preset, context)?;
    let mut list = Vec::new();
    for text in texts(&arguments.texts)? {
        let ids = tokenizer.tokenize(&text)?;
        let tokens = ids.iter().map(|&id| Ok(tokenizer.id_to_token(id)?.to_owned()));
        let tokens: Vec<String> = tokens.collect::<anyhow::Result<_>>()?;
        if context.json {
            list.push(json!({"text": text, "token_ids": ids, "tokens": tokens}));
        } else if arguments.tokens {
            for (id, token) in ids.iter().zip(tokens) {
                context.print(format_args!("{id:>6}  {token}"))?;
            }
        } else {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            context.print(ids.join(" "))?;
        }
    }
    if context.json {
        let list: Vec<Value> = list;
        context.print_json(json!({"preset": arguments.preset, "texts": list}))?;
    }
    Ok(Answer::Yes)
}

fn texts(arguments: &[String]) -> anyhow::Result<Vec<String>> {
    if !arguments.is_empty() && arguments != ["-"] {
        return Ok(arguments.to_vec());
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(vec![text])
}
