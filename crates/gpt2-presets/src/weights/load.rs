//! Conversion of a checkpoint and a config to a model.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use gpt2_backbone::{
    Gpt2Backbone, Gpt2BackboneConfig, Initializer, ParameterSource, ParameterSpec,
    RandomParameters, WeightDtype, check_float_type, try_update_parameters,
};
use gpt2_files::OnProgress;

use crate::error::PresetError;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::load_report::LoadReport;
use crate::weights::overflow::check_range;
use crate::weights::parameter_count::ParameterCount;
use crate::weights::placing::{account, place, read_placed};
use crate::weights::weight_map::Placement;

/// Device and float type of a loaded model, and how to read it.
#[derive(Debug, Clone)]
pub(crate) struct LoadSettings {
    pub(crate) device: Device,
    pub(crate) dtype: WeightDtype,
    pub(crate) memory_map: bool,
    pub(crate) check_finite: bool,
    pub(crate) on_progress: OnProgress,
}

impl LoadSettings {
    /// 32-bit floats, mapped if possible, and checked.
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: WeightDtype::F32,
            memory_map: true,
            check_finite: true,
            on_progress: OnProgress::default(),
        }
    }
}

/// Builds the model from the checkpoint, without initialising it first.
pub(crate) fn load(
    config: &Gpt2BackboneConfig,
    mut checkpoint: Checkpoint,
    settings: &LoadSettings,
) -> Result<(Gpt2Backbone, LoadReport), PresetError> {
    check_float_type(&settings.device, settings.dtype.tensor())?;
    let placements = place(config, &mut checkpoint)?;
    let report = account(config, &mut checkpoint, &placements)?;
    let count = ParameterCount::new(config, &settings.on_progress);
    let mut loader = Loader { checkpoint, placements, settings, count };
    let backbone = Gpt2Backbone::from_source(config, &mut loader, &settings.device)?;
    Ok((backbone, report))
}

/// Builds the model without a checkpoint, with random parameters from a seed.
pub(crate) fn initialize(
    config: &Gpt2BackboneConfig,
    settings: &LoadSettings,
    seed: u64,
) -> Result<Gpt2Backbone, PresetError> {
    struct Rounded(RandomParameters, WeightDtype);
    impl ParameterSource for Rounded {
        type Error = PresetError;

        fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, PresetError> {
            let Ok(data) = self.0.parameter(parameter);
            Ok(data.convert_dtype(self.1.tensor()))
        }
    }
    check_float_type(&settings.device, settings.dtype.tensor())?;
    let mut source = Rounded(RandomParameters::new(seed), settings.dtype);
    Gpt2Backbone::from_source(config, &mut source, &settings.device)
}

/// Model with all parameters from a checkpoint. The second factor of a LoRA becomes zero, so that
/// the model's function is the checkpoint's.
pub(crate) fn replace(
    backbone: &Gpt2Backbone,
    mut checkpoint: Checkpoint,
) -> Result<Gpt2Backbone, PresetError> {
    let (config, device) = (backbone.config(), backbone.device());
    let placements = place(config, &mut checkpoint)?;
    account(config, &mut checkpoint, &placements)?;
    let settings = LoadSettings { memory_map: false, ..LoadSettings::new(&device) };
    let count = ParameterCount::new(config, &settings.on_progress);
    let mut loader = Loader { checkpoint, placements, settings: &settings, count };
    try_update_parameters(backbone.clone(), |path, shape, old| {
        if path.ends_with(".lora_kernel_a") {
            return Ok(old);
        } else if path.ends_with(".lora_kernel_b") {
            return Ok(old.zeros_like());
        }
        // The values are flat, and so is the shape; the initializer is not used.
        let shape = [shape.iter().product()];
        let spec = ParameterSpec { path, shape: &shape, initializer: Initializer::Zeros };
        Ok(Tensor::from_data(loader.parameter(&spec)?, (&device, old.dtype())))
    })
}

/// Supplies the model's parameters.
struct Loader<'a> {
    checkpoint: Checkpoint,
    placements: HashMap<String, Placement>,
    settings: &'a LoadSettings,
    count: ParameterCount<'a>,
}

impl ParameterSource for Loader<'_> {
    type Error = PresetError;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, PresetError> {
        let Some(placement) = self.placements.get(parameter.path) else {
            unreachable!("the weight map lacks `{}`", parameter.path)
        };
        let LoadSettings { memory_map, check_finite, dtype, .. } = *self.settings;
        let values = read_placed(&mut self.checkpoint, placement, memory_map, check_finite)?;
        check_range(dtype, self.checkpoint.map, placement, values.as_slice())?;
        self.count.add(values.as_slice());
        let data = values.into_data(parameter.shape);
        Ok(if dtype == WeightDtype::F32 { data } else { data.convert_dtype(dtype.tensor()) })
    }
}
