//! Stage 6d: the tensors of a Keras weights file. With `hdf5_writer.rs`, all that knows HDF5.
//!
//! HDF5 can name other files, declare any size and hide data behind filters. Keras uses none of
//! that, so it is refused: links other than hard ones, datasets that are not one contiguous
//! block of this file, and elements that are not exactly the floats that Keras writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use rust_hdf5::{
    DatatypeMessage, FileLocking, H5Dataset, H5File, LinkClass, MappedView, StorageLayout,
};

use crate::error::PresetError;
use crate::source::files::PresetFiles;
use crate::tensors::part::Part;
use crate::weights::checkpoint::{Values, WeightsFile};
use gpt2_files::read_error;

/// Deepest path accepted, in groups. A whole task's weights are seven deep.
const MAX_DEPTH: usize = 32;

/// An open Keras weights file.
pub(crate) struct Hdf5File {
    /// What messages call it.
    display: String,
    file: H5File,
    names: Vec<String>,
    /// Bytes of the file that no inspected dataset has claimed.
    unclaimed: u64,
    inspected: BTreeMap<String, Element>,
}

/// How Keras stores a float.
#[derive(Clone, Copy)]
enum Element {
    F16,
    /// HDF5 has no such type: two opaque bytes, marked by an attribute.
    Bf16,
    F32,
    F64,
}

impl Hdf5File {
    /// Opens the file, mapped if told so and possible, and lists its datasets.
    pub(crate) fn open(
        files: &PresetFiles,
        name: &str,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        let display = files.display(name);
        let io = |error| PresetError::from(read_error(Path::new(&display))(error));
        let Some(path) = files.path(name)? else {
            return Err(io(std::io::ErrorKind::Unsupported.into()));
        };
        let unclaimed = fs::metadata(&path).map_err(io)?.len();
        // The library maps the files that it has locked, where the file system has locks.
        let locking = if memory_map { FileLocking::BestEffort } else { FileLocking::Disabled };
        let file = H5File::options().locking(locking).open(&path).map_err(|error| {
            let (file, object) = (display.clone(), "/".to_owned());
            PresetError::InvalidHdf5 { file, object, detail: error.to_string() }
        })?;
        let names = file.dataset_names();
        let opened = Self { display, file, names, unclaimed, inspected: BTreeMap::new() };
        match opened.names.iter().find(|name| name.split('/').count() > MAX_DEPTH) {
            Some(deep) => Err(opened.invalid(deep, format!("more than {MAX_DEPTH} groups deep"))),
            None => Ok(opened),
        }
    }

    /// Reads a single integer, such as Keras' rank of a LoRA.
    pub(crate) fn read_integer(&self, name: &str) -> Result<i64, PresetError> {
        let dataset = self.dataset(name)?;
        self.check_storage(name, &dataset)?;
        let fail = |error: rust_hdf5::Hdf5Error| self.invalid(name, error.to_string());
        let datatype = dataset.datatype().map_err(fail)?;
        // numpy's default integer has 32 bits on some systems.
        let is_integer = [DatatypeMessage::i64_type(), DatatypeMessage::i32_type()];
        if !is_integer.contains(&datatype) || !dataset.shape().is_empty() {
            let shape = dataset.shape();
            let detail = format!("expected one integer, found {datatype} of shape {shape:?}");
            return Err(self.invalid(name, detail));
        }
        let values = dataset.read_numeric_as::<i64>().map_err(fail)?;
        let first = values.first().copied();
        first.ok_or_else(|| self.invalid(name, "it has no data".to_owned()))
    }

    /// Opens a dataset that is reached through hard links alone. Only they stay in the file.
    fn dataset(&self, name: &str) -> Result<H5Dataset, PresetError> {
        let root = self.file.root_group();
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        for prefix in ends.map(|end| &name[..end]) {
            match root.link_class(prefix) {
                Ok(LinkClass::Hard) => {}
                Ok(_) => return Err(self.invalid(prefix, "a link out of its group".to_owned())),
                Err(error) => return Err(self.invalid(prefix, error.to_string())),
            }
        }
        self.file.dataset(name).map_err(|error| self.invalid(name, error.to_string()))
    }

    /// Refuses all storage but one block of this file.
    fn check_storage(&self, name: &str, dataset: &H5Dataset) -> Result<(), PresetError> {
        let fail = |error: rust_hdf5::Hdf5Error| self.invalid(name, error.to_string());
        let layout = dataset.storage_layout().map_err(fail)?;
        if layout != StorageLayout::Contiguous {
            return Err(self.invalid(name, format!("expected contiguous data, found {layout:?}")));
        }
        if !dataset.external_files().map_err(fail)?.is_empty() {
            return Err(self.invalid(name, "its data is in another file".to_owned()));
        }
        if dataset.is_null() {
            return Err(self.invalid(name, "it has no data".to_owned()));
        }
        Ok(())
    }

    fn element(&self, name: &str, dataset: &H5Dataset) -> Result<Element, PresetError> {
        let datatype = dataset.datatype().map_err(|error| self.invalid(name, error.to_string()))?;
        // Compared whole: byte order and the places of sign, exponent and mantissa count too.
        if datatype == DatatypeMessage::f32_type() {
            return Ok(Element::F32);
        } else if datatype == DatatypeMessage::f16_type() {
            return Ok(Element::F16);
        } else if datatype == DatatypeMessage::f64_type() {
            return Ok(Element::F64);
        } else if matches!(datatype, DatatypeMessage::Opaque { size: 2, .. }) {
            let marker = dataset.attr("dtype").and_then(|attribute| attribute.read_string());
            if marker.is_ok_and(|marker| marker == "bfloat16") {
                return Ok(Element::Bf16);
            }
        }
        let (tensor, found) = (name.to_owned(), datatype.to_string());
        Err(PresetError::UnsupportedElementType { tensor, found })
    }

    fn invalid(&self, object: &str, detail: String) -> PresetError {
        let (file, object) = (self.display.clone(), object.to_owned());
        PresetError::InvalidHdf5 { file, object, detail }
    }
}

impl WeightsFile for Hdf5File {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError> {
        let dataset = self.dataset(name)?;
        self.check_storage(name, &dataset)?;
        let element = self.element(name, &dataset)?;
        let shape = dataset.shape();
        let bytes = shape
            .iter()
            .try_fold(dataset.element_size() as u64, |bytes, dim| bytes.checked_mul(*dim as u64));
        if self.inspected.insert(name.to_owned(), element).is_none() {
            let unclaimed = bytes.and_then(|bytes| self.unclaimed.checked_sub(bytes));
            self.unclaimed = unclaimed.ok_or_else(|| {
                self.invalid(name, format!("shape {shape:?} is more than the file holds"))
            })?;
        }
        Ok(shape)
    }

    fn read(&mut self, name: &str, part: Part, share: bool) -> Result<Values, PresetError> {
        assert_eq!(part, Part::WHOLE, "Keras stores every parameter in a dataset of its own");
        let dataset = self.dataset(name)?;
        // Refused where the file is not mapped, or the floats do not lie as ours must.
        if share && let Ok(view) = dataset.read_mapped::<f32>() {
            return Ok(Values::Shared(Bytes::from_owner(InPlace(view))));
        }
        let values = match self.inspected[name] {
            Element::F32 => dataset.read_raw::<f32>(),
            Element::F64 => dataset
                .read_raw::<f64>()
                .map(|values| values.into_iter().map(|value| value as f32).collect()),
            Element::F16 => {
                dataset.read_raw::<u16>().map(|bits| bits.reinterpret_cast::<f16>().to_f32_vec())
            }
            Element::Bf16 => {
                dataset.read_raw::<u16>().map(|bits| bits.reinterpret_cast::<bf16>().to_f32_vec())
            }
        };
        values.map(Values::Owned).map_err(|error| self.invalid(name, error.to_string()))
    }
}

/// The floats of a dataset where they lie in the file.
struct InPlace(MappedView<f32>);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
