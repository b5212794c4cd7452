//! Embedding of positions.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use crate::parameter::{Initializer, ParameterReader, ParameterSource};

/// One learned vector a position, independent of the padding mask
/// (`keras_hub/src/layers/modeling/position_embedding.py`).
#[derive(Module, Debug)]
pub struct PositionEmbedding {
    /// `[max_sequence_length, hidden_dim]`.
    pub position_embeddings: Param<Tensor<2>>,
}

impl PositionEmbedding {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        max_sequence_length: usize,
        hidden_dim: usize,
    ) -> Result<Self, S::Error> {
        let normal = Initializer::Normal { stddev: 0.02 };
        let shape = [max_sequence_length, hidden_dim];
        Ok(Self { position_embeddings: reader.parameter("position_embeddings", shape, normal)? })
    }

    /// Vectors of `length` positions from `start` on. The table must have them.
    ///
    /// # Shapes
    ///
    /// `[1, length, hidden_dim]`, to be added to every row of a batch.
    pub fn forward(&self, start: usize, length: usize) -> Tensor<3> {
        let positions = self.position_embeddings.val();
        positions.slice(s![start..start + length, ..]).unsqueeze_dim(0)
    }
}
