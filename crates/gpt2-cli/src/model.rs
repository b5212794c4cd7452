//! Presets of a command: the one place that opens, loads and saves them.

use std::path::Path;

use burn::tensor::Device;
#[cfg(feature = "hub")]
use gpt2_presets::HubOptions;
use gpt2_presets::{
    FromPreset, FromPresetOnDevice, LoadOptions, Preset, SaveToPreset, WeightDtype, progress_bars,
};
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::context::Context;

/// Parses the name of a device and opens it.
///
/// # Errors
///
/// [`DeviceError`](gpt2_backbone::DeviceError).
pub fn device(name: &str) -> anyhow::Result<Device> {
    Ok(gpt2_backbone::parse_device(name)?)
}

/// Loads a model.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn load(
    preset: &str,
    device: &Device,
    dtype: WeightDtype,
    context: &Context,
) -> anyhow::Result<Gpt2CausalLm> {
    Ok(Gpt2CausalLm::from_preset(preset, load_options(device, context).with_dtype(dtype))?)
}

/// Opens a preset without its weights.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn open(preset: &str, context: &Context) -> anyhow::Result<Preset> {
    #[cfg(feature = "hub")]
    return Ok(Preset::open_with(preset, &hub_options(context))?);
    #[cfg(not(feature = "hub"))]
    {
        let _ = context;
        Ok(Preset::open(preset)?)
    }
}

/// Opens the tokenizer of a preset, or of a folder that holds nothing else.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn tokenizer(preset: &str, _context: &Context) -> anyhow::Result<Gpt2Tokenizer> {
    Ok(Gpt2Tokenizer::from_preset(preset)?)
}

/// Writes a model as a preset.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn save(model: &Gpt2CausalLm, folder: &Path) -> anyhow::Result<()> {
    Ok(model.save_to_preset(folder)?)
}

/// Options of a load, with bars unless the command is quiet.
pub fn load_options(device: &Device, context: &Context) -> LoadOptions {
    let mut options = LoadOptions::new(device);
    if !context.quiet {
        options = options.with_on_progress(progress_bars::loading());
    }
    #[cfg(feature = "hub")]
    let options = options.with_hub(hub_options(context));
    options
}

/// Options of hubs, with bars unless the command is quiet.
#[cfg(feature = "hub")]
pub fn hub_options(context: &Context) -> HubOptions {
    let mut options = HubOptions::new();
    if context.offline {
        options = options.with_offline(true);
    }
    if !context.quiet {
        options = options.with_on_progress(progress_bars::downloading());
    }
    options
}
