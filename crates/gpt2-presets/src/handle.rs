//! Stage 1: the text that a user passes to the place where the files are.

use std::path::{Path, PathBuf};

use crate::PresetError;
use crate::builtin::presets;

/// Where a preset's files are.
#[derive(Debug, PartialEq)]
pub(crate) enum Location {
    /// Inside this library.
    Bundled,
    /// In this folder.
    Folder(PathBuf),
}

/// Schemes of the hubs that KerasHub downloads from.
const REMOTE_SCHEMES: [&str; 4] = ["kaggle", "hf", "modelscope", "gs"];

/// Resolves a built-in name, a `file://` URL or a path.
pub(crate) fn locate(preset: &str) -> Result<Location, PresetError> {
    if let Some(info) = presets().iter().find(|info| info.name == preset) {
        return match info.handle {
            Some(handle) => Err(download(preset, handle)),
            None => Ok(Location::Bundled),
        };
    }
    let path = match preset.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => Path::new(rest),
        Some((scheme, _)) if REMOTE_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            return Err(download(preset, preset));
        }
        Some(_) => return Err(unknown(preset)),
        None => Path::new(preset),
    };
    if path.is_dir() {
        Ok(Location::Folder(path.into()))
    } else if path.exists() {
        Err(PresetError::NotADirectory { path: path.into() })
    } else {
        Err(unknown(preset))
    }
}

fn download(preset: &str, handle: &str) -> PresetError {
    PresetError::DownloadUnsupported { preset: preset.to_owned(), handle: handle.to_owned() }
}

fn unknown(preset: &str) -> PresetError {
    let builtin = presets().iter().map(|info| info.name).collect();
    PresetError::UnknownPreset { received: preset.to_owned(), builtin }
}
