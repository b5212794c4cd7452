//! Report on the tensors of a loaded checkpoint.

/// Use of each tensor of a checkpoint, by its name in the files.
///
/// A missing or unknown tensor is an error instead:
/// [`PresetError::IncompleteWeights`](crate::PresetError::IncompleteWeights).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Tensors used by the model, in the order of their canonical names.
    pub applied: Vec<String>,
    /// Known tensors that are not needed: masks, states of random generators and optimizers, and an
    /// output layer that repeats the token embedding.
    pub skipped: Vec<String>,
}
