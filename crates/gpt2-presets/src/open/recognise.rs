//! Recognition of a preset's format from its files.

use std::sync::Arc;

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig};

use crate::error::PresetError;
use crate::formats::FORMATS;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::format::{LoneTokenizer, OpenedPreset};
use crate::formats::tables::{ASSETS, missing_tokenizer, tokenizer_of_tables};
use crate::open::incomplete::incomplete;
use crate::source::json_object::read_object;
use crate::source::preset_folder::PresetFolder;

/// Opens a preset in the first format that recognises it. `preset` is its name in messages.
pub(crate) fn open_folder(
    folder: &Arc<dyn PresetFolder>,
    preset: &str,
) -> Result<Arc<dyn OpenedPreset>, PresetError> {
    let has_config = folder.fetch(CONFIG_FILE)?;
    let config = has_config.then(|| read_object(&**folder, CONFIG_FILE)).transpose()?;
    for format in FORMATS {
        if let Some(opened) = format.open(folder, preset, config.as_ref())? {
            return Ok(opened);
        }
    }
    Err(match config {
        None => match incomplete(&**folder, preset)? {
            Some(error) => error,
            None => PresetError::MissingFile {
                preset: preset.to_owned(),
                file: CONFIG_FILE.to_owned(),
                remedy: "make sure that the directory or handle is that of a preset and that you \
                         may read it",
            },
        },
        Some(config) => {
            let keys: Vec<_> = FORMATS.iter().filter_map(|format| format.config_key()).collect();
            let (preset, found) = (preset.to_owned(), config.keys().take(10).cloned().collect());
            PresetError::UnrecognizedFormat { preset, expected: keys.join(" or "), found }
        }
    })
}

/// A preset, or a tokenizer that was saved without a model.
pub(crate) enum PresetOrTokenizer {
    Preset(Arc<dyn OpenedPreset>),
    Tokenizer(Gpt2Tokenizer),
}

/// Opens a preset, or reads the tokenizer of a folder or file with nothing else, in any format or
/// as `save_assets` writes it.
pub(crate) fn preset_or_tokenizer(
    folder: &Arc<dyn PresetFolder>,
    preset: &str,
) -> Result<PresetOrTokenizer, PresetError> {
    let lone: Vec<_> = FORMATS.iter().filter_map(|format| format.lone_tokenizer()).collect();
    let readers: Vec<_> =
        lone.iter().flat_map(|it| it.recognised_by.iter().map(|_| it.read)).collect();
    let choices: Vec<&[&str]> = [&[CONFIG_FILE][..]]
        .into_iter()
        .chain(lone.iter().flat_map(|it| it.recognised_by.iter().copied()))
        .chain([&ASSETS[..]])
        .collect();
    let found = folder.fetch_first_of(&choices)?;
    if found == Some(0) {
        return open_folder(folder, preset).map(PresetOrTokenizer::Preset);
    }
    for format in FORMATS {
        if let Some(opened) = format.open(folder, preset, None)? {
            return Ok(if opened.has_model() {
                PresetOrTokenizer::Preset(opened)
            } else {
                PresetOrTokenizer::Tokenizer(opened.tokenizer()?)
            });
        }
    }
    let Some(choice) = found else {
        let error = incomplete(&**folder, preset)?;
        return Err(error.unwrap_or_else(|| missing_tokenizer(preset, &all_names(&lone))));
    };
    match readers.get(choice - 1) {
        Some(read) => read(&**folder, preset),
        None => tokenizer_of_tables(&**folder, ASSETS.into(), Gpt2TokenizerConfig::new()),
    }
    .map(PresetOrTokenizer::Tokenizer)
}

/// Files of which at least one must exist, for a message.
fn all_names(lone: &[LoneTokenizer]) -> String {
    let of_formats = lone.iter().map(|it| it.recognised_by[0][0]);
    let names: Vec<_> = [CONFIG_FILE].into_iter().chain(of_formats).chain([ASSETS[0]]).collect();
    names.join("`, `")
}
