//! Stage 10c: parameters to a Keras weights file. With `hdf5_file.rs`, all that knows HDF5.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use rust_hdf5::{H5File, H5Group, Hdf5Error};

use crate::keras_shards::{Shard, group_and_variable};
use crate::keras_weight_map::{KERAS, layer_name};
use crate::named_tensor::NamedTensor;
use crate::placed_parameters::each_placed_parameter;

/// Writes the parameters that belong into this file, dataset by dataset.
pub(crate) fn write(path: &Path, backbone: &Gpt2Backbone, shard: &Shard) -> io::Result<()> {
    create(path, |file| write_datasets(file, backbone, shard))
}

/// Writes an integer and tensors under their paths, in groups without attributes.
pub(crate) fn write_named(
    path: &Path,
    (integer, value): (&str, i64),
    tensors: &[NamedTensor],
) -> io::Result<()> {
    create(path, |file| {
        let mut groups = HashMap::new();
        let group = group_of(file, &mut groups, integer)?;
        group.new_dataset::<i64>().scalar().create(last(integer))?.write_raw(&[value])?;
        for tensor in tensors {
            let group = group_of(file, &mut groups, &tensor.name)?;
            let dataset = group.new_dataset::<f32>().shape(&tensor.shape);
            dataset.create(last(&tensor.name))?.write_raw(&tensor.to_host())?;
        }
        Ok(())
    })
}

fn create(path: &Path, write: impl FnOnce(&H5File) -> Result<(), Hdf5Error>) -> io::Result<()> {
    let write_file = || {
        // Without a lock, as in reading: nobody else knows the file yet.
        let file = H5File::options().no_locking().create(path)?;
        let written = write(&file);
        // Also behind an error: what is left to its drop would fail unseen, or print to the terminal.
        let closed = file.close();
        written.and(closed)
    };
    write_file().map_err(|error| match error {
        Hdf5Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })
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

/// The group of a dataset, created if need be.
fn group_of<'a>(
    file: &H5File,
    groups: &'a mut HashMap<String, H5Group>,
    dataset: &str,
) -> Result<&'a H5Group, Hdf5Error> {
    let (group, _) = dataset.rsplit_once('/').expect("every dataset is in a group");
    if !groups.contains_key(group) {
        create_group(file, groups, group)?;
    }
    Ok(&groups[group])
}

/// The last name of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, last)| last)
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
