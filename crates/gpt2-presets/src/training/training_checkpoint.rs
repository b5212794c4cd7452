//! Last checkpoint of a training, in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use gpt2_files::{Staging, exists, remove_abandoned, sync_folder, write_error};
use gpt2_task::{BoxError, CheckpointStore, TrainingCheckpoint};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::checkpoint_file::CHECKPOINT_FILE;
use crate::source::local_folder::LocalFolder;
use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::tensors::safetensors::header::SAFETENSORS;
use crate::tensors::safetensors::named_writer as named_tensors_writer;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::WeightsFile;

/// Kind of file, for messages. A process that is killed while it saves does not damage the file.
const TRAINING_CHECKPOINT: FileKind =
    FileKind { name: "training checkpoint", remedy: "remove it to begin the training anew" };

/// Tensor with the state as JSON bytes: the format limits the header's size, but not a tensor's.
const STATE: &str = "state.json";
/// Value of the metadata key `format`. Its version changes with the content.
const FORMAT_NAME: &str = "gpt2_training_checkpoint_1";

/// Keeps the last checkpoint of a training in one file of a folder.
///
/// A save writes and syncs a new file next to the old one, then renames it. If the process is
/// killed, the folder has the complete old or new checkpoint. The next save or load removes other
/// remains of a killed process. Only one tensor at a time is on the host.
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
    /// Store in this folder, which the first save creates if missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Path of the file with the checkpoint, which may not exist yet.
    pub fn path(&self) -> PathBuf {
        self.folder.join(CHECKPOINT_FILE)
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
        files.file(CHECKPOINT_FILE, |_, file| {
            let metadata = [("format", FORMAT_NAME.to_owned())];
            named_tensors_writer::write(file, &metadata, Some((STATE, state.as_bytes())), &tensors)
        })?;
        Ok(files.commit()?)
    }

    fn read(&self, device: &Device) -> Result<TrainingCheckpoint, PresetError> {
        let folder = LocalFolder::new(&self.folder);
        let mut file = SafetensorsFile::open(&folder, CHECKPOINT_FILE, false)?;
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
        // An unreadable folder is an error: to silently start anew would lose a training.
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
