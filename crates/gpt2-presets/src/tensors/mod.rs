//! Tensors in files: element types, parts of tensors, and readers and writers of each container.

pub(crate) mod blocks;
pub(crate) mod element_type;
pub(crate) mod float_reader;
pub(crate) mod float_writer;
pub(crate) mod hdf5;
pub(crate) mod named_tensor;
pub(crate) mod pytorch;
pub(crate) mod rounding;
pub(crate) mod safetensors;
pub(crate) mod search;
pub(crate) mod tensor_part;
pub(crate) mod weights_file;
