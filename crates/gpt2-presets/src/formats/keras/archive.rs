//! Stage 2c: a `.keras` file, seen as the folder of a KerasHub preset.
//!
//! Keras puts the config of the whole task into one file, and the tokenizer's tables below the
//! preprocessor. `config.json`, `task.json` and the others of a preset are parts of that.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::{Builder, TempPath};

use crate::error::PresetError;
use crate::formats::format::CONFIG_FILE;
use crate::formats::keras::config::{
    PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE, is_of_class,
};
use crate::formats::keras::shards::WHOLE;
use crate::formats::tokenizer::{KERAS_MERGES, KERAS_VOCABULARY};
use crate::source::files::MAX_TEXT_SIZE;
use crate::source::zip_members::ZipMembers;
use gpt2_files::write_error;
use gpt2_files::{FileError, read_error};

/// Where the tokenizer's tables of a task are, and where in a preset.
const ASSETS: [(&str, &str); 2] = [
    ("assets/preprocessor/tokenizer/vocabulary.json", KERAS_VOCABULARY),
    ("assets/preprocessor/tokenizer/merges.txt", KERAS_MERGES),
];

/// A `.keras` file.
pub(crate) struct KerasArchive {
    path: PathBuf,
    /// The text files of the preset.
    texts: BTreeMap<&'static str, Vec<u8>>,
    /// Whether there are weights.
    has_weights: bool,
    /// The weights, once they were asked for.
    weights: Mutex<Option<TempPath>>,
}

impl KerasArchive {
    /// Whether a path is that of such a file.
    pub(crate) fn is_at(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "keras") && path.is_file()
    }

    /// Opens the archive, checks all its members and reads the text files.
    pub(crate) fn open(path: &Path) -> Result<Self, PresetError> {
        let mut members = members(path)?;
        let config = text(&mut members, path, CONFIG_FILE)?;
        let mut texts = BTreeMap::new();
        for (member, name) in ASSETS {
            if let Some(text) = text(&mut members, path, member)? {
                texts.insert(name, text);
            }
        }
        if let Some(config) = config {
            add_configs(&mut texts, config, path)?;
        }
        let has_weights = members.size(WHOLE).is_some();
        Ok(Self { path: path.to_owned(), texts, has_weights, weights: Mutex::new(None) })
    }

    /// What messages call a file of the preset: the archive, and the member that it is or is in.
    pub(crate) fn display(&self, name: &str) -> String {
        let member = match name {
            TASK_CONFIG_FILE | PREPROCESSOR_CONFIG_FILE | TOKENIZER_CONFIG_FILE => CONFIG_FILE,
            _ => ASSETS.iter().find(|(_, file)| *file == name).map_or(name, |(member, _)| member),
        };
        self.path.join(member).display().to_string()
    }

    /// Whether the preset has this file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name) || self.is_weights(name)
    }

    /// Whether this file is that of the weights.
    pub(crate) fn is_weights(&self, name: &str) -> bool {
        self.has_weights && name == WHOLE
    }

    /// A text file of the preset.
    pub(crate) fn text(&self, name: &str) -> Option<&[u8]> {
        self.texts.get(name).map(Vec::as_slice)
    }

    /// The path of the weights: a copy in the system's folder for temporary files, made when it is
    /// first asked for and removed with the last copy of the preset. HDF5 is read by path.
    pub(crate) fn weights(&self) -> Result<PathBuf, PresetError> {
        let mut weights = self.weights.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(path) = &*weights {
            return Ok(path.to_path_buf());
        }
        let mut members = members(&self.path)?;
        // Never through a link that someone has laid, and for nobody else.
        let copy = Builder::new().prefix("gpt2-presets-").suffix(".weights.h5").tempfile();
        let mut copy = copy.map_err(write_error(&std::env::temp_dir()))?;
        let copied = members.read(WHOLE, |member| copy_to(copy.as_file_mut(), member));
        let copied = copied.map_err(|detail| invalid(&self.path, detail))?;
        copied.map_err(write_error(copy.path()))?;
        Ok(weights.insert(copy.into_temp_path()).to_path_buf())
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
        name == CONFIG_FILE || name == WHOLE || ASSETS.iter().any(|(member, _)| *member == name)
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

/// Takes the config of a task apart. That of anything else stands for itself.
fn add_configs(
    texts: &mut BTreeMap<&'static str, Vec<u8>>,
    config: Vec<u8>,
    path: &Path,
) -> Result<(), PresetError> {
    let file = path.join(CONFIG_FILE).display().to_string();
    let json: Value = serde_json::from_slice(&config).map_err(|error| {
        PresetError::InvalidJson { file: file.clone(), detail: error.to_string() }
    })?;
    if !json.as_object().is_some_and(|json| is_of_class(json, "GPT2CausalLM")) {
        texts.insert(CONFIG_FILE, config);
        return Ok(());
    }
    let task = &json["config"];
    let Some(backbone) = task.get("backbone").filter(|backbone| backbone.is_object()) else {
        let detail = "the `backbone` of a task must be an object".to_owned();
        return Err(PresetError::InvalidJson { file, detail });
    };
    texts.insert(CONFIG_FILE, backbone.to_string().into_bytes());
    let preprocessor = &task["preprocessor"];
    let tokenizer = &preprocessor["config"]["tokenizer"];
    for (name, object) in
        [(PREPROCESSOR_CONFIG_FILE, preprocessor), (TOKENIZER_CONFIG_FILE, tokenizer)]
    {
        if object.is_object() {
            texts.insert(name, object.to_string().into_bytes());
        }
    }
    texts.insert(TASK_CONFIG_FILE, config);
    Ok(())
}

/// Copies a member to a file. The outer error is one of reading, the inner one of writing.
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
    PresetError::InvalidArchive { path: path.to_owned(), detail }
}
