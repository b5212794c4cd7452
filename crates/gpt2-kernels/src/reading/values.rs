//! Values that arrive later.

use std::pin::Pin;

use burn::tensor::{ExecutionError, TensorData};

/// A tensor's values, when they have arrived.
pub(super) type Values = Pin<Box<dyn Future<Output = Result<TensorData, ExecutionError>> + Send>>;
