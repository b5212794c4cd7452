//! Tensors in files: element types, parts, readers and writers of each container.

pub(crate) mod blocks;
pub(crate) mod float_reader;
pub(crate) mod float_writer;
pub(crate) mod hdf5;
pub(crate) mod named_tensor;
pub(crate) mod part;
pub(crate) mod pytorch;
pub(crate) mod safetensors;
pub(crate) mod weight_dtype;
