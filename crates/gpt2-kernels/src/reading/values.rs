//! Values of a read that is under way.

use std::pin::Pin;

use burn::tensor::{ExecutionError, TensorData};

/// Future of a tensor's values.
pub(super) type Values = Pin<Box<dyn Future<Output = Result<TensorData, ExecutionError>> + Send>>;
