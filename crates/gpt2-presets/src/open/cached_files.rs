//! Downloaded files of a preset.

use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_hub::{CachedFiles, HubOptions};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::open::locate::{Location, locate};
use crate::open::recognise::open_folder;
use crate::source::local_folder::LocalFolder;
use crate::source::preset_folder::PresetFolder;

/// Finds a preset's downloaded files, whether this library or a hub's Python client downloaded
/// them.
///
/// Returns one entry for each hub with the preset and a file in the cache, the preferred hub first.
/// The result is empty for a folder and for the bundled preset. No hub is contacted.
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

/// A downloaded GPT-2.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CachedPreset {
    /// Its files, and the handle that opens it.
    pub files: CachedFiles,
    /// Its config.
    pub config: Gpt2BackboneConfig,
}

/// Finds all downloaded models that are a GPT-2 by their `config.json`, sorted by their handles,
/// whether this library or a hub's Python client downloaded them. No hub is contacted.
///
/// ```
/// use gpt2_presets::{HubOptions, cached_presets};
///
/// for cached in cached_presets(&HubOptions::new()) {
///     println!("{}: {} layers", cached.files.source, cached.config.num_layers);
/// }
/// ```
pub fn cached_presets(options: &HubOptions) -> Vec<CachedPreset> {
    let models = gpt2_hub::cached_models(options).into_iter();
    models
        .filter_map(|files| {
            let config = config_of(&files)?;
            Some(CachedPreset { files, config })
        })
        .collect()
}

/// Config of a downloaded model. None if it is no GPT-2.
fn config_of(cached: &CachedFiles) -> Option<Gpt2BackboneConfig> {
    let configs = cached.files.iter().filter(|file| file.ends_with(CONFIG_FILE));
    // Other models may be in folders within.
    let folder =
        configs.filter_map(|file| file.parent()).min_by_key(|it| it.components().count())?;
    let folder: Arc<dyn PresetFolder> = Arc::new(LocalFolder::new(folder));
    open_folder(&folder, &cached.source).ok()?.config().ok()
}
