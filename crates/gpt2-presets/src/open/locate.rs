//! Text that a user passes as a preset, to the place of its files.

use std::path::{Path, PathBuf};

use gpt2_hub::HubHandle;

use crate::error::PresetError;
use crate::open::builtin::presets;

/// Place of a preset's files.
#[derive(Debug, PartialEq)]
pub(crate) enum Location {
    /// This library.
    Bundled,
    /// A folder or a file on the disk.
    Local(PathBuf),
    /// Hubs. All of these handles have the same files; the first is preferred.
    Hub(Vec<HubHandle>),
}

/// Resolves a built-in name, a hub's handle, a `file://` URL or a path.
pub(crate) fn locate(source: &Path) -> Result<Location, PresetError> {
    // A name that is not UTF-8 can be a path alone.
    let Some(preset) = source.to_str() else { return local(source, source) };
    if let Some(info) = presets().iter().find(|info| info.name == preset) {
        if info.sources.is_empty() {
            return Ok(Location::Bundled);
        }
        let sources = info.sources.iter().map(|source| source.parse());
        return Ok(Location::Hub(sources.collect::<Result<_, _>>()?));
    }
    if let Some(handle) = HubHandle::parse(preset)? {
        return Ok(Location::Hub(vec![handle]));
    }
    let path = match preset.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => Path::new(rest),
        Some(_) => return Err(unknown(preset)),
        None => Path::new(preset),
    };
    local(path, source)
}

fn local(path: &Path, source: &Path) -> Result<Location, PresetError> {
    if path.exists() {
        return Ok(Location::Local(path.into()));
    }
    Err(unknown(&source.to_string_lossy()))
}

fn unknown(preset: &str) -> PresetError {
    let builtin = presets().iter().map(|info| info.name).collect();
    PresetError::UnknownPreset { received: preset.to_owned(), builtin }
}
