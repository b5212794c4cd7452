//! The operations, each in a folder of its own.

pub(crate) mod adam;
pub(crate) mod attention;
pub(crate) mod choice;
pub(crate) mod column_sums;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod reverse_embedding;
