//! Stage 10c: a model's parameters to a Keras weights file. With `hdf5_file.rs`, all that knows HDF5.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use rust_hdf5::{H5File, H5Group, Hdf5Error};

use crate::keras_shards::{Shard, group_and_variable};
use crate::keras_weight_map::{KERAS, layer_name};
use crate::placed_parameters::each_placed_parameter;

/// Writes the parameters that belong into this file, dataset by dataset.
pub(crate) fn write(path: &Path, backbone: &Gpt2Backbone, shard: &Shard) -> io::Result<()> {
    write_hdf5(path, backbone, shard).map_err(|error| match error {
        Hdf5Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

fn write_hdf5(path: &Path, backbone: &Gpt2Backbone, shard: &Shard) -> Result<(), Hdf5Error> {
    // Without a lock, as in reading: nobody else knows the file yet.
    let file = H5File::options().no_locking().create(path)?;
    let written = write_datasets(&file, backbone, shard);
    // Also behind an error: what is left to its drop would fail unseen, or print to the terminal.
    let closed = file.close();
    written.and(closed)
}

fn write_datasets(file: &H5File, backbone: &Gpt2Backbone, shard: &Shard) -> Result<(), Hdf5Error> {
    let mut groups = HashMap::new();
    each_placed_parameter(backbone, &KERAS, |placement, values| {
        let (group, variable) = group_and_variable(placement);
        if !shard.groups.contains(&group) {
            return Ok(());
        }
        if !groups.contains_key(&group) {
            create_group(file, &mut groups, &group)?;
            groups[&group].set_attr_string("name", layer_name(&group))?;
        }
        let dataset = groups[&group].new_dataset::<f32>().shape(&placement.shape);
        let dataset = dataset.create(&variable)?;
        dataset.write_raw(values)
    })
}

/// Creates a group, and those above it that do not exist yet.
fn create_group(
    file: &H5File,
    groups: &mut HashMap<String, H5Group>,
    path: &str,
) -> Result<(), Hdf5Error> {
    let group = match path.rsplit_once('/') {
        None => file.create_group(path)?,
        Some((parent, name)) => {
            if !groups.contains_key(parent) {
                create_group(file, groups, parent)?;
            }
            groups[parent].create_group(name)?
        }
    };
    groups.insert(path.to_owned(), group);
    Ok(())
}
