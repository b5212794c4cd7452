//! Settings that a format has no place for, so that no loader could know them.

use std::fmt::Debug;

use gpt2_tokenizer::Gpt2TokenizerConfig;

use crate::error::PresetError;

/// A setting: its name, its value, and the only value that the format stands for.
pub(crate) type Setting<'a> = (&'static str, &'a dyn Debug, &'a dyn Debug);

/// Refuses the first setting that differs from what `format` stands for.
pub(crate) fn check_settings(
    format: &'static str,
    settings: &[Setting<'_>],
    remedy: &'static str,
) -> Result<(), PresetError> {
    for (setting, found, expected) in settings {
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
        if found != expected {
            let found = shortened(found);
            return Err(PresetError::Inexpressible { format, setting, found, expected, remedy });
        }
    }
    Ok(())
}

/// Refuses the options that the files of no tokenizer hold: after loading, the same text would
/// have other ids, or an unsafe one would pass.
pub(crate) fn check_tokenizer_options(
    format: &'static str,
    config: &Gpt2TokenizerConfig,
) -> Result<(), PresetError> {
    let fixed = Gpt2TokenizerConfig::new();
    check_settings(
        format,
        &[
            ("split", &config.split, &fixed.split),
            ("special_text", &config.special_text, &fixed.special_text),
            ("unknown", &config.unknown, &fixed.unknown),
        ],
        "save it under its default, by `Gpt2Tokenizer::with_config`, and set it again after loading",
    )
}

/// The beginning of what may be a list of any length.
fn shortened(mut text: String) -> String {
    const SHOWN: usize = 200;
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
