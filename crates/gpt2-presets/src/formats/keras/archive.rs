//! A `.keras` file as the folder of a KerasHub preset.
//!
//! Keras stores the whole task's config in one file, and the tokenizer's tables inside the
//! preprocessor. `config.json`, `task.json` and a preset's other files are parts of that config.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use gpt2_files::{FileError, read_error, write_error};
use serde_json::Value;
use tempfile::{Builder, TempPath};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::keras::config::is_of_class;
use crate::formats::keras::names::{
    MERGES_FILE, PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE,
    VOCABULARY_FILE, WEIGHTS,
};
use crate::source::json_object::JSON;
use crate::source::preset_folder::{MAX_TEXT_SIZE, PresetFolder};
use crate::source::zip_members::ZipMembers;

/// Kind of file, for messages.
const ARCHIVE: FileKind = FileKind { name: "Keras file", remedy: "save or download it again" };

/// Paths of the tokenizer's tables in a `.keras` file and in a preset.
const ASSETS: [(&str, &str); 2] = [
    ("assets/preprocessor/tokenizer/vocabulary.json", VOCABULARY_FILE),
    ("assets/preprocessor/tokenizer/merges.txt", MERGES_FILE),
];

/// A `.keras` file.
pub(crate) struct KerasArchive {
    path: PathBuf,
    /// Text files of the preset.
    texts: BTreeMap<&'static str, Bytes>,
    /// Whether the archive has weights.
    has_weights: bool,
    /// Copy of the weights, once requested.
    weights: Mutex<Option<TempPath>>,
}

impl KerasArchive {
    /// Whether a path ends as a `.keras` file's.
    pub(crate) fn is_at(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "keras") && path.is_file()
    }

    /// Opens the archive, checks all members, and reads the text files.
    pub(crate) fn open(path: &Path) -> Result<Self, PresetError> {
        let mut members = members(path)?;
        let config = text(&mut members, path, CONFIG_FILE)?;
        let mut texts = BTreeMap::new();
        for (member, name) in ASSETS {
            if let Some(text) = text(&mut members, path, member)? {
                texts.insert(name, text.into());
            }
        }
        if let Some(config) = config {
            add_configs(&mut texts, config, path)?;
        }
        let has_weights = members.size(WEIGHTS.whole).is_some();
        Ok(Self { path: path.to_owned(), texts, has_weights, weights: Mutex::new(None) })
    }

    fn is_weights(&self, name: &str) -> bool {
        self.has_weights && name == WEIGHTS.whole
    }

    /// Path of the weights, which HDF5 needs. They are copied to the system's temporary folder on
    /// first request; the copy is removed with the last clone of the preset.
    fn weights(&self) -> Result<PathBuf, PresetError> {
        let mut weights = self.weights.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(path) = &*weights {
            return Ok(path.to_path_buf());
        }
        let mut members = members(&self.path)?;
        // A new file that only this user can read. Existing links are not followed.
        let copy = Builder::new().prefix("gpt2-presets-").suffix(".weights.h5").tempfile();
        let mut copy = copy.map_err(write_error(&std::env::temp_dir()))?;
        let copied = members.read(WEIGHTS.whole, |member| copy_to(copy.as_file_mut(), member));
        let copied = copied.map_err(|detail| invalid(&self.path, detail))?;
        copied.map_err(write_error(copy.path()))?;
        Ok(weights.insert(copy.into_temp_path()).to_path_buf())
    }
}

impl PresetFolder for KerasArchive {
    /// Name of the archive, and of the member that has the file.
    fn display(&self, name: &str) -> String {
        let member = match name {
            TASK_CONFIG_FILE | PREPROCESSOR_CONFIG_FILE | TOKENIZER_CONFIG_FILE => CONFIG_FILE,
            _ => ASSETS.iter().find(|(_, file)| *file == name).map_or(name, |(member, _)| member),
        };
        self.path.join(member).display().to_string()
    }

    fn fetch(&self, name: &str) -> Result<bool, PresetError> {
        Ok(self.texts.contains_key(name) || self.is_weights(name))
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError> {
        if self.is_weights(name) { self.weights().map(Some) } else { Ok(None) }
    }

    fn memory(&self, name: &str) -> Option<Bytes> {
        self.texts.get(name).cloned()
    }
}

impl fmt::Debug for KerasArchive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KerasArchive").field("path", &self.path).finish_non_exhaustive()
    }
}

fn members(path: &Path) -> Result<ZipMembers, PresetError> {
    let file = File::open(path).map_err(read_error(path))?;
    let known = |name: &str| {
        name == CONFIG_FILE
            || name == WEIGHTS.whole
            || ASSETS.iter().any(|(member, _)| *member == name)
    };
    ZipMembers::open(file, known).map_err(|detail| invalid(path, detail))
}

fn text(
    members: &mut ZipMembers,
    path: &Path,
    member: &str,
) -> Result<Option<Vec<u8>>, PresetError> {
    match members.size(member) {
        None => Ok(None),
        Some(size) if size > MAX_TEXT_SIZE => {
            Err(FileError::TooLarge { path: path.join(member), size, limit: MAX_TEXT_SIZE }.into())
        }
        Some(_) => {
            let read = members.read(member, |member| {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).map(|_| bytes)
            });
            read.map(Some).map_err(|detail| invalid(path, detail))
        }
    }
}

/// Extracts the configs of a task. The config of any other object stays whole.
fn add_configs(
    texts: &mut BTreeMap<&'static str, Bytes>,
    config: Vec<u8>,
    path: &Path,
) -> Result<(), PresetError> {
    let file = path.join(CONFIG_FILE).display().to_string();
    let invalid = |detail: &str| JSON.malformed(&*file, "", detail);
    let json: Value =
        serde_json::from_slice(&config).map_err(|error| invalid(&error.to_string()))?;
    if !json.as_object().is_some_and(|json| is_of_class(json, "GPT2CausalLM")) {
        texts.insert(CONFIG_FILE, config.into());
        return Ok(());
    }
    let task = &json["config"];
    let Some(backbone) = task.get("backbone").filter(|backbone| backbone.is_object()) else {
        return Err(invalid("the `backbone` of a task must be an object"));
    };
    texts.insert(CONFIG_FILE, backbone.to_string().into());
    let preprocessor = &task["preprocessor"];
    let tokenizer = &preprocessor["config"]["tokenizer"];
    for (name, object) in
        [(PREPROCESSOR_CONFIG_FILE, preprocessor), (TOKENIZER_CONFIG_FILE, tokenizer)]
    {
        if object.is_object() {
            texts.insert(name, object.to_string().into());
        }
    }
    texts.insert(TASK_CONFIG_FILE, config.into());
    Ok(())
}

/// Copies a member to a file. The outer error is of reading, the inner one of writing.
fn copy_to(file: &mut File, member: &mut dyn Read) -> io::Result<io::Result<()>> {
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let count = match member.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(error) = file.write_all(&buffer[..count]) {
            return Ok(Err(error));
        }
    }
}

fn invalid(path: &Path, detail: String) -> PresetError {
    ARCHIVE.malformed(path.display().to_string(), "", detail)
}
