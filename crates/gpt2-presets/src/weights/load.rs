//! Stage 7: a checkpoint and a config to a model, with every tensor accounted for.

use std::collections::{BTreeSet, HashMap};

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{
    Gpt2Backbone, Gpt2BackboneConfig, Initializer, ParameterSource, ParameterSpec,
    RandomParameters, check_float_type, update_parameters,
};

use crate::api::load_options::LoadOptions;
use crate::error::PresetError;
use crate::tensors::weight_dtype::StoredFloats;
use crate::weights::checkpoint::{Checkpoint, Values};
use crate::weights::parameter_count::ParameterCount;
use crate::weights::weight_map::Placement;
use gpt2_backbone::WeightDtype;

/// After so many missing tensors the search ends: a config may ask for any number.
const MAX_MISSING: usize = 1000;

/// What became of each tensor of a checkpoint, under the names in its files.
///
/// A tensor that the model needs and the checkpoint lacks, or the other way round, is no part of
/// a report: it is [`PresetError::IncompleteWeights`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Tensors that are in the model, in the files' order of names.
    pub applied: Vec<String>,
    /// Tensors that are known and not needed: masks, states of random generators and optimizers,
    /// and an output layer that repeats the token embedding.
    pub skipped: Vec<String>,
}

/// Builds the model, without any initialisation before.
pub(crate) fn load(
    config: &Gpt2BackboneConfig,
    mut checkpoint: Checkpoint,
    options: &LoadOptions,
) -> Result<(Gpt2Backbone, LoadReport), PresetError> {
    check_float_type(&options.device, options.dtype.tensor())?;
    let placements = place(config, &mut checkpoint)?;
    let report = account(config, &mut checkpoint, &placements)?;
    let count = ParameterCount::new(config, &options.on_progress);
    let mut loader = Loader { checkpoint, placements, options, count };
    let backbone = Gpt2Backbone::from_source(config, &mut loader, &options.device)?;
    Ok((backbone, report))
}

/// Builds the model without a checkpoint, initialised at random from the options' seed.
pub(crate) fn initialize(
    config: &Gpt2BackboneConfig,
    options: &LoadOptions,
) -> Result<Gpt2Backbone, PresetError> {
    struct Rounded(RandomParameters, WeightDtype);
    impl ParameterSource for Rounded {
        type Error = PresetError;

        fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, PresetError> {
            let Ok(data) = self.0.parameter(parameter);
            Ok(data.convert_dtype(self.1.tensor()))
        }
    }
    check_float_type(&options.device, options.dtype.tensor())?;
    let mut source = Rounded(RandomParameters::new(options.seed), options.dtype);
    Gpt2Backbone::from_source(config, &mut source, &options.device)
}

/// The model with the values of a checkpoint in all its parameters. Those of a LoRA begin anew: it
/// adds nothing to what the checkpoint's model computes.
pub(crate) fn replace(
    backbone: &Gpt2Backbone,
    mut checkpoint: Checkpoint,
) -> Result<Gpt2Backbone, PresetError> {
    let (config, device) = (backbone.config(), backbone.device());
    let placements = place(config, &mut checkpoint)?;
    account(config, &mut checkpoint, &placements)?;
    let options = LoadOptions::new(&device).with_memory_map(false);
    let count = ParameterCount::new(config, &options.on_progress);
    let mut loader = Loader { checkpoint, placements, options: &options, count };
    let mut problem = None;
    let replaced = update_parameters(backbone.clone(), |path, shape, old| {
        if problem.is_some() || path.ends_with(".lora_kernel_a") {
            return old;
        } else if path.ends_with(".lora_kernel_b") {
            return old.zeros_like();
        }
        // The shape is that of the values, flat; the initializer is not looked at.
        let shape = [shape.iter().product()];
        let spec = ParameterSpec { path, shape: &shape, initializer: Initializer::Zeros };
        match loader.parameter(&spec) {
            Ok(values) => Tensor::from_data(values, (&device, old.dtype())),
            Err(error) => {
                problem = Some(error);
                old
            }
        }
    });
    problem.map_or(Ok(replaced), Err)
}

/// Finds the tensor of every parameter and checks its shape, before anything is allocated.
pub(crate) fn place(
    config: &Gpt2BackboneConfig,
    checkpoint: &mut Checkpoint,
) -> Result<HashMap<String, Placement>, PresetError> {
    let mut placements = HashMap::new();
    let mut missing = BTreeSet::new();
    for placement in checkpoint.map.placements(config) {
        if checkpoint.has(&placement.tensor) {
            placements.insert(placement.parameter.clone(), placement);
        } else {
            missing.insert(placement.tensor);
            if missing.len() == MAX_MISSING {
                break;
            }
        }
    }
    if !missing.is_empty() {
        let wanted = wanted(&placements);
        let known = |tensor: &str| wanted.contains(tensor) || is_spare(checkpoint, config, tensor);
        let unused = checkpoint.tensors().filter(|(tensor, _)| !known(tensor));
        let unused = unused.map(|(_, name)| name.to_owned()).collect();
        let missing = missing.into_iter().collect();
        return Err(PresetError::IncompleteWeights { missing, unused });
    }
    for placement in placements.values() {
        let found = checkpoint.inspect(&placement.tensor)?;
        if found != placement.shape {
            let tensor = checkpoint.name_of(&placement.tensor);
            let expected = placement.shape.clone();
            return Err(PresetError::TensorShape { tensor, expected, found });
        }
    }
    Ok(placements)
}

/// Says what becomes of each tensor; one that nobody knows is an error.
pub(crate) fn account(
    config: &Gpt2BackboneConfig,
    checkpoint: &mut Checkpoint,
    placements: &HashMap<String, Placement>,
) -> Result<LoadReport, PresetError> {
    let wanted = wanted(placements);
    let mut report = LoadReport::default();
    let mut unused = Vec::new();
    for (tensor, name) in checkpoint.tensors() {
        let list = if wanted.contains(tensor) {
            &mut report.applied
        } else if is_spare(checkpoint, config, tensor) {
            &mut report.skipped
        } else {
            &mut unused
        };
        list.push(name.to_owned());
    }
    if !unused.is_empty() {
        return Err(PresetError::IncompleteWeights { missing: Vec::new(), unused });
    }
    let head = checkpoint.map.head.tensor;
    match checkpoint.map.head_repeats {
        Some(embedding) if config.tie_weights && checkpoint.has(head) => {
            check_repeated(checkpoint, head, embedding)?;
        }
        _ => {}
    }
    Ok(report)
}

/// Whether a tensor is known and not needed: a buffer, or a tied output layer.
fn is_spare(checkpoint: &Checkpoint, config: &Gpt2BackboneConfig, tensor: &str) -> bool {
    let map = checkpoint.map;
    let repeats = config.tie_weights && map.head_repeats.is_some();
    (map.is_buffer)(tensor) || (repeats && tensor == map.head.tensor)
}

fn wanted(placements: &HashMap<String, Placement>) -> BTreeSet<&str> {
    placements.values().map(|placement| placement.tensor.as_str()).collect()
}

/// Refuses a tied output layer with values of its own. The transformers library drops them in
/// silence, and whoever trained them would not know why the model is bad.
fn check_repeated(
    checkpoint: &mut Checkpoint,
    head: &str,
    embedding: &str,
) -> Result<(), PresetError> {
    if checkpoint.are_equal(head, embedding)? {
        return Ok(());
    }
    let (head, embedding) = (checkpoint.name_of(head), checkpoint.name_of(embedding));
    Err(PresetError::ConflictingHead { head, embedding })
}

/// Reads a parameter whose tensor [`place`] found. With `share`, it may lie in a memory map.
pub(crate) fn read_placed(
    checkpoint: &mut Checkpoint,
    placement: &Placement,
    share: bool,
    check_finite: bool,
) -> Result<Values, PresetError> {
    let Placement { tensor, part, shape, .. } = placement;
    let values = checkpoint.read(tensor, *part, share)?;
    if check_finite && let Some(index) = first_non_finite(values.as_slice()) {
        return Err(PresetError::NonFiniteWeight {
            tensor: checkpoint.name_of(tensor),
            index: part.index_in_tensor(index, shape),
            value: values.as_slice()[index],
        });
    }
    Ok(values)
}

/// Gives the model its parameters.
struct Loader<'a> {
    checkpoint: Checkpoint,
    placements: HashMap<String, Placement>,
    options: &'a LoadOptions,
    count: ParameterCount<'a>,
}

impl ParameterSource for Loader<'_> {
    type Error = PresetError;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, PresetError> {
        let Some(placement) = self.placements.get(parameter.path) else {
            unreachable!("the weight map lacks `{}`", parameter.path)
        };
        let LoadOptions { memory_map, check_finite, dtype, .. } = *self.options;
        let values = read_placed(&mut self.checkpoint, placement, memory_map, check_finite)?;
        dtype.check_range(self.checkpoint.map, placement, values.as_slice())?;
        self.count.add(values.as_slice());
        let data = values.into_data(parameter.shape);
        Ok(if dtype == WeightDtype::F32 { data } else { data.convert_dtype(dtype.tensor()) })
    }
}

/// The index of the first element that is infinite or not a number.
pub(crate) fn first_non_finite(values: &[f32]) -> Option<usize> {
    first_where(values, |value| !value.is_finite())
}

/// The index of the first element that is bad.
pub(crate) fn first_where(values: &[f32], is_bad: impl Fn(f32) -> bool) -> Option<usize> {
    const BLOCK: usize = 4096;
    // Whole blocks without an early exit: the compiler makes vector instructions of that.
    let bad = |block: &[f32]| block.iter().fold(false, |bad, value| bad | is_bad(*value));
    let block = values.chunks(BLOCK).position(bad)?;
    let start = block * BLOCK;
    values[start..].iter().position(|value| is_bad(*value)).map(|index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_number_is_found_in_any_block() {
        let mut values = vec![1.0; 10_000];
        assert_eq!(first_non_finite(&values), None);
        for (index, value) in [(9_999, f32::NAN), (5_000, f32::INFINITY), (0, f32::NEG_INFINITY)] {
            values[index] = value;
            assert_eq!(first_non_finite(&values), Some(index));
        }
    }
}
