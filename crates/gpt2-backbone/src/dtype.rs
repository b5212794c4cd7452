//! Float types of weights.

use std::fmt;
use std::str::FromStr;

use burn::tensor::DType;

use crate::error::BackboneError;

/// Float type in which weights are loaded, computed with, saved or exported. Values are rounded to
/// the nearest, ties to even. Default: 32 bits.
///
/// ```
/// use gpt2_backbone::WeightDtype;
///
/// assert_eq!("bf16".parse(), Ok(WeightDtype::Bf16));
/// assert_eq!("bfloat16".parse(), Ok(WeightDtype::Bf16));
/// assert_eq!(WeightDtype::Bf16.to_string(), "bfloat16");
/// ```
// Exhaustive: every file format says how it stores each type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WeightDtype {
    /// 32-bit floats, the model's own type.
    #[default]
    F32,
    /// float16: up to 65504, with 11 significant bits.
    F16,
    /// bfloat16: nearly the range of 32-bit floats, with 8 significant bits.
    Bf16,
}

impl WeightDtype {
    /// All types with the names that are parsed; the first name is printed.
    const NAMES: [(Self, [&str; 2]); 3] = [
        (Self::F32, ["float32", "f32"]),
        (Self::F16, ["float16", "f16"]),
        (Self::Bf16, ["bfloat16", "bf16"]),
    ];

    /// Name in Keras and the transformers library: `float32`, `float16` or `bfloat16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// burn's float type.
    pub fn tensor(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        self.tensor().size()
    }
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for WeightDtype {
    type Err = BackboneError;

    fn from_str(name: &str) -> Result<Self, BackboneError> {
        let known = Self::NAMES.iter().find(|(_, names)| names.contains(&name));
        let unknown = || BackboneError::UnknownFloatType { found: name.to_owned() };
        known.map(|(dtype, _)| *dtype).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_parsed_and_one_is_printed() {
        for (dtype, [long, short]) in WeightDtype::NAMES {
            assert_eq!(dtype.to_string(), long);
            assert_eq!(long.parse(), Ok(dtype));
            assert_eq!(short.parse(), Ok(dtype));
        }
        assert_eq!([WeightDtype::F32, WeightDtype::Bf16].map(WeightDtype::size), [4, 2]);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        for name in ["float8", "F32", "", "float32 "] {
            let message = name.parse::<WeightDtype>().unwrap_err().to_string();
            for (_, [long, short]) in WeightDtype::NAMES {
                assert!(message.contains(long) && message.contains(short), "{message}");
            }
            assert!(message.contains(&format!("`{name}`")), "{message}");
        }
    }
}
