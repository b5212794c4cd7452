//! `gpt2 score`: log probabilities of texts, token by token.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context as _, bail, ensure};
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::model::ModelArguments;
use crate::values::counted;

const EXAMPLES: &str = "\
Examples:
  gpt2 score \"ROMEO: O Juliet\"
  gpt2 score --tokens \"to be or not to be\"
  gpt2 score --json - < poem.txt

A text longer than the model's positions needs gpt2 eval.";

/// Score texts: log probability, loss and perplexity
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Texts; `-` is standard input as one text
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArguments,
    /// Print every token with its log probability
    #[arg(long, help_heading = "Output")]
    tokens: bool,
}

/// Scores of one text.
struct Score {
    text: String,
    token_ids: Vec<TokenId>,
    tokens: Vec<String>,
    log_probabilities: Vec<f64>,
}

impl Score {
    fn log_probability(&self) -> f64 {
        self.log_probabilities.iter().sum()
    }

    /// Loss in nats a token.
    fn loss(&self) -> f64 {
        -self.log_probability() / self.log_probabilities.len() as f64
    }

    fn bits_per_byte(&self) -> f64 {
        -self.log_probability() / self.text.len() as f64 / std::f64::consts::LN_2
    }

    fn object(&self) -> Value {
        json!({
            "text": self.text,
            "log_probability": self.log_probability(),
            "loss": self.loss(),
            "perplexity": self.loss().exp(),
            "bits_per_byte": self.bits_per_byte(),
            "token_ids": self.token_ids,
            "tokens": self.tokens,
            "log_probabilities": self.log_probabilities,
        })
    }
}

/// Scores and prints.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let texts = read(&arguments.texts)?;
    let model = arguments.model.load(context)?;
    let scores: Vec<Score> =
        texts.into_iter().map(|text| score(&model, text)).collect::<anyhow::Result<_>>()?;
    if context.json {
        let list: Vec<Value> = scores.iter().map(Score::object).collect();
        context.print_json(json!({"preset": arguments.model.preset, "scores": list}))?;
        return Ok(Answer::Yes);
    }
    for one in &scores {
        if arguments.tokens {
            for (token, log_probability) in one.tokens.iter().zip(&one.log_probabilities) {
                context.print(format_args!("{log_probability:>10.4}  {token:?}"))?;
            }
        }
        context.print(format_args!(
            "log probability {:.4}, loss {:.4} nats a token, perplexity {:.4}, {:.4} bits a byte, {}",
            one.log_probability(),
            one.loss(),
            one.loss().exp(),
            one.bits_per_byte(),
            counted(one.token_ids.len() as u64, "token"),
        ))?;
    }
    Ok(Answer::Yes)
}

fn read(texts: &[String]) -> anyhow::Result<Vec<String>> {
    let read = |text: &String| -> anyhow::Result<String> {
        if text != "-" {
            return Ok(text.clone());
        }
        if io::stdin().is_terminal() {
            bail!(
                "`-` reads standard input, which is a terminal; pass the text as an argument, or \
                 add `< FILE`"
            );
        }
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
        Ok(text)
    };
    texts.iter().map(read).collect()
}

/// Scores one text, including its first token, which follows the start token.
fn score(model: &Gpt2CausalLm, text: String) -> anyhow::Result<Score> {
    let tokenizer = model.preprocessor().context("the preset has no tokenizer")?.tokenizer();
    let token_ids = tokenizer.tokenize(&text)?;
    ensure!(!token_ids.is_empty(), "a text to score has no tokens; pass one that is not empty");
    let positions = model.backbone().config().max_sequence_length;
    ensure!(
        token_ids.len() <= positions,
        "a text to score has {} tokens, expected at most {positions}; shorten it, or \
         evaluate it as a file with `gpt2 eval`",
        token_ids.len()
    );
    // Each token is predicted at the position of the previous one.
    let mut input = vec![tokenizer.start_token_id()];
    input.extend(&token_ids[..token_ids.len() - 1]);
    let input = TokenBatch::unpadded(vec![input])?;
    let loss = model.score_loss(&input, std::slice::from_ref(&token_ids))?;
    let loss: Vec<f32> = loss.try_into_vec_as().context("cannot read the result")?;
    let tokens = token_ids
        .iter()
        .map(|&id| Ok(String::from_utf8_lossy(&tokenizer.decode_bytes(&[id])?).into_owned()));
    Ok(Score {
        tokens: tokens.collect::<anyhow::Result<_>>()?,
        log_probabilities: loss.into_iter().map(|loss| -f64::from(loss)).collect(),
        token_ids,
        text,
    })
}
