//! Tensors of a Keras weights file. Only this file and `writer.rs` use HDF5.
//!
//! HDF5 files can refer to other files, declare any size, and apply filters to data. Keras uses
//! none of that, and all of it is an error here: links other than hard ones, datasets that are not
//! one contiguous block of this file, and elements of types that Keras does not write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use gpt2_files::read_error;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use rust_hdf5::{
    DatatypeMessage, FileLocking, H5Dataset, H5File, Hdf5Error, LinkClass, MappedView,
    StorageLayout,
};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::preset_folder::PresetFolder;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::{Values, WeightsFile};

/// Kind of file, for messages.
pub(crate) const KERAS_WEIGHTS: FileKind =
    FileKind { name: "Keras weights file", remedy: "save or download it again" };

/// Maximum depth of a path, in groups. A whole task's weights have seven.
const MAX_DEPTH: usize = 32;

/// An open Keras weights file.
pub(crate) struct Hdf5File {
    /// Name in messages.
    display: String,
    file: H5File,
    names: Vec<String>,
    /// Bytes of the file that no inspected dataset uses.
    unclaimed: u64,
    inspected: BTreeMap<String, StoredFloat>,
}

/// Types in which Keras stores floats.
#[derive(Clone, Copy)]
enum StoredFloat {
    F16,
    /// bfloat16: two opaque bytes with an attribute, because HDF5 has no such type.
    Bf16,
    F32,
    F64,
}

impl Hdf5File {
    /// Opens the file, mapped with `memory_map` if possible, and lists its datasets.
    pub(crate) fn open(
        folder: &dyn PresetFolder,
        name: &str,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        let display = folder.display(name);
        let refused = |error| PresetError::from(read_error(Path::new(&display))(error));
        let Some(path) = folder.path(name)? else {
            return Err(refused(io::ErrorKind::Unsupported.into()));
        };
        let unclaimed = readable_size(&path).map_err(refused)?;
        // The library maps only files that it has locked, if the file system has locks.
        let locking = if memory_map { FileLocking::BestEffort } else { FileLocking::Disabled };
        let file = H5File::options().locking(locking).open(&path);
        let file = file.map_err(|error| fault(&display, "/", &error))?;
        let names = file.dataset_names();
        let opened = Self { display, file, names, unclaimed, inspected: BTreeMap::new() };
        match opened.names.iter().find(|name| name.split('/').count() > MAX_DEPTH) {
            Some(deep) => Err(opened.invalid(deep, format!("more than {MAX_DEPTH} groups deep"))),
            None => Ok(opened),
        }
    }

    /// Reads a single integer, such as the rank of a LoRA in Keras' format.
    pub(crate) fn read_integer(&self, name: &str) -> Result<i64, PresetError> {
        let dataset = self.dataset(name)?;
        self.check_storage(name, &dataset)?;
        let fail = |error| self.fault(name, error);
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

    /// Opens a dataset through hard links only, which cannot leave the file.
    fn dataset(&self, name: &str) -> Result<H5Dataset, PresetError> {
        let root = self.file.root_group();
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        for prefix in ends.map(|end| &name[..end]) {
            match root.link_class(prefix) {
                Ok(LinkClass::Hard) => {}
                Ok(_) => return Err(self.invalid(prefix, "a link out of its group".to_owned())),
                Err(error) => return Err(self.fault(prefix, error)),
            }
        }
        self.file.dataset(name).map_err(|error| self.fault(name, error))
    }

    /// Returns an error for storage other than one block of this file.
    fn check_storage(&self, name: &str, dataset: &H5Dataset) -> Result<(), PresetError> {
        let fail = |error| self.fault(name, error);
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

    fn element(&self, name: &str, dataset: &H5Dataset) -> Result<StoredFloat, PresetError> {
        let datatype = dataset.datatype().map_err(|error| self.fault(name, error))?;
        // Compares the whole type: byte order and the layout of sign, exponent and mantissa count
        // too.
        if datatype == DatatypeMessage::f32_type() {
            return Ok(StoredFloat::F32);
        } else if datatype == DatatypeMessage::f16_type() {
            return Ok(StoredFloat::F16);
        } else if datatype == DatatypeMessage::f64_type() {
            return Ok(StoredFloat::F64);
        } else if matches!(datatype, DatatypeMessage::Opaque { size: 2, .. }) {
            let marker = dataset.attr("dtype").and_then(|attribute| attribute.read_string());
            if marker.is_ok_and(|marker| marker == "bfloat16") {
                return Ok(StoredFloat::Bf16);
            }
        }
        let (tensor, found) = (name.to_owned(), datatype.to_string());
        let expected = "float64, float32, float16 or bfloat16".to_owned();
        Err(PresetError::UnsupportedElementType { tensor, found, expected })
    }

    fn fault(&self, object: &str, error: Hdf5Error) -> PresetError {
        fault(&self.display, object, &error)
    }

    fn invalid(&self, object: &str, detail: String) -> PresetError {
        KERAS_WEIGHTS.malformed(&*self.display, object, detail)
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

    fn read(&mut self, name: &str, part: TensorPart, share: bool) -> Result<Values, PresetError> {
        assert_eq!(part, TensorPart::WHOLE, "Keras stores every parameter in a dataset of its own");
        let dataset = self.dataset(name)?;
        // Fails if the file is not mapped, or the floats are not aligned.
        if share && let Ok(view) = dataset.read_mapped::<f32>() {
            return Ok(Values::Shared(Bytes::from_owner(InPlace(view))));
        }
        let values = match self.inspected[name] {
            StoredFloat::F32 => dataset.read_raw::<f32>(),
            StoredFloat::F64 => dataset
                .read_raw::<f64>()
                .map(|values| values.into_iter().map(|value| value as f32).collect()),
            StoredFloat::F16 => {
                dataset.read_raw::<u16>().map(|bits| bits.reinterpret_cast::<f16>().to_f32_vec())
            }
            StoredFloat::Bf16 => {
                dataset.read_raw::<u16>().map(|bits| bits.reinterpret_cast::<bf16>().to_f32_vec())
            }
        };
        values.map(Values::Owned).map_err(|error| self.fault(name, error))
    }
}

/// Size of a file, of which a byte is read: the library takes a failure for another format.
fn readable_size(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let _ = file.read(&mut [0])?;
    Ok(file.metadata()?.len())
}

/// Error of the library: a read that the operating system refused, or a malformed file.
fn fault(file: &str, object: &str, error: &Hdf5Error) -> PresetError {
    match os_error(error) {
        Some(error) => read_error(Path::new(file))(error).into(),
        None => KERAS_WEIGHTS.malformed(file, object, error.to_string()),
    }
}

/// The operating system's error. The library's public type hides it, but prints its code last, as
/// [`io::Error`] does.
fn os_error(error: &Hdf5Error) -> Option<io::Error> {
    let text = error.to_string();
    let (_, code) = text.strip_suffix(')')?.rsplit_once("(os error ")?;
    code.parse().ok().map(io::Error::from_raw_os_error)
}

/// Floats of a dataset in place, within the mapped file.
struct InPlace(MappedView<f32>);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use gpt2_files::FileError;

    use super::*;

    #[test]
    fn a_read_that_the_system_refuses_is_no_malformed_file() {
        let refused = Hdf5Error::Io(io::Error::from_raw_os_error(5));
        let error = fault("a.h5", "/", &refused);
        assert!(matches!(error, PresetError::File(FileError::Read { .. })), "{error}");
        for other in [
            Hdf5Error::Io(io::ErrorKind::UnexpectedEof.into()),
            Hdf5Error::NotFound("x".to_owned()),
        ] {
            let error = fault("a.h5", "/", &other);
            assert!(matches!(error, PresetError::Malformed { .. }), "{error}");
        }
    }
}
