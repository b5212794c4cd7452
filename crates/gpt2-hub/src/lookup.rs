//! Lookup of a file, with the checks that every file passes.

use std::path::{Path, PathBuf};

use crate::error::HubError;
use crate::file_names::check_file_name;
use crate::pins::Pins;

/// Knowledge about a file in a cache.
#[derive(Debug, PartialEq)]
pub(crate) enum Cached {
    /// The cache has the complete file.
    File(PathBuf),
    /// The hub does not have the file.
    Absent,
    /// The cache knows nothing about the file.
    Unknown,
}

/// Returns the file that `locate` finds, after checks of its name, its path and the user's pin.
///
/// Every file of a hub passes through this function. `display` is its name in messages.
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
