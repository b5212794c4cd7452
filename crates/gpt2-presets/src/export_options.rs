//! How a model is exported to the transformers library.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::PresetError;
use crate::weight_map::{Placement, WeightMap};

/// The float type of an exported model's weights. Values are rounded to the nearest, ties to even.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportDtype {
    /// 32-bit floats, as in the model.
    #[default]
    F32,
    /// float16: numbers up to 65504, with 11 significant bits.
    F16,
    /// bfloat16: nearly all 32-bit floats, with 8 significant bits.
    Bf16,
}

/// How [`ExportToTransformers`](crate::ExportToTransformers) saves.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::{ExportDtype, ExportOptions, ExportToTransformers, FromPresetOnDevice};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// let options = ExportOptions::new().with_dtype(ExportDtype::Bf16);
/// model.export_to_transformers_with(folder.path(), &options)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportOptions {
    pub(crate) dtype: ExportDtype,
}

impl ExportOptions {
    /// 32-bit floats.
    pub fn new() -> Self {
        Self::default()
    }

    /// The float type of the weights. `config.json` names it, and transformers 5 loads the model in
    /// it.
    #[must_use]
    pub fn with_dtype(mut self, dtype: ExportDtype) -> Self {
        self.dtype = dtype;
        self
    }
}

impl ExportDtype {
    /// The name that the transformers library has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The safetensors format's type.
    pub(crate) fn safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }

    /// Refuses numbers that this type would make infinite.
    pub(crate) fn check_range(
        self,
        map: &WeightMap,
        placement: &Placement,
        values: &[f32],
    ) -> Result<(), PresetError> {
        match values.iter().position(|value| self.overflows(*value)) {
            None => Ok(()),
            Some(index) => Err(PresetError::Overflow {
                tensor: (map.file_name)(&placement.tensor),
                index: placement.part.index_in_tensor(index, &placement.shape),
                value: values[index],
                dtype: self.name(),
            }),
        }
    }

    /// The bits of the nearest floats of 16 bits: those of a `bfloat16`, or else of a `float16`.
    pub(crate) fn round(self, values: &[f32], bits: &mut [u16]) {
        match self {
            Self::Bf16 => bits.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
            _ => bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
        }
    }

    /// Whether a finite number becomes infinite.
    fn overflows(self, value: f32) -> bool {
        value.is_finite()
            && match self {
                Self::F32 => false,
                Self::F16 => f16::from_f32(value).is_infinite(),
                Self::Bf16 => bf16::from_f32(value).is_infinite(),
            }
    }
}
