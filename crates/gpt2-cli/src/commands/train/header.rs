//! Summary of a training before it starts.

use gpt2_backbone::visit_tensors;
use gpt2_task::{Dataset, Gpt2CausalLm};
use indicatif::HumanCount;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::data::Data;
use super::plan::Plan;
use crate::values::counted;

/// Sizes of a training.
pub(super) struct Header {
    parameters: usize,
    trainable: usize,
    tokens: u64,
    examples: usize,
    sequence_length: usize,
    validation_tokens: Option<u64>,
}

impl Header {
    pub(super) fn new(model: &Gpt2CausalLm, data: &Data) -> Self {
        let (mut parameters, mut trainable) = (0, 0);
        visit_tensors(model.backbone(), |_, parameter| {
            let count = parameter.shape.iter().product::<usize>();
            parameters += count;
            trainable += if parameter.trainable { count } else { 0 };
        });
        Self {
            parameters,
            trainable,
            tokens: data.training.shards().token_count(),
            examples: data.training.len(),
            sequence_length: data.training.sequence_length(),
            validation_tokens: data.validation.as_ref().map(|data| data.shards().token_count()),
        }
    }

    /// Lines of the summary.
    pub(super) fn lines(&self, arguments: &Arguments, plan: Plan) -> Vec<String> {
        let lora = arguments.lora_rank.map(|rank| format!(" (LoRA of rank {rank})"));
        let validation = self.validation_tokens;
        let validation =
            validation.map(|count| format!("; validation: {}", counted(count, "token")));
        let batch = arguments.batch_size.min(self.examples);
        vec![
            format!(
                "model:  {}, {} trainable{}",
                counted(self.parameters as u64, "parameter"),
                HumanCount(self.trainable as u64),
                lora.unwrap_or_default()
            ),
            format!(
                "data:   {}, {} of {}{}",
                counted(self.tokens, "token"),
                counted(self.examples as u64, "example"),
                counted(self.sequence_length as u64, "token"),
                validation.unwrap_or_default()
            ),
            format!(
                "steps:  {} in {}, {} a step",
                HumanCount(plan.steps as u64),
                counted(plan.epochs as u64, "epoch"),
                counted(batch as u64, "example"),
            ),
            format!("device: {}", arguments.device),
            format!("output: {}", arguments.output.display()),
        ]
    }

    /// Keys of the JSON result.
    pub(super) fn json(&self) -> Value {
        json!({
            "parameters": self.parameters,
            "trainable_parameters": self.trainable,
            "tokens": self.tokens,
            "examples": self.examples,
        })
    }
}
