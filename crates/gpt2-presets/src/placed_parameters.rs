//! Stage 10a: a model to its parameters, one by one, each with its place in a checkpoint.

use std::collections::HashMap;

use gpt2_backbone::{Gpt2Backbone, visit_parameters};

use crate::weight_map::{Placement, WeightMap};

/// The model with its LoRA, if it has one, added to the kernels: no checkpoint has a place for both.
///
/// All tensors but these kernels are shared with the model, which is as it was.
pub(crate) fn merged(backbone: &Gpt2Backbone) -> Gpt2Backbone {
    let mut merged = backbone.clone();
    merged.merge_lora();
    merged
}

/// Calls `write` with the place and the values of every parameter, until one fails.
///
/// One parameter is in memory at a time, beside the model.
pub(crate) fn each_placed_parameter<E>(
    backbone: &Gpt2Backbone,
    map: &WeightMap,
    mut write: impl FnMut(&Placement, &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let placements = map.placements(backbone.config());
    let placements: HashMap<_, _> =
        placements.map(|placement| (placement.parameter.clone(), placement)).collect();
    let mut result = Ok(());
    visit_parameters(backbone, |path, data| {
        if result.is_err() {
            return;
        }
        let Some(placement) = placements.get(path) else {
            unreachable!("the weight map lacks `{path}`")
        };
        let data = data.convert::<f32>();
        let values = data.as_slice::<f32>().expect("converted to 32-bit floats");
        result = write(placement, values);
    });
    result
}
