//! The last checkpoint of a training, in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use gpt2_files::{Staging, read_error, remove_abandoned, sync_folder, write_error};
use gpt2_task::{BoxError, CheckpointStore, TrainingCheckpoint};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::local_folder::LocalFolder;
use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::tensors::safetensors::header::SAFETENSORS;
use crate::tensors::safetensors::named_writer as named_tensors_writer;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::WeightsFile;

/// The format, in messages. Damage cannot come from a process that was killed while it saved.
const TRAINING_CHECKPOINT: FileKind =
    FileKind { name: "training checkpoint", remedy: "remove it to begin the training anew" };

/// The file in the folder.
const FILE: &str = "training.checkpoint.safetensors";
/// The tensor with the bytes of the state as JSON: the format's header is limited, the state is not.
const STATE: &str = "state.json";
/// Value of `format` in the metadata; with another version if the content changes.
const FORMAT_NAME: &str = "gpt2_training_checkpoint_1";

/// Keeps the last checkpoint of a training in a folder, in one file.
///
/// A save writes beside the old file, down to the disk, and then takes its name: whenever the
/// process is killed, the folder holds the old checkpoint or the new one, whole. What a killed
/// process has left behind is removed by the next save or load. One tensor is on the host at a
/// time.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{CheckpointFolder, FromPreset};
/// use gpt2_task::{FitOptions, Gpt2CausalLm};
///
/// let folder = tempfile::tempdir()?;
/// let mut store = CheckpointFolder::new(folder.path().join("training"));
/// let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
/// let options = FitOptions::new().with_backup(&mut store, Some(100));
/// model.fit(&["ROMEO:\nA dog of that house shall move me to stand."], options)?;
/// assert!(!store.path().exists(), "the training has come to its end");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CheckpointFolder {
    folder: PathBuf,
}

impl CheckpointFolder {
    /// A store in this folder, which the first save creates if need be.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file with the checkpoint, if there is one.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn write(&self, checkpoint: &TrainingCheckpoint) -> Result<(), PresetError> {
        let tensors: Vec<_> = checkpoint
            .tensors
            .iter()
            .map(|(name, tensor)| NamedTensor {
                name: name.clone(),
                shape: tensor.dims().to_vec(),
                values: tensor.clone(),
            })
            .collect();
        let state = checkpoint.state.to_string();
        let mut files = Staging::new(&self.folder)?;
        files.file(FILE, |_, file| {
            let metadata = [("format", FORMAT_NAME.to_owned())];
            named_tensors_writer::write(file, &metadata, Some((STATE, state.as_bytes())), &tensors)
        })?;
        Ok(files.commit()?)
    }

    fn read(&self, device: &Device) -> Result<TrainingCheckpoint, PresetError> {
        let folder = LocalFolder::new(&self.folder);
        let mut file = SafetensorsFile::open(&folder, FILE, false)?;
        let format = file.metadata("format").unwrap_or("nothing");
        if format != FORMAT_NAME {
            return Err(self.damaged(format!("expected format `{FORMAT_NAME}`, found {format}")));
        }
        let state = file.read_bytes(STATE)?;
        let state = state.ok_or_else(|| self.damaged(format!("it has no `{STATE}`")))?;
        let state = serde_json::from_slice(&state);
        let state = state.map_err(|error| self.damaged(format!("`{STATE}`: {error}")))?;
        let mut tensors = BTreeMap::new();
        for name in file.names().into_iter().filter(|name| name != STATE) {
            let shape = file.inspect(&name)?;
            let [count] = shape[..] else {
                return Err(self.damaged(format!("`{name}` must be flat, found shape {shape:?}")));
            };
            let data: TensorData = file.read(&name, TensorPart::WHOLE, false)?.into_data(&[count]);
            tensors.insert(name, Tensor::from_data(data, device));
        }
        Ok(TrainingCheckpoint { state, tensors })
    }

    fn damaged(&self, detail: String) -> PresetError {
        TRAINING_CHECKPOINT.malformed(self.path().display().to_string(), "", detail)
    }
}

impl CheckpointStore for CheckpointFolder {
    fn save(&mut self, checkpoint: &TrainingCheckpoint) -> Result<(), BoxError> {
        Ok(self.write(checkpoint)?)
    }

    fn load(&mut self, device: &Device) -> Result<Option<TrainingCheckpoint>, BoxError> {
        let path = self.path();
        remove_abandoned(&path);
        if !exists(&path)? {
            return Ok(None);
        }
        match self.read(device) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(PresetError::Malformed { format, object, detail, .. })
                if format == SAFETENSORS.name =>
            {
                Err(self.damaged(format!("{object}: {detail}")).into())
            }
            Err(PresetError::UnsupportedElementType { tensor, found, .. }) => {
                Err(self.damaged(format!("`{tensor}` has elements of type {found}")).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn clear(&mut self) -> Result<(), BoxError> {
        let path = self.path();
        remove_abandoned(&path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(write_error(&path)(error).into())
            }
            _ => {
                sync_folder(&self.folder);
                Ok(())
            }
        }
    }
}

/// Whether there is a file. A folder that may not be searched is an error: to begin anew in
/// silence would lose a training.
fn exists(path: &Path) -> Result<bool, PresetError> {
    Ok(path.try_exists().map_err(read_error(path))?)
}
