//! Gradient clipping.

use burn::tensor::Tensor;
use gpt2_backbone::ParameterGradients;
use gpt2_kernels::{scale, square_sum};
use serde::{Deserialize, Serialize};

/// Kind of gradient clipping. Keras tests for them in this order and uses the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GradientClipping {
    /// Largest norm of each variable's gradient.
    ClipNorm(f64),
    /// Largest norm of all gradients together.
    GlobalClipNorm(f64),
    /// Largest magnitude of an element.
    ClipValue(f64),
}

impl GradientClipping {
    /// Limit of the norm or magnitude.
    pub(crate) fn bound(self) -> f64 {
        match self {
            Self::ClipNorm(bound) | Self::GlobalClipNorm(bound) | Self::ClipValue(bound) => bound,
        }
    }

    /// Clips all gradients.
    pub(crate) fn apply(self, gradients: &mut ParameterGradients) {
        match self {
            Self::ClipNorm(bound) => {
                for gradient in gradients.values_mut() {
                    gradient.inplace(|gradient| {
                        let norm = square_sum(gradient.clone()).sqrt();
                        gradient * bound / norm.clamp_min(bound)
                    });
                }
            }
            Self::GlobalClipNorm(bound) => {
                let Some(norm) = global_norm(gradients) else { return };
                // A non-finite norm makes the factor, and so all gradients, non-finite, as in
                // Keras.
                let factor =
                    (norm.clone().recip().clamp_max(1.0 / bound) * bound) + (norm.clone() - norm);
                for gradient in gradients.values_mut() {
                    gradient.inplace(|gradient| scale(gradient, factor.clone()));
                }
            }
            Self::ClipValue(bound) => {
                for gradient in gradients.values_mut() {
                    gradient.inplace(|gradient| gradient.clamp(-bound, bound));
                }
            }
        }
    }
}

/// Norm of all gradients together, a scalar on their device. None without gradients.
pub(crate) fn global_norm(gradients: &ParameterGradients) -> Option<Tensor<1>> {
    let squares: Vec<_> = gradients.values().cloned().map(square_sum).collect();
    (!squares.is_empty()).then(|| Tensor::cat(squares, 0).sum().sqrt())
}
