//! Files of a preset that were downloaded before.

use gpt2_hub::{CachedFiles, HubOptions};

use crate::error::PresetError;
use crate::open::locate::{Location, locate};

/// Finds the files of a preset that were downloaded, by this library or by the hubs' Python
/// clients.
///
/// Returns an element for each hub that has the preset and of which a file is in the cache, the
/// preferred hub first; none for a folder, and for the preset that is part of this library. No hub
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
