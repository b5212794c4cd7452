//! Device and options with which a command opens, loads and saves presets.

use std::path::Path;

use burn::tensor::Device;
use clap_complete::ArgValueCompleter;
#[cfg(feature = "hub")]
use gpt2_presets::HubOptions;
use gpt2_presets::{
    FromPreset, LoadOptions, Preset, PresetFormat, Save, SaveOptions, WeightDtype, progress_bars,
};
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::commands::completions::preset_names;
use crate::context::Context;
#[cfg(feature = "hub")]
use crate::context::say;

/// Default preset of commands, which is bundled with the program.
pub(crate) const DEFAULT_PRESET: &str = "gpt2_tiny_shakespeare";

/// Model and device of a command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArguments {
    /// Built-in name; handle hf://, kaggle:// or modelscope://; folder in Keras' or transformers'
    /// format; .keras file; or GGUF file
    #[arg(long, alias = "model", default_value = DEFAULT_PRESET, add = ArgValueCompleter::new(preset_names))]
    pub preset: String,
    /// Compute on cpu, auto, wgpu, vulkan:0, cuda:0, …; all but cpu need their cargo feature
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Compute in float32, float16 or bfloat16; also f32, f16, bf16
    #[arg(long, default_value = "float32", value_name = "TYPE")]
    pub dtype: WeightDtype,
}

impl ModelArguments {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError`](gpt2_backbone::DeviceError).
    pub fn device(&self) -> anyhow::Result<Device> {
        device(&self.device)
    }

    /// Opens the device and loads the model.
    ///
    /// # Errors
    ///
    /// [`DeviceError`](gpt2_backbone::DeviceError) and
    /// [`PresetError`](gpt2_presets::PresetError).
    pub fn load(&self, context: &Context) -> anyhow::Result<Gpt2CausalLm> {
        load(&self.preset, &self.device()?, self.dtype, context)
    }
}

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
    Ok(Gpt2CausalLm::from_preset_with(preset, load_options(device, context).with_dtype(dtype))?)
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

/// Opens the tokenizer of a preset, or of a folder with nothing else.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn tokenizer(preset: &str, context: &Context) -> anyhow::Result<Gpt2Tokenizer> {
    // A folder may have a tokenizer without a model.
    if Path::new(preset).exists() {
        return Ok(Gpt2Tokenizer::from_preset(preset)?);
    }
    Ok(open(preset, context)?.tokenizer()?)
}

/// Writes a model as a preset.
///
/// # Errors
///
/// [`PresetError`](gpt2_presets::PresetError).
pub fn save(model: &Gpt2CausalLm, folder: &Path) -> anyhow::Result<()> {
    Ok(model.save_to_preset(folder)?)
}

/// Options of loading, with a progress bar unless the command is quiet.
pub fn load_options(device: &Device, context: &Context) -> LoadOptions {
    let mut options = LoadOptions::new(device);
    if !context.quiet {
        options = options.with_on_progress(progress_bars::loading());
    }
    #[cfg(feature = "hub")]
    let options = options.with_hub(hub_options(context));
    options
}

/// Options of saving in a format, with a progress bar unless the command is quiet.
pub fn save_options(format: PresetFormat, context: &Context) -> SaveOptions {
    let options = SaveOptions::new(format);
    if context.quiet { options } else { options.with_on_progress(progress_bars::saving()) }
}

/// Options of hubs, with progress bars unless the command is quiet.
#[cfg(feature = "hub")]
pub fn hub_options(context: &Context) -> HubOptions {
    let mut options = HubOptions::new();
    if context.offline {
        options = options.with_offline(true);
    }
    if !context.quiet {
        options = options
            .with_on_wait(|line: &str| say(line))
            .with_on_progress(progress_bars::downloading());
    }
    options
}
