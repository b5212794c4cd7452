//! The request for a cross-entropy and its gradients.

use burn::backend::DType;

/// Logits that exist at a time: 64 MiB of 32-bit floats.
const CHUNK_LOGITS: usize = 16 << 20;

/// Request for the cross-entropy of an output layer.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy {
    /// Target token of each row, below `vocabulary_size`.
    pub targets: Vec<u32>,
    /// Whether the table is `[vocabulary_size, hidden_dim]`, that of the embeddings, and not
    /// `[hidden_dim, vocabulary_size]`.
    pub tied: bool,
    /// Request for the gradients, if they are wanted.
    pub gradients: Option<CrossEntropyGradients>,
    /// Float type of products, if it is not that of hidden states and table.
    pub compute_dtype: Option<DType>,
}

/// Request for the gradients of a cross-entropy.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropyGradients {
    /// Share of each row's cross-entropy in the loss.
    pub factors: Vec<f32>,
    /// Whether the table's gradient is computed too.
    pub table: bool,
}

impl CrossEntropy {
    /// Number of rows whose logits exist together: the same for all chunks but the last.
    pub(super) fn chunk_rows(&self, vocabulary_size: usize) -> usize {
        let rows = self.targets.len();
        let most = (CHUNK_LOGITS / vocabulary_size).max(1);
        rows.div_ceil(rows.div_ceil(most)).max(1)
    }
}
