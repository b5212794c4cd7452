//! Token embedding, which also computes the logits.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use crate::parameter::{Initializer, ParameterReader, ParameterSource};
use crate::weight;

/// One learned vector a token, with which the logits are computed too
/// (`keras/src/layers/core/reversible_embedding.py`).
#[derive(Module, Debug)]
pub struct ReversibleEmbedding {
    /// `[vocabulary_size, hidden_dim]`.
    pub embeddings: Param<Tensor<2>>,
    /// `[hidden_dim, vocabulary_size]`, if the logits have weights of their own.
    pub reverse_embeddings: Option<Param<Tensor<2>>>,
}

impl ReversibleEmbedding {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        vocabulary_size: usize,
        hidden_dim: usize,
        tie_weights: bool,
    ) -> Result<Self, S::Error> {
        let normal = Initializer::Normal { stddev: 0.01 };
        let embeddings = reader.parameter("embeddings", [vocabulary_size, hidden_dim], normal)?;
        let reverse_embeddings = if tie_weights {
            None
        } else {
            let shape = [hidden_dim, vocabulary_size];
            Some(reader.parameter("reverse_embeddings", shape, normal)?)
        };
        Ok(Self { embeddings, reverse_embeddings })
    }

    /// Vectors of tokens.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length] -> [batch_size, sequence_length, hidden_dim]`
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        weight::rows(&self.embeddings, token_ids)
    }

    /// Logits of hidden states: `hidden @ embeddings^T`, or `hidden @ reverse_embeddings`.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim] -> [batch_size, sequence_length, vocabulary_size]`
    pub fn reverse(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let [batch_size, sequence_length, _] = hidden_states.dims();
        let rows = hidden_states.flatten(0, 1);
        let logits: Tensor<2> = match &self.reverse_embeddings {
            Some(reverse_embeddings) => weight::product(rows, reverse_embeddings),
            None => weight::head(rows, &self.embeddings),
        };
        let [_, vocabulary_size] = logits.dims();
        logits.reshape([batch_size, sequence_length, vocabulary_size])
    }

    /// Weights that compute the logits.
    pub fn output_weights(&self) -> OutputWeights {
        match &self.reverse_embeddings {
            Some(reverse_embeddings) => OutputWeights {
                path: "token_embedding.reverse_embeddings",
                values: reverse_embeddings.val(),
                tied: false,
            },
            None => OutputWeights {
                path: "token_embedding.embeddings",
                values: self.embeddings.val(),
                tied: true,
            },
        }
    }
}

/// Weights that compute the logits.
#[derive(Debug, Clone)]
pub struct OutputWeights {
    /// Path of the parameter in the model.
    pub path: &'static str,
    /// Values: `[vocabulary_size, hidden_dim]` if tied, else `[hidden_dim, vocabulary_size]`.
    pub values: Tensor<2>,
    /// Whether the weights are the token embedding.
    pub tied: bool,
}
