//! Lookup of a file, with the checks that every file passes.

use std::path::{Path, PathBuf};

use crate::error::HubError;
use crate::file_names::check_file_name;
use crate::pins::Pins;

/// Knowledge of a cache about a file.
#[derive(Debug, PartialEq)]
pub(crate) enum Cached {
    /// The file is here, whole.
    File(PathBuf),
    /// The hub does not have the file.
    Absent,
    /// Nothing is known.
    Unknown,
}

/// Returns the file that `locate` finds, after checks of its name, its place and the user's pin. Every
/// file of a hub passes through here. `display` is its name in messages.
pub(crate) fn fetch(
    pins: &Pins,
    name: &str,
    display: &str,
    locate: impl FnOnce() -> Result<Option<PathBuf>, HubError>,
    check_place: impl FnOnce(&Path) -> Result<(), HubError>,
) -> Result<Option<PathBuf>, HubError> {
    check_file_name(name)?;
    let path = locate()?;
    if let Some(path) = &path {
        check_place(path)?;
        pins.check(name, path, display)?;
    }
    Ok(path)
}
