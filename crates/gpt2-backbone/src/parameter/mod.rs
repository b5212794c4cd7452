//! Parameters: their sources, and walks over those of a module.

mod source;
mod walk;

pub use source::{Initializer, ParameterSource, ParameterSpec, RandomParameters};
pub(crate) use source::{ParameterReader, uniform};
pub use walk::{
    ParameterGradients, ParameterView, try_update_parameters, update_parameters, visit_parameters,
    visit_tensors,
};
pub(crate) use walk::{ParameterMapper, ParameterVisitor, has_trainable, is_trainable, map, visit};
