//! Writer of datasets to a Keras weights file. Only this file and `file.rs` use HDF5.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use gpt2_backbone::WeightDtype;
use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group, Hdf5Error, VarLenUnicode};

use crate::tensors::float_writer::PIECE;
use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::rounding::round;

/// A file under construction, and its groups.
pub(crate) struct Hdf5Writer {
    file: H5File,
    groups: HashMap<String, H5Group>,
}

/// Creates a file, calls `write`, and closes the file. `fail` converts errors of the file itself.
pub(crate) fn create<E>(
    path: &Path,
    fail: impl Fn(io::Error) -> E,
    write: impl FnOnce(&mut Hdf5Writer) -> Result<(), E>,
) -> Result<(), E> {
    // Without a lock, as in reading: no other process knows the file yet.
    let file = H5File::options().no_locking().create(path);
    let file = file.map_err(|error| fail(io_error(error)))?;
    let mut writer = Hdf5Writer { file, groups: HashMap::new() };
    let written = write(&mut writer);
    // Closed explicitly, also after an error: a failure when it is dropped would be lost, or
    // printed.
    let Hdf5Writer { file, groups } = writer;
    drop(groups);
    written.and(file.close().map_err(|error| fail(io_error(error))))
}

/// Writes an integer and tensors at their paths, in groups without attributes.
pub(crate) fn write_named(
    path: &Path,
    (integer, value): (&str, i64),
    tensors: &[NamedTensor],
) -> io::Result<()> {
    let itself = |error| error;
    create(path, itself, |writer| {
        writer.integer(integer, value).map_err(io_error)?;
        for tensor in tensors {
            let values = tensor.to_host()?;
            writer.named(&tensor.name, &tensor.shape, &values).map_err(io_error)?;
        }
        Ok(())
    })
}

fn io_error(error: Hdf5Error) -> io::Error {
    match error {
        Hdf5Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

impl Hdf5Writer {
    /// Writes a Keras variable to its group. A new group gets the layer's name.
    pub(crate) fn variable(
        &mut self,
        (group, layer): (&str, &str),
        variable: &str,
        shape: &[usize],
        values: &[f32],
        dtype: WeightDtype,
    ) -> io::Result<()> {
        let dataset = self.dataset((group, layer), variable, shape, dtype);
        let written = dataset.and_then(|dataset| write_values(&dataset, shape, values, dtype));
        written.map_err(io_error)
    }

    /// Creates the dataset of a variable.
    fn dataset(
        &mut self,
        (group, layer): (&str, &str),
        variable: &str,
        shape: &[usize],
        dtype: WeightDtype,
    ) -> Result<H5Dataset, Hdf5Error> {
        if !self.groups.contains_key(group) {
            self.create_group(group)?.set_attr_string("name", layer)?;
        }
        let group = &self.groups[group];
        let dataset = match dtype {
            WeightDtype::F32 => group.new_dataset::<f32>().shape(shape).create(variable)?,
            WeightDtype::F16 => {
                let datatype = DatatypeMessage::f16_type();
                group.new_dataset::<u16>().datatype(datatype).shape(shape).create(variable)?
            }
            WeightDtype::Bf16 => {
                let datatype = DatatypeMessage::Opaque { size: 2, tag: String::new() };
                group.new_dataset::<u16>().datatype(datatype).shape(shape).create(variable)?
            }
        };
        if dtype == WeightDtype::Bf16 {
            // HDF5 has no such type: Keras marks the two opaque bytes with an attribute.
            dataset.new_attr::<VarLenUnicode>().create("dtype")?.write_string(dtype.name())?;
        }
        Ok(dataset)
    }

    fn integer(&mut self, path: &str, value: i64) -> Result<(), Hdf5Error> {
        let (group, name) = self.place(path)?;
        group.new_dataset::<i64>().scalar().create(name)?.write_raw(&[value])
    }

    fn named(&mut self, path: &str, shape: &[usize], values: &[f32]) -> Result<(), Hdf5Error> {
        let (group, name) = self.place(path)?;
        group.new_dataset::<f32>().shape(shape).create(name)?.write_raw(values)
    }

    /// The group of a dataset, created if missing, and the dataset's name in it.
    fn place<'a>(&mut self, path: &'a str) -> Result<(&H5Group, &'a str), Hdf5Error> {
        let (group, name) = path.rsplit_once('/').expect("every dataset is in a group");
        if !self.groups.contains_key(group) {
            self.create_group(group)?;
        }
        Ok((&self.groups[group], name))
    }

    /// Creates a group and its missing parents.
    fn create_group(&mut self, path: &str) -> Result<&H5Group, Hdf5Error> {
        let group = match path.rsplit_once('/') {
            None => self.file.create_group(path)?,
            Some((parent, name)) => {
                if !self.groups.contains_key(parent) {
                    self.create_group(parent)?;
                }
                self.groups[parent].create_group(name)?
            }
        };
        Ok(self.groups.entry(path.to_owned()).or_insert(group))
    }
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
            round(dtype, values, &mut bits);
            dataset.write_slice(&starts, &counts, &bits)?;
        }
        starts[0] += counts[0];
    }
    Ok(())
}
