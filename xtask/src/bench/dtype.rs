//! Float type that all runners compute in.

use burn::tensor::{DType, FloatDType};
use clap::ValueEnum;
use gpt2_presets::WeightDtype;
use gpt2_task::Precision;

/// A float type. For generation weights, activations and cache have it; in training products
/// and activations do, and weights are 32-bit floats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// 32-bit floats, in full: no TF32
    #[default]
    Float32,
    /// 16-bit floats of IEEE
    Float16,
    /// 32-bit floats without their lower half
    Bfloat16,
}

impl Dtype {
    /// The name that Keras and torch have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        self.tensor().size()
    }

    /// Type that a model is loaded in to generate.
    pub fn weights(self) -> WeightDtype {
        match self {
            Self::Float32 => WeightDtype::F32,
            Self::Float16 => WeightDtype::F16,
            Self::Bfloat16 => WeightDtype::Bf16,
        }
    }

    /// Precision that a model is compiled with to train.
    pub fn precision(self) -> Precision {
        match self {
            Self::Float32 => Precision::Float32,
            Self::Float16 => Precision::MixedFloat16,
            Self::Bfloat16 => Precision::MixedBfloat16,
        }
    }

    /// burn's type.
    pub fn tensor(self) -> DType {
        FloatDType::from(self).into()
    }
}

impl From<Dtype> for FloatDType {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float32 => Self::F32,
            Dtype::Float16 => Self::F16,
            Dtype::Bfloat16 => Self::BF16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_are_asked_for() {
        for dtype in Dtype::value_variants() {
            assert_eq!(Dtype::from_str(dtype.name(), false).as_ref(), Ok(dtype));
        }
        assert_eq!((Dtype::Float32.size(), Dtype::Bfloat16.size()), (4, 2));
    }
}
