//! Tensors of a `pytorch_model.bin`, read as data: no code in it is run.
//!
//! The crate `pytorch-reader` converts pickles to tensors. It gets only containers that were
//! checked: see `container.rs` and `pickle.rs`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use gpt2_files::read_error;
use pytorch_reader::{DType, PytorchReader, Tensor};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::preset_folder::PresetFolder;
use crate::tensors::element_type::{BF16, ElementType, F16, F32, FLOAT_NAMES};
use crate::tensors::float_reader::gathered;
use crate::tensors::pytorch::container::check_container;
use crate::tensors::pytorch::pickle::MAX_PICKLE_SIZE;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::{Values, WeightsFile};

/// Kind of file, for messages.
const PYTORCH: FileKind = FileKind {
    name: "checkpoint of PyTorch that can be read without running code",
    remedy: "convert it on a machine where that does not matter, with transformers' \
             `save_pretrained(folder, safe_serialization=True)`, and load `model.safetensors`",
};

/// Number of tensors to keep for reads of their other parts. The kernel and bias of queries, keys
/// and values are read in alternation, and so are two tensors that are compared.
const KEPT: usize = 2;

/// An open checkpoint of PyTorch.
pub(crate) struct PytorchFile {
    /// Name in messages.
    display: String,
    reader: PytorchReader,
    /// Bytes that tensors not yet inspected may have. A view can declare any size, but only the
    /// output layer's bytes ever belong to a second tensor: the sum stays below twice the file's
    /// size.
    unclaimed: u64,
    inspected: BTreeSet<String>,
    /// The tensors last read in part, with their bytes: the reader returns only whole tensors.
    kept: Vec<(String, Bytes)>,
}

impl PytorchFile {
    /// Checks the container and reads the names and shapes of its tensors.
    pub(crate) fn open(folder: &dyn PresetFolder, name: &str) -> Result<Self, PresetError> {
        let display = folder.display(name);
        let io = |error| PresetError::from(read_error(Path::new(&display))(error));
        let Some(path) = folder.path(name)? else {
            return Err(io(io::ErrorKind::Unsupported.into()));
        };
        let unclaimed = fs::metadata(&path).map_err(io)?.len().saturating_mul(2);
        let fail = |detail: String| PYTORCH.malformed(&*display, "", detail);
        let mut file = File::open(&path).map_err(io)?;
        let mut start = Vec::new();
        let limit = 4 * MAX_PICKLE_SIZE as u64;
        file.by_ref().take(limit).read_to_end(&mut start).map_err(io)?;
        let checked = check_container(file, &start).map_err(fail)?;
        drop(start);
        let reader = PytorchReader::new(&path).map_err(|error| fail(error.to_string()))?;
        let found = &reader.metadata().format_type;
        if *found != checked {
            return Err(fail(format!("it was checked as {checked:?} and read as {found:?}")));
        }
        Ok(Self { display, reader, unclaimed, inspected: BTreeSet::new(), kept: Vec::new() })
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.reader.get(name).unwrap_or_else(|| unreachable!("`{name}` is not one of `names`"))
    }

    fn element(&self, name: &str) -> Result<&'static ElementType, PresetError> {
        match self.tensor(name).dtype() {
            DType::F32 => Ok(&F32),
            DType::F16 => Ok(&F16),
            DType::BF16 => Ok(&BF16),
            other => {
                let (tensor, found) = (name.to_owned(), format!("{other:?}"));
                let expected = FLOAT_NAMES.to_owned();
                Err(PresetError::UnsupportedElementType { tensor, found, expected })
            }
        }
    }

    /// Bytes of a tensor. They are kept unless `whole`: then the kept tensors are not needed any
    /// more.
    fn bytes(&mut self, name: &str, whole: bool) -> Result<Bytes, PresetError> {
        let kept = self.kept.iter().find(|(kept, _)| kept == name);
        let kept = kept.map(|(_, bytes)| bytes.clone());
        if whole {
            self.kept.clear();
        }
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        let bytes = self.tensor(name).read().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                PYTORCH.malformed(&*self.display, "", error.to_string())
            }
            _ => read_error(Path::new(&self.display))(error).into(),
        })?;
        let bytes = Bytes::from(bytes);
        if !whole {
            self.kept.push((name.to_owned(), bytes.clone()));
        }
        Ok(bytes)
    }
}

impl WeightsFile for PytorchFile {
    fn names(&self) -> Vec<String> {
        self.reader.keys()
    }

    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError> {
        self.element(name)?;
        let tensor = self.tensor(name);
        let (shape, bytes) = (tensor.shape().to_vec(), tensor.byte_len() as u64);
        if self.inspected.insert(name.to_owned()) {
            self.unclaimed = self.unclaimed.checked_sub(bytes).ok_or_else(|| {
                let detail = format!("`{name}` of shape {shape:?} is more than the file holds");
                PYTORCH.malformed(&*self.display, "", detail)
            })?;
        }
        Ok(shape)
    }

    fn read(&mut self, name: &str, part: TensorPart, _share: bool) -> Result<Values, PresetError> {
        let element = self.element(name)?;
        let tensor = self.tensor(name);
        let shape = tensor.shape().to_vec();
        let is_whole = part.rectangle(&shape).elements() == tensor.num_elements();
        let bytes = self.bytes(name, is_whole)?;
        let aligned = bytemuck::try_cast_slice::<u8, f32>(&bytes).is_ok();
        if part == TensorPart::WHOLE && *element == F32 && aligned {
            return Ok(Values::Shared(bytes));
        }
        let Ok(values) = gathered(element, part, &shape, move |start, size, values| {
            (element.decode)(&bytes[start..][..size], values);
            Ok::<_, Infallible>(())
        });
        Ok(Values::Owned(values))
    }
}
