//! Stage 2: the files of a preset, in a folder, in a `.keras` file or inside this library; or the
//! one GGUF file that it is.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpt2_files::{read_bounded, read_error, regular_file, utf8};
use gpt2_hub::{HubHandle, RemoteFolder, blobs_of_snapshot};

use crate::PresetError;
use crate::formats::gguf::keys::MAGIC;
use crate::formats::keras::archive::KerasArchive;
use crate::locate::{Location, locate};

/// Size in bytes above which a text file is refused unread. GPT-2's vocabulary has one megabyte.
pub(crate) const MAX_TEXT_SIZE: u64 = 64 * 1024 * 1024;

/// How hubs are asked; as the environment says where none.
#[cfg(feature = "hub")]
pub(crate) type HubAccess = Option<gpt2_hub::HubOptions>;
/// This library was compiled without hubs.
#[cfg(not(feature = "hub"))]
pub(crate) type HubAccess = ();

/// What a preset that is one GGUF file calls it, whatever its name is.
pub(crate) const GGUF_FILE: &str = "model.gguf";
/// How the names of such files end, mostly.
const GGUF_EXTENSION: &str = "gguf";

/// The files of one preset. All reading goes through here.
#[derive(Debug, Clone)]
pub(crate) enum PresetFiles {
    /// A folder on the disk.
    Folder(PathBuf),
    /// A `.keras` file.
    Archive(Arc<KerasArchive>),
    /// One GGUF file.
    Gguf(PathBuf),
    /// A folder on a hub.
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "nothing is downloaded then"))]
    Remote(Arc<dyn RemoteFolder>),
    /// Files inside this library: name and content.
    #[cfg_attr(not(feature = "bundled"), allow(dead_code, reason = "nothing is embedded then"))]
    Embedded(&'static [(&'static str, &'static [u8])]),
}

/// A file that may be large, ready to be read in parts.
#[derive(Debug)]
pub(crate) enum Blob {
    /// On the disk.
    File(File),
    /// Inside this library.
    Embedded(&'static [u8]),
}

impl PresetFiles {
    /// Finds the files of a preset.
    pub(crate) fn find(preset: &str, hub: &HubAccess) -> Result<Self, PresetError> {
        match locate(preset)? {
            Location::Bundled => bundled(preset),
            Location::Local(path) if path.is_dir() => Ok(Self::Folder(path)),
            Location::Local(path) if is_named_gguf(&path) || is_gguf(&path) => Ok(Self::Gguf(path)),
            Location::Local(path) if KerasArchive::is_at(&path) => {
                Ok(Self::Archive(Arc::new(KerasArchive::open(&path)?)))
            }
            Location::Local(path) => Err(PresetError::NotADirectory { path }),
            Location::Hub(sources) => remote(preset, &sources, hub),
        }
    }

    /// The preset that is one GGUF file: this one, or that of a folder which holds a single one.
    pub(crate) fn gguf(&self, preset: &str) -> Result<Option<Self>, PresetError> {
        let Self::Folder(folder) = self else {
            return Ok(matches!(self, Self::Gguf(_)).then(|| self.clone()));
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(read_error(folder))? {
            let path = entry.map_err(read_error(folder))?.path();
            if is_named_gguf(&path) {
                found.push(path);
            }
        }
        if found.len() > 1 {
            return Err(PresetError::MissingFile {
                preset: preset.to_owned(),
                file: "config.json".to_owned(),
                remedy: "there are several `.gguf` files, so pass the path of one of them",
            });
        }
        Ok(found.pop().map(Self::Gguf))
    }

    /// What messages call a file.
    pub(crate) fn display(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Archive(archive) => archive.display(name),
            Self::Gguf(path) => path.display().to_string(),
            Self::Remote(remote) => remote.display(name),
            Self::Embedded(_) => name.to_owned(),
        }
    }

    /// Whether anything has this name. On a hub it is downloaded then.
    pub(crate) fn has(&self, name: &str) -> Result<bool, PresetError> {
        match self {
            Self::Folder(folder) => Ok(folder.join(name).exists()),
            Self::Archive(archive) => Ok(archive.has(name)),
            Self::Gguf(path) => Ok(name == GGUF_FILE && path.exists()),
            Self::Remote(remote) => Ok(remote.fetch(name)?.is_some()),
            Self::Embedded(files) => Ok(files.iter().any(|(file, _)| *file == name)),
        }
    }

    /// The first of these choices of which all files are there.
    ///
    /// Where the hub cannot be asked, what is in the cache goes before what may be on the hub; if
    /// no choice is in the cache, the error is that of the first one.
    pub(crate) fn first_of<'a>(
        &self,
        choices: impl IntoIterator<Item = &'a [&'a str]>,
    ) -> Result<Option<usize>, PresetError> {
        let mut unknown = None;
        for (index, names) in choices.into_iter().enumerate() {
            match self.has_all(names) {
                Ok(true) => return Ok(Some(index)),
                Ok(false) => {}
                Err(error) if self.is_unknown(&error) => unknown = unknown.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        unknown.map_or(Ok(None), Err)
    }

    /// Whether a file is there that a preset may lack.
    ///
    /// As for the hubs' own clients, it is absent where the hub cannot be asked, if the cache has
    /// the weights: their `snapshot_download` leaves no note of what a model does not have.
    pub(crate) fn has_optional(&self, name: &str) -> Result<bool, PresetError> {
        match self.has(name) {
            Err(error) if self.is_unknown(&error) && self.has_cached_weights() => Ok(false),
            result => result,
        }
    }

    fn has_all(&self, names: &[&str]) -> Result<bool, PresetError> {
        for name in names {
            if !self.has(name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an error says no more than that nobody could be asked.
    fn is_unknown(&self, error: &PresetError) -> bool {
        let Self::Remote(remote) = self else { return false };
        matches!(error, PresetError::Hub(error) if error.is_out_of_reach())
            && remote.uses_cache_alone()
    }

    fn has_cached_weights(&self) -> bool {
        let Self::Remote(remote) = self else { return false };
        let extensions = ["h5", "safetensors", "bin"];
        remote.cached_files().iter().any(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        })
    }

    /// The path of a regular file; none for a file inside this library.
    pub(crate) fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError> {
        let path = match self {
            Self::Folder(folder) => folder.join(name),
            Self::Archive(archive) if archive.is_weights(name) => {
                return archive.weights().map(Some);
            }
            Self::Archive(_) => return Ok(None),
            Self::Gguf(path) if name == GGUF_FILE => path.clone(),
            Self::Gguf(_) => return Err(self.absent(name)),
            Self::Remote(remote) => match remote.fetch(name)? {
                Some(path) => path,
                None => return Err(self.absent(name)),
            },
            Self::Embedded(_) => return Ok(None),
        };
        regular_file(&path)?;
        Ok(Some(path))
    }

    /// Opens a file to read parts of it.
    pub(crate) fn open(&self, name: &str) -> Result<Blob, PresetError> {
        if let Some(path) = self.path(name)? {
            return Ok(Blob::File(File::open(&path).map_err(read_error(&path))?));
        }
        match self {
            Self::Embedded(files) => match files.iter().find(|(file, _)| *file == name) {
                Some((_, bytes)) => Ok(Blob::Embedded(bytes)),
                None => Err(self.absent(name)),
            },
            _ => Err(self.absent(name)),
        }
    }

    fn absent(&self, name: &str) -> PresetError {
        read_error(Path::new(&self.display(name)))(std::io::ErrorKind::NotFound.into()).into()
    }

    /// Reads a whole text file of at most 64 MiB.
    pub(crate) fn read_text(&self, name: &str) -> Result<String, PresetError> {
        let path = PathBuf::from(self.display(name));
        let bytes = match self {
            Self::Archive(archive) => archive.text(name).ok_or_else(|| self.absent(name))?.to_vec(),
            _ => match self.open(name)? {
                Blob::Embedded(bytes) => bytes.to_vec(),
                Blob::File(file) => read_bounded(file, &path, MAX_TEXT_SIZE)?,
            },
        };
        Ok(utf8(bytes, &path)?)
    }

    /// Checks that a shard's name, which an index file chooses, stays inside the folder.
    ///
    /// It must be a plain name, and no link that leaves the folder. One exception keeps the cache
    /// of Hugging Face usable: a link from `snapshots/<revision>/` into `blobs/` beside it.
    pub(crate) fn check_shard(&self, index: &str, name: &str) -> Result<(), PresetError> {
        let refuse = |why| {
            let (index, name) = (self.display(index), name.to_owned());
            Err(PresetError::UnsafeShardName { index, name, why })
        };
        if name.is_empty() || name.contains(['/', '\\', ':', '\0']) || name == "." || name == ".." {
            return refuse("it is empty, relative, or has separators");
        }
        // A hub's file goes where the download puts it.
        let Self::Folder(folder) = self else { return Ok(()) };
        let (Ok(folder), Ok(target)) = (folder.canonicalize(), folder.join(name).canonicalize())
        else {
            // Absent: reported as such when it is opened.
            return Ok(());
        };
        let home = target.parent();
        if home == Some(&folder) || home == blobs_of_snapshot(&folder).as_deref() {
            Ok(())
        } else {
            refuse("it is a link out of the folder")
        }
    }
}

fn is_named_gguf(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(GGUF_EXTENSION))
}

/// Whether a regular file begins as such a file does, whatever its name is.
fn is_gguf(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    // To open a pipe would wait for its other end.
    let read = path.is_file().then(|| File::open(path)?.read_exact(&mut magic));
    matches!(read, Some(Ok(()))) && magic == *MAGIC
}

#[cfg(feature = "bundled")]
fn bundled(_preset: &str) -> Result<PresetFiles, PresetError> {
    Ok(PresetFiles::Embedded(crate::open::bundled::FILES))
}

#[cfg(not(feature = "bundled"))]
fn bundled(preset: &str) -> Result<PresetFiles, PresetError> {
    Err(PresetError::NotBundled { preset: preset.to_owned() })
}

#[cfg(feature = "hub")]
fn remote(
    preset: &str,
    sources: &[HubHandle],
    hub: &HubAccess,
) -> Result<PresetFiles, PresetError> {
    let from_environment = gpt2_hub::HubOptions::default;
    let options = hub.clone().unwrap_or_else(from_environment);
    Ok(PresetFiles::Remote(gpt2_hub::open(preset, sources, "config.json", &options)?))
}

#[cfg(not(feature = "hub"))]
fn remote(
    preset: &str,
    sources: &[HubHandle],
    _hub: &HubAccess,
) -> Result<PresetFiles, PresetError> {
    let (preset, handle) = (preset.to_owned(), sources[0].to_string());
    Err(PresetError::HubDisabled { preset, handle })
}
