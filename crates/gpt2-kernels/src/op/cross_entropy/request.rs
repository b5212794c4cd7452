//! Request for a cross-entropy and its gradients.

use burn::backend::DType;

/// Number of logits of a chunk: 64 MiB of 32-bit floats.
const CHUNK_LOGITS: usize = 16 << 20;

/// Request for the cross-entropy of an output layer.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy {
    /// Target token of each row, below `vocabulary_size`.
    pub targets: Vec<u32>,
    /// Whether the table is that of the embeddings, `[vocabulary_size, hidden_dim]`. Else it is
    /// `[hidden_dim, vocabulary_size]`.
    pub tied: bool,
    /// Requested gradients. None: only losses.
    pub gradients: Option<CrossEntropyGradients>,
    /// Float type of the products. None: that of hidden states and table.
    pub compute_dtype: Option<DType>,
}

/// Request for the gradients of a cross-entropy.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropyGradients {
    /// Share of each row's cross-entropy in the loss.
    pub factors: Vec<f32>,
    /// Whether to compute the table's gradient too.
    pub table: bool,
}

impl CrossEntropy {
    /// Number of rows of a chunk; the last chunk may have fewer.
    pub(super) fn chunk_rows(&self, vocabulary_size: usize) -> usize {
        let rows = self.targets.len();
        let most = (CHUNK_LOGITS / vocabulary_size).max(1);
        rows.div_ceil(rows.div_ceil(most)).max(1)
    }
}
