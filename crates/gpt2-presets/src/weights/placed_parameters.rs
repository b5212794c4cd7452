//! Parameters of a model, one by one, with their locations in a checkpoint to be written.

use std::collections::HashMap;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, read_f32, visit_tensors};
use gpt2_files::OnProgress;

use crate::error::PresetError;
use crate::weights::parameter_count::ParameterCount;
use crate::weights::weight_map::{Placement, WeightMap};

/// Receives the path and the values of a parameter.
pub type Visit<'a> = dyn FnMut(&str, &[f32]) -> Result<(), PresetError> + 'a;

/// All parameters of a model, from memory or from a checkpoint.
pub trait Parameters {
    /// The model's config.
    fn config(&self) -> &Gpt2BackboneConfig;

    /// Calls `visit` with the path and the values of every `wanted` parameter, until one call
    /// fails. Only one parameter at a time is on the host.
    fn each(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), PresetError>;
}

/// Model with its LoRA, if any, merged into the kernels: checkpoints do not store both.
///
/// Shares all other tensors with the original, which stays unchanged.
pub(crate) fn merged(backbone: &Gpt2Backbone) -> Gpt2Backbone {
    let mut merged = backbone.clone();
    merged.merge_lora();
    merged
}

impl Parameters for Gpt2Backbone {
    fn config(&self) -> &Gpt2BackboneConfig {
        self.config()
    }

    fn each(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), PresetError> {
        let mut result = Ok(());
        visit_tensors(self, |path, parameter| {
            // Copied to the host only if needed.
            if result.is_ok() && wanted(path) {
                result = read_f32(parameter.values)
                    .map_err(PresetError::from)
                    .and_then(|values| visit(path, &values));
            }
        });
        result
    }
}

/// Parameters that are counted as they are visited, over one or several calls of `each`.
pub(crate) struct Counted<'a> {
    parameters: &'a mut dyn Parameters,
    count: ParameterCount<'a>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(parameters: &'a mut dyn Parameters, on_progress: &'a OnProgress) -> Self {
        let count = ParameterCount::new(parameters.config(), on_progress);
        Self { parameters, count }
    }
}

impl Parameters for Counted<'_> {
    fn config(&self) -> &Gpt2BackboneConfig {
        self.parameters.config()
    }

    fn each(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), PresetError> {
        let Self { parameters, count } = self;
        parameters.each(wanted, &mut |path, values| {
            visit(path, values)?;
            count.add(values);
            Ok(())
        })
    }
}

/// Calls `write` with the location and the values of every parameter with a `wanted` location,
/// until one call fails.
pub(crate) fn each_placed_parameter(
    parameters: &mut dyn Parameters,
    map: &WeightMap,
    wanted: impl Fn(&Placement) -> bool,
    mut write: impl FnMut(&Placement, &[f32]) -> Result<(), PresetError>,
) -> Result<(), PresetError> {
    let placements = map.placements(parameters.config());
    let placements: HashMap<_, _> =
        placements.map(|placement| (placement.parameter.clone(), placement)).collect();
    let place = |path: &str| match placements.get(path) {
        Some(placement) => placement,
        None => unreachable!("the weight map lacks `{path}`"),
    };
    parameters.each(&|path| wanted(place(path)), &mut |path, values| write(place(path), values))
}
