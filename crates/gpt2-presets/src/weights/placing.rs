//! Matching of a checkpoint and a config: every parameter has a tensor, every tensor a use.

use std::collections::{BTreeSet, HashMap};

use gpt2_backbone::Gpt2BackboneConfig;

use crate::error::PresetError;
use crate::tensors::search::first_non_finite;
use crate::tensors::weights_file::Values;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::load_report::LoadReport;
use crate::weights::weight_map::Placement;

/// Number of missing tensors after which the search ends: a config may declare any number.
const MAX_MISSING: usize = 1000;

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

/// Reports the use of each tensor. An unknown tensor is an error.
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

/// Whether a tensor is known but not needed: a buffer, or a tied output layer.
fn is_spare(checkpoint: &Checkpoint, config: &Gpt2BackboneConfig, tensor: &str) -> bool {
    let map = checkpoint.map;
    let repeats = config.tie_weights && map.head_repeats.is_some();
    (map.is_buffer)(tensor) || (repeats && tensor == map.head.tensor)
}

fn wanted(placements: &HashMap<String, Placement>) -> BTreeSet<&str> {
    placements.values().map(|placement| placement.tensor.as_str()).collect()
}

/// Returns an error for a tied output layer with values of its own. The transformers library
/// silently drops these values, after which a model that was trained with them is wrong.
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

/// Reads a parameter whose tensor [`place`] found. With `share` it may be in a memory map.
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
