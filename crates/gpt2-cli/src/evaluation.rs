//! Loss of a model on texts.

use anyhow::Context as _;
use gpt2_presets::PackedDataset;
use gpt2_task::{Dataset, Gpt2CausalLm, TaskError, TrainingBatch, TrainingData};

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

/// Examples of which each is reported when it is read.
struct Reported<'a> {
    data: &'a PackedDataset,
    on_examples: &'a (dyn Fn(usize) + Send + Sync),
}

impl Dataset for Reported<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        (self.on_examples)(indices.len());
        self.data.batch(indices)
    }
}

/// Evaluates a model on all examples, and calls `on_examples` with the number of those of each batch.
///
/// # Errors
///
/// As the data's and the model's methods.
pub fn evaluate(
    model: &Gpt2CausalLm,
    data: &PackedDataset,
    batch_size: usize,
    on_examples: &(dyn Fn(usize) + Send + Sync),
) -> anyhow::Result<Evaluation> {
    let source: &dyn Dataset = &Reported { data, on_examples };
    let logs = model.evaluate(TrainingData::dataset(source), batch_size)?;
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
