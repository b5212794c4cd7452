//! Loss of a model on texts.

use anyhow::Context as _;
use gpt2_presets::PackedDataset;
use gpt2_task::{Dataset, Gpt2CausalLm, TrainingData};

/// Loss of a model on texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy in nats a token.
    pub loss: f64,
    /// Loss in bits a byte of text, which does not depend on the vocabulary.
    pub bits_per_byte: f64,
    /// Number of tokens that were predicted.
    pub tokens: usize,
    /// Size of the predicted tokens' text in bytes. Tokens that separate documents have none.
    pub bytes: usize,
}

impl Evaluation {
    /// Exponential of the loss.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }
}

/// Evaluates a model on all examples.
///
/// # Errors
///
/// As the data's and the model's methods.
pub fn evaluate(
    model: &Gpt2CausalLm,
    data: &PackedDataset,
    batch_size: usize,
) -> anyhow::Result<Evaluation> {
    let source: &dyn Dataset = data;
    let logs = model.evaluate(TrainingData::dataset(source), batch_size, None)?;
    let loss = logs.get("loss").context("an evaluation has a loss")?;
    let tokenizer = model.preprocessor().context("the model has a tokenizer")?.tokenizer();
    let (mut tokens, mut bytes) = (0, 0);
    for index in 0..data.len() {
        let targets = data.batch(&[index])?.y.concat();
        tokens += targets.len();
        // Tokens that separate documents have no text.
        let text = targets.into_iter().filter(|&id| id != tokenizer.end_token_id());
        bytes += tokenizer.decode_bytes(&text.collect::<Vec<_>>())?.len();
    }
    let nats = loss * tokens as f64;
    let bits_per_byte = nats / bytes as f64 / std::f64::consts::LN_2;
    Ok(Evaluation { loss, bits_per_byte, tokens, bytes })
}
