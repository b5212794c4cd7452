//! Stage 6k: the tensors of a `pytorch_model.bin`, read as data: no code of it is run.
//!
//! The crate `pytorch-reader` turns pickles into tensors. What it leaves open is closed before: see
//! `pickle.rs`, and only containers that PyTorch writes are handed to it, with nothing compressed.
//! It finds out the container by itself, so what could be two of them at once is refused.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use pytorch_reader::{DType, FileFormat, PytorchReader, Tensor};

use crate::error::PresetError;
use crate::source::files::PresetFiles;
use crate::source::zip_members::ZipMembers;
use crate::tensors::float_reader::{Element, gathered};
use crate::tensors::part::Part;
use crate::tensors::pytorch::pickle::{MAX_PICKLE_SIZE, checked_length};
use crate::weights::checkpoint::{Values, WeightsFile};
use gpt2_files::read_error;

/// How many tensors are kept for the rest of their parts: a layer's kernel and bias of queries, keys
/// and values are read in turns, and so are two that are compared.
const KEPT: usize = 2;

/// An open checkpoint of PyTorch.
pub(crate) struct PytorchFile {
    /// What messages call it.
    display: String,
    reader: PytorchReader,
    /// Bytes that inspected tensors may still have. A view can claim any number, but only the
    /// output layer's is ever one of the same bytes as another: in all, not twice the file.
    unclaimed: u64,
    inspected: BTreeSet<String>,
    /// The last tensors of which parts were read, with their bytes: the reader gives them whole.
    kept: Vec<(String, Bytes)>,
}

impl PytorchFile {
    /// Checks the container and reads the names and shapes of its tensors.
    pub(crate) fn open(files: &PresetFiles, name: &str) -> Result<Self, PresetError> {
        let display = files.display(name);
        let io = |error| PresetError::from(read_error(Path::new(&display))(error));
        let Some(path) = files.path(name)? else {
            return Err(io(io::ErrorKind::Unsupported.into()));
        };
        let unclaimed = fs::metadata(&path).map_err(io)?.len().saturating_mul(2);
        let fail = |detail| PresetError::InvalidPytorch { file: display.clone(), detail };
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

    fn element(&self, name: &str) -> Result<Element, PresetError> {
        match self.tensor(name).dtype() {
            DType::F32 => Ok(Element::F32),
            DType::F16 => Ok(Element::F16),
            DType::BF16 => Ok(Element::Bf16),
            other => {
                let (tensor, found) = (name.to_owned(), format!("{other:?}"));
                Err(PresetError::UnsupportedElementType { tensor, found })
            }
        }
    }

    /// The bytes of a tensor. They are kept unless they are read `whole`: then, the tensors before
    /// are done with.
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
                let (file, detail) = (self.display.clone(), error.to_string());
                PresetError::InvalidPytorch { file, detail }
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

/// Checks the container of a file that begins so, and says which it is: the one for which
/// `detect_format` of `pytorch-reader` (`src/reader.rs`) takes the file too.
fn check_container(file: File, start: &[u8]) -> Result<FileFormat, String> {
    /// Where a header of TAR has its magic.
    const TAR_MAGIC: usize = 257;
    if start.get(TAR_MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Err("it is a TAR archive, which PyTorch has not written since 0.1.10".to_owned());
    }
    if start.starts_with(b"PK\x03\x04") {
        check_zip(file)?;
        return Ok(FileFormat::Zip);
    }
    if start.starts_with(b"PK") {
        return Err("it is a zip archive that does not begin with a member".to_owned());
    }
    check_legacy(start)?;
    Ok(FileFormat::Legacy)
}

/// Checks the container that PyTorch writes since 1.6: a zip archive with one pickle.
fn check_zip(file: File) -> Result<(), String> {
    let mut members = ZipMembers::open(file, |_| true)?;
    if !members.all_stored() {
        return Err("it is compressed".to_owned());
    }
    let pickles: Vec<_> = members.names().filter(|name| is_pickle(name)).collect();
    let [pickle] = pickles.as_slice() else {
        return Err(format!("{} members `data.pkl`, expected one", pickles.len()));
    };
    let (name, size) = (pickle.to_string(), members.size(pickle).unwrap_or_default());
    if size > MAX_PICKLE_SIZE as u64 {
        return Err(format!("{size} bytes of pickle, expected at most {MAX_PICKLE_SIZE}"));
    }
    let mut bytes = Vec::new();
    members.read(&name, |member| member.read_to_end(&mut bytes))?;
    checked_length(&bytes).map(|_| ())
}

fn is_pickle(member: &str) -> bool {
    member.rsplit('/').next() == Some("data.pkl")
}

/// Checks the container of older versions: a magic number, a version, what the machine was, the
/// state dict and the list of its storages, each a pickle, and then the storages.
fn check_legacy(start: &[u8]) -> Result<(), String> {
    const PICKLES: usize = 5;
    let mut position = 0;
    for index in 0..PICKLES {
        let rest = &start[position..];
        let length = checked_length(&rest[..rest.len().min(MAX_PICKLE_SIZE)])?;
        if index == 0 && !has_magic(&rest[..length]) {
            return Err("it is neither a zip archive nor has the magic number".to_owned());
        }
        position += length;
        if position > MAX_PICKLE_SIZE {
            return Err(format!("more than {MAX_PICKLE_SIZE} bytes of pickles"));
        }
    }
    Ok(())
}

/// Whether the first pickle has the magic number of `torch/serialization.py`, 0x1950a86a20f9469cfc6c,
/// where the reader looks for it: as bytes, or in decimal as pickles before version 2 have it.
fn has_magic(pickle: &[u8]) -> bool {
    const BYTES: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    const DECIMAL: &[u8] = b"119547037146038801333356";
    const SEARCHED: usize = 64;
    let searched = &pickle[..pickle.len().min(SEARCHED)];
    let has = |magic: &[u8]| searched.windows(magic.len()).any(|bytes| bytes == magic);
    has(BYTES) || has(DECIMAL)
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
                PresetError::InvalidPytorch { file: self.display.clone(), detail }
            })?;
        }
        Ok(shape)
    }

    fn read(&mut self, name: &str, part: Part, _share: bool) -> Result<Values, PresetError> {
        let element = self.element(name)?;
        let tensor = self.tensor(name);
        let shape = tensor.shape().to_vec();
        let is_whole = part.block(&shape).elements() == tensor.num_elements();
        let bytes = self.bytes(name, is_whole)?;
        let aligned = bytemuck::try_cast_slice::<u8, f32>(&bytes).is_ok();
        if part == Part::WHOLE && element == Element::F32 && aligned {
            return Ok(Values::Shared(bytes));
        }
        let Ok(values) = gathered(element, part, &shape, move |start, size, values| {
            element.decode(&bytes[start..][..size], values);
            Ok::<_, Infallible>(())
        });
        Ok(Values::Owned(values))
    }
}
