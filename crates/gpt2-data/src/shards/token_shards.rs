//! `TokenShards`: files of token ids as one stream.

use std::path::{Path, PathBuf};

use gpt2_task::Fingerprint;
use gpt2_tokenizer::TokenId;

use crate::error::DataError;
use crate::paths::{SHARD_EXTENSION, files_of, has_extension};
use crate::shards::token_shard::TokenShard;

/// Token ids of several files as one stream. Only the ids that are read are in memory.
///
/// The content of a file tells its format: nanoGPT's `train.bin` (only 16-bit ids), llm.c's (a
/// header before 16-bit ids), or that of [`Corpus::tokenize`].
///
/// ```
/// use gpt2_data::TokenShards;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("train.bin");
/// std::fs::write(&path, [[5, 0], [6, 0], [7, 0]].concat())?;
/// let shards = TokenShards::open(&[path])?;
/// let mut ids = [0; 2];
/// shards.read(1, &mut ids)?;
/// assert_eq!((shards.token_count(), ids), (3, [6, 7]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Corpus::tokenize`]: crate::Corpus::tokenize
#[derive(Debug)]
pub struct TokenShards {
    /// Position of the first id in the stream, and the file.
    shards: Vec<(u64, TokenShard)>,
    token_count: u64,
    fingerprint: u64,
}

impl TokenShards {
    /// Opens files in the given order. A folder stands for the `.bin` files in it and below it,
    /// sorted.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read),
    /// [`FileError::NotAFile`](gpt2_files::FileError::NotAFile), [`DataError::NoFiles`],
    /// [`DataError::InvalidShard`], and [`DataError::MixedShards`] for a folder with both training
    /// and validation data.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(shard_files(path.as_ref())?);
        }
        if files.is_empty() {
            return Err(DataError::NoFiles { path: PathBuf::new() });
        }
        let (mut shards, mut token_count) = (Vec::new(), 0);
        let mut fingerprint = Fingerprint::new();
        for file in files {
            let shard = TokenShard::open(&file)?;
            fingerprint = shard.add_to(fingerprint)?;
            let start = token_count;
            token_count += shard.tokens();
            shards.push((start, shard));
        }
        Ok(Self { shards, token_count, fingerprint: fingerprint.finish() })
    }

    /// Total number of ids.
    pub fn token_count(&self) -> u64 {
        self.token_count
    }

    /// Paths of the files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|(_, shard)| shard.path())
    }

    /// Reads ids from `position` of the stream on, across files.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read) if a file has been truncated since it was
    /// opened.
    ///
    /// # Panics
    ///
    /// If the stream has fewer than `position + ids.len()` ids.
    pub fn read(&self, position: u64, ids: &mut [TokenId]) -> Result<(), DataError> {
        assert!(
            ids.len() as u64 <= self.token_count && position <= self.token_count - ids.len() as u64,
            "{} ids from position {position} of {}",
            ids.len(),
            self.token_count
        );
        let (mut position, mut rest) = (position, ids);
        while !rest.is_empty() {
            let (shard, start) = self.locate(position);
            let count = (shard.tokens() - start).min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(count as usize);
            shard.read(start, now)?;
            (position, rest) = (position + count, later);
        }
        Ok(())
    }

    /// Hash of each file's number of ids and of the ids at both its ends.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// File of the id at `position`, and the position in that file.
    pub(crate) fn locate(&self, position: u64) -> (&TokenShard, u64) {
        let index = self.shards.partition_point(|(start, _)| *start <= position) - 1;
        let (start, shard) = &self.shards[index];
        (shard, position - start)
    }
}

/// Returns the file, or the `.bin` files in the folder.
fn shard_files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = files_of(path)?;
    if !path.is_dir() {
        return Ok(files);
    }
    files.retain(|file| has_extension(file, SHARD_EXTENSION));
    let named = |parts: &[&str]| {
        let names = files.iter().filter_map(|file| file.file_name()?.to_str());
        names.map(str::to_owned).find(|name| parts.iter().any(|part| name.contains(part)))
    };
    match (named(&["train"]), named(&["val", "test"])) {
        (Some(training), Some(validation)) => {
            Err(DataError::MixedShards { path: path.into(), training, validation })
        }
        _ if files.is_empty() => Err(DataError::NoFiles { path: path.into() }),
        _ => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(folder: &Path, name: &str, ids: &[u16]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>()).unwrap();
        path
    }

    #[test]
    fn files_are_read_as_one_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, "b_train.bin", &[3]);
        write(path, "a_train.bin", &[0, 1, 2]);
        write(path, "c_train.bin", &[4, 5]);
        fs::write(path.join("README.md"), "not ids").unwrap();
        let shards = TokenShards::open(&[path]).unwrap();
        assert_eq!(shards.token_count(), 6);
        for start in 0..6 {
            for end in start..=6 {
                let mut ids = vec![99; end - start];
                shards.read(start as u64, &mut ids).unwrap();
                assert!(
                    ids.iter().copied().eq(start as u32..end as u32),
                    "{start}..{end}: {ids:?}"
                );
            }
        }
        let files = ["c_train.bin", "a_train.bin"].map(|name| path.join(name));
        let shards = TokenShards::open(&files).unwrap();
        assert!(shards.paths().eq(files.iter().map(PathBuf::as_path)), "a list keeps its order");
        let mut ids = [0; 5];
        shards.read(0, &mut ids).unwrap();
        assert_eq!(ids, [4, 5, 0, 1, 2]);
    }

    #[test]
    fn validation_data_is_not_trained_on_by_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let training = write(folder.path(), "train.bin", &[1]);
        write(folder.path(), "val.bin", &[2]);
        let message = TokenShards::open(&[folder.path()]).unwrap_err().to_string();
        assert!(message.contains("(`train.bin`) and for validation (`val.bin`)"), "{message}");
        assert_eq!(TokenShards::open(&[training]).unwrap().token_count(), 1);
    }

    #[test]
    fn no_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.md"), "not ids").unwrap();
        for paths in [vec![], vec![folder.path()]] {
            let error = TokenShards::open(&paths).unwrap_err();
            assert!(matches!(error, DataError::NoFiles { .. }), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "2 ids from position 1 of 2")]
    fn reading_past_the_end_is_our_own_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "train.bin", &[1, 2]);
        let _ = TokenShards::open(&[path]).unwrap().read(1, &mut [0; 2]);
    }
}
