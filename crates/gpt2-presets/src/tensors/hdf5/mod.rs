//! HDF5, the container of Keras' weights.

pub(crate) mod file;
pub(crate) mod writer;
