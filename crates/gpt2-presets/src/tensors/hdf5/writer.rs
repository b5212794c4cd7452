//! Stage 10e: parameters to a Keras weights file. With `hdf5_file.rs`, all that knows HDF5.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group, Hdf5Error, VarLenUnicode};

use crate::error::PresetError;
use crate::formats::keras::shards::{Shard, Storage, group_and_variable};
use crate::formats::keras::weight_map::{KERAS, layer_name};
use crate::tensors::float_writer::PIECE;
use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::weight_dtype::StoredFloats;
use crate::weights::placed_parameters::{Parameters, each_placed_parameter};
use crate::weights::weight_map::Placement;
use gpt2_backbone::WeightDtype;
use gpt2_files::write_error;

/// Writes the parameters that belong into this file, dataset by dataset. `target` is what errors
/// call the file.
pub(crate) fn write(
    target: &Path,
    path: &Path,
    parameters: &mut dyn Parameters,
    storage: &Storage<'_>,
    shard: &Shard,
) -> Result<(), PresetError> {
    let fail = |error| PresetError::from(write_error(target)(io_error(error)));
    create(path, fail, |file| {
        let mut groups = HashMap::new();
        let wanted =
            |placement: &Placement| shard.groups.contains(&group_and_variable(placement).0);
        each_placed_parameter(parameters, &KERAS, wanted, |placement, values| {
            storage.dtype.check_range(&KERAS, placement, values)?;
            write_dataset(file, &mut groups, storage, placement, values).map_err(fail)
        })
    })
}

/// Writes an integer and tensors under their paths, in groups without attributes.
pub(crate) fn write_named(
    path: &Path,
    (integer, value): (&str, i64),
    tensors: &[NamedTensor],
) -> io::Result<()> {
    let write_all = |file: &H5File| {
        let mut groups = HashMap::new();
        let group = group_of(file, &mut groups, integer)?;
        group.new_dataset::<i64>().scalar().create(last(integer))?.write_raw(&[value])?;
        for tensor in tensors {
            let group = group_of(file, &mut groups, &tensor.name)?;
            let dataset = group.new_dataset::<f32>().shape(&tensor.shape);
            dataset.create(last(&tensor.name))?.write_raw(&tensor.to_host()?)?;
        }
        Ok(())
    };
    create(path, io_error, |file| write_all(file).map_err(io_error))
}

/// Creates a file, has it written, and closes it.
fn create<E>(
    path: &Path,
    fail: impl Fn(Hdf5Error) -> E,
    write: impl FnOnce(&H5File) -> Result<(), E>,
) -> Result<(), E> {
    // Without a lock, as in reading: nobody else knows the file yet.
    let file = H5File::options().no_locking().create(path).map_err(&fail)?;
    let written = write(&file);
    // Also behind an error: what is left to its drop would fail unseen, or print to the terminal.
    let closed = file.close();
    written.and(closed.map_err(fail))
}

fn io_error(error: Hdf5Error) -> io::Error {
    match error {
        Hdf5Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn write_dataset(
    file: &H5File,
    groups: &mut HashMap<String, H5Group>,
    storage: &Storage<'_>,
    placement: &Placement,
    values: &[f32],
) -> Result<(), Hdf5Error> {
    let (group, variable) = group_and_variable(placement);
    let group = format!("{}{group}", storage.within);
    if !groups.contains_key(&group) {
        create_group(file, groups, &group)?;
        groups[&group].set_attr_string("name", layer_name(&group))?;
    }
    let (group, shape) = (&groups[&group], &placement.shape);
    let dataset = match storage.dtype {
        WeightDtype::F32 => group.new_dataset::<f32>().shape(shape).create(&variable)?,
        WeightDtype::F16 => {
            let datatype = DatatypeMessage::f16_type();
            group.new_dataset::<u16>().datatype(datatype).shape(shape).create(&variable)?
        }
        WeightDtype::Bf16 => {
            let datatype = DatatypeMessage::Opaque { size: 2, tag: String::new() };
            group.new_dataset::<u16>().datatype(datatype).shape(shape).create(&variable)?
        }
    };
    write_values(&dataset, shape, values, storage.dtype)?;
    if storage.dtype == WeightDtype::Bf16 {
        // HDF5 has no such type: Keras marks the two opaque bytes.
        let marker = dataset.new_attr::<VarLenUnicode>().create("dtype")?;
        marker.write_string(storage.dtype.name())?;
    }
    Ok(())
}

/// Writes the values of a dataset, some rows at a time: see [`PIECE`].
fn write_values(
    dataset: &H5Dataset,
    shape: &[usize],
    values: &[f32],
    dtype: WeightDtype,
) -> Result<(), Hdf5Error> {
    let row = shape.iter().skip(1).product::<usize>().max(1);
    let rows = (PIECE / row).max(1);
    let (mut starts, mut counts) = (vec![0; shape.len()], shape.to_vec());
    for values in values.chunks(rows * row) {
        counts[0] = values.len() / row;
        if dtype == WeightDtype::F32 {
            dataset.write_slice(&starts, &counts, values)?;
        } else {
            let mut bits = vec![0u16; values.len()];
            dtype.round(values, &mut bits);
            dataset.write_slice(&starts, &counts, &bits)?;
        }
        starts[0] += counts[0];
    }
    Ok(())
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
