//! Downloaded files of a preset.

use gpt2_hub::{CachedFiles, HubOptions};

use crate::error::PresetError;
use crate::open::locate::{Location, locate};

/// Finds a preset's downloaded files, whether this library or a hub's Python client downloaded
/// them.
///
/// Returns one entry for each hub with the preset and a file in the cache, the preferred hub first.
/// The result is empty for a folder and for the bundled preset. No hub is contacted.
/// is asked anything.
///
/// ```
/// use gpt2_presets::{HubOptions, cached_files};
///
/// for cached in cached_files("gpt2_base_en", &HubOptions::new())? {
///     println!("{}: {} files, {} bytes", cached.source, cached.files.len(), cached.size);
/// }
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
///
/// # Errors
///
/// [`PresetError::UnknownPreset`] and
/// [`HubError::InvalidHandle`](gpt2_hub::HubError::InvalidHandle).
pub fn cached_files(preset: &str, options: &HubOptions) -> Result<Vec<CachedFiles>, PresetError> {
    Ok(match locate(preset.as_ref())? {
        Location::Hub(handles) => gpt2_hub::cached_files(&handles, options),
        Location::Bundled | Location::Local(_) => Vec::new(),
    })
}
