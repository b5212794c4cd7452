//! Report on the tensors of a checkpoint that was loaded.

/// Use of each tensor of a checkpoint, by its name in the files.
///
/// A tensor that the model needs and the checkpoint lacks, or the other way round, is an error
/// instead: [`PresetError::IncompleteWeights`](crate::PresetError::IncompleteWeights).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Tensors that are in the model, in the order of their canonical names.
    pub applied: Vec<String>,
    /// Tensors that are known and not needed: masks, states of random generators and optimizers,
    /// and an output layer that repeats the token embedding.
    pub skipped: Vec<String>,
}
