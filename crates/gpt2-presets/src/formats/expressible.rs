//! Settings that a format does not support.

use std::fmt::Debug;

use gpt2_tokenizer::Gpt2TokenizerConfig;

use crate::error::PresetError;

/// A setting: its name, its value, and the only value that the format supports.
pub(crate) type Setting<'a> = (&'static str, &'a dyn Debug, &'a dyn Debug);

/// Returns an error for the first setting with a value that `format` does not support.
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

/// Returns an error for tokenizer options that no tokenizer file stores: after loading, the same
/// text would have other ids, or unsafe text would be accepted.
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

/// Truncated text of a list, which may have any length.
fn shortened(mut text: String) -> String {
    const SHOWN: usize = 200;
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
