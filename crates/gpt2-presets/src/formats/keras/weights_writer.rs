//! Writer of a model's parameters to a Keras weights file.

use gpt2_files::{Staging, write_error};

use crate::error::PresetError;
use crate::formats::keras::shards::{Shard, Storage, group_and_variable};
use crate::formats::keras::weight_map::{KERAS, layer_name};
use crate::tensors::hdf5::writer::create;
use crate::weights::overflow::check_range;
use crate::weights::placed_parameters::{Parameters, each_placed_parameter};
use crate::weights::weight_map::Placement;

/// Stages the file with the parameters of this shard, dataset by dataset.
pub(crate) fn stage(
    files: &mut Staging,
    parameters: &mut dyn Parameters,
    storage: &Storage<'_>,
    shard: &Shard,
) -> Result<(), PresetError> {
    let target = files.target(&shard.name);
    let fail = |error| PresetError::from(write_error(&target)(error));
    files.fallible_file(&shard.name, |path, _| {
        create(path, fail, |file| {
            let wanted =
                |placement: &Placement| shard.groups.contains(&group_and_variable(placement).0);
            each_placed_parameter(parameters, &KERAS, wanted, |placement, values| {
                check_range(storage.dtype, &KERAS, placement, values)?;
                let (group, variable) = group_and_variable(placement);
                let group = format!("{}{group}", storage.within);
                let layer = layer_name(&group);
                let written = file.variable(
                    (&group, layer),
                    &variable,
                    &placement.shape,
                    values,
                    storage.dtype,
                );
                written.map_err(fail)
            })
        })
    })
}
