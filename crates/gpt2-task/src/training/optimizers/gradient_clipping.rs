//! Gradients that are too large, made smaller.

use burn::tensor::Tensor;
use gpt2_backbone::ParameterGradients;
use gpt2_kernels::{scale, square_sum};
use serde::{Deserialize, Serialize};

/// Which of Keras' ways of clipping is used. Keras looks at them in this order and takes the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GradientClipping {
    /// The largest norm of each variable's gradient.
    ClipNorm(f64),
    /// The largest norm of all gradients together.
    GlobalClipNorm(f64),
    /// The largest magnitude of an element.
    ClipValue(f64),
}

impl GradientClipping {
    /// The bound.
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
                // Not finite if the norm is not: all gradients are lost then, as in Keras.
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

/// The norm of all gradients together, one number on their device; none without gradients.
pub(crate) fn global_norm(gradients: &ParameterGradients) -> Option<Tensor<1>> {
    let squares: Vec<_> = gradients.values().cloned().map(square_sum).collect();
    (!squares.is_empty()).then(|| Tensor::cat(squares, 0).sum().sqrt())
}
