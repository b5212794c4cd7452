//! Names of the formats.

use std::fmt;
use std::str::FromStr;

use crate::error::PresetError;

/// Format of a preset.
///
/// ```
/// use gpt2_presets::PresetFormat;
///
/// assert_eq!("gguf".parse::<PresetFormat>()?, PresetFormat::Gguf);
/// assert_eq!(PresetFormat::Keras.to_string(), "keras");
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PresetFormat {
    /// KerasHub: `model.weights.h5`, `assets/tokenizer/`.
    Keras,
    /// The transformers library: `model.safetensors`, `vocab.json`, `merges.txt`.
    Transformers,
    /// llama.cpp: one `.gguf` file.
    Gguf,
}

impl PresetFormat {
    const ALL: [Self; 3] = [Self::Keras, Self::Transformers, Self::Gguf];

    /// Name: `keras`, `transformers` or `gguf`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::Transformers => "transformers",
            Self::Gguf => "gguf",
        }
    }
}

impl fmt::Display for PresetFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for PresetFormat {
    type Err = PresetError;

    fn from_str(name: &str) -> Result<Self, PresetError> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| PresetError::UnknownFormat { found: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_others_are_refused() {
        for format in PresetFormat::ALL {
            assert_eq!(format.to_string().parse::<PresetFormat>().unwrap(), format);
        }
        let message = "onnx".parse::<PresetFormat>().unwrap_err().to_string();
        assert!(message.contains("`onnx`") && message.contains("`keras`"), "{message}");
    }
}
