//! Search for the files of a preset.

use std::path::Path;
use std::sync::Arc;

use gpt2_hub::HubHandle;

use crate::error::PresetError;
use crate::formats::FORMATS;
use crate::open::hub_access::HubAccess;
use crate::open::locate::{Location, locate};
use crate::source::local_folder::LocalFolder;
use crate::source::preset_folder::PresetFolder;

/// Finds the files of a preset by its name, its handle or its path.
pub(crate) fn find(source: &Path, hub: &HubAccess) -> Result<Arc<dyn PresetFolder>, PresetError> {
    let name = source.to_string_lossy();
    match locate(source)? {
        Location::Bundled => bundled(&name),
        Location::Local(path) if path.is_dir() => Ok(Arc::new(LocalFolder::new(path))),
        Location::Local(path) => {
            for format in FORMATS {
                if let Some(folder) = format.folder_of_file(&path)? {
                    return Ok(folder);
                }
            }
            Err(PresetError::NotADirectory { path })
        }
        Location::Hub(handles) => remote(&name, &handles, hub),
    }
}

#[cfg(feature = "bundled")]
fn bundled(_preset: &str) -> Result<Arc<dyn PresetFolder>, PresetError> {
    Ok(Arc::new(crate::source::embedded::Embedded(crate::open::bundled::FILES)))
}

#[cfg(not(feature = "bundled"))]
fn bundled(preset: &str) -> Result<Arc<dyn PresetFolder>, PresetError> {
    Err(PresetError::NotBundled { preset: preset.to_owned() })
}

#[cfg(feature = "hub")]
fn remote(
    preset: &str,
    handles: &[HubHandle],
    hub: &HubAccess,
) -> Result<Arc<dyn PresetFolder>, PresetError> {
    use crate::formats::config_file::CONFIG_FILE;

    let options = hub.clone().unwrap_or_default();
    Ok(Arc::new(crate::source::remote::Remote::open(preset, handles, CONFIG_FILE, &options)?))
}

#[cfg(not(feature = "hub"))]
fn remote(
    preset: &str,
    handles: &[HubHandle],
    _hub: &HubAccess,
) -> Result<Arc<dyn PresetFolder>, PresetError> {
    let (preset, handle) = (preset.to_owned(), handles[0].to_string());
    Err(PresetError::HubDisabled { preset, handle })
}
