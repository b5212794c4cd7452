//! `open_training_data`: examples from paths.

use std::path::{Path, PathBuf};

use gpt2_tokenizer::Gpt2Tokenizer;

use crate::documents::corpus::Corpus;
use crate::error::DataError;
use crate::packed_dataset::PackedDataset;
use crate::paths::{CACHE_EXTENSION, SHARD_EXTENSION, files_of, has_extension};
use crate::shards::token_shards::TokenShards;
use crate::tokenize::tokenize_options::TokenizeOptions;

/// Options of [`open_training_data`].
#[derive(Debug, Clone)]
pub struct TrainingDataOptions {
    sequence_length: usize,
    stride: Option<usize>,
    text_key: Option<String>,
    tokenize: TokenizeOptions,
}

impl TrainingDataOptions {
    /// Options for examples of `sequence_length` targets that do not overlap. `tokenize` holds the
    /// options for tokenizing texts.
    pub fn new(sequence_length: usize, tokenize: TokenizeOptions) -> Self {
        Self { sequence_length, stride: None, text_key: None, tokenize }
    }

    /// Sets the number of tokens between the starts of two examples; see
    /// [`PackedDataset::with_stride`].
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = Some(stride);
        self
    }

    /// Sets the key of the text in a JSON object; see [`Corpus::with_text_key`].
    #[must_use]
    pub fn with_text_key(mut self, text_key: impl Into<String>) -> Self {
        self.text_key = Some(text_key.into());
        self
    }
}

/// Opens training data from text files, `.jsonl` files, `.bin` and `.tokens` files of token ids,
/// and folders.
///
/// The examples follow the order of the paths. From a folder with `.bin` files only these are used;
/// other files in it are ignored. An id above the tokenizer's largest id is an error when it is
/// read.
///
/// ```
/// use gpt2_data::{TokenizeOptions, TrainingDataOptions, open_training_data};
/// use gpt2_task::Dataset;
/// use gpt2_tokenizer::Gpt2Tokenizer;
///
/// # let folder = tempfile::tempdir()?;
/// # let (text, cache) = (folder.path().join("hamlet.txt"), folder.path().join("cache"));
/// std::fs::write(&text, "To be, or not to be, that is the question:")?;
/// // Without merges, each byte is a token.
/// let tokenizer = Gpt2Tokenizer::train(["any"], 257)?;
/// let options = TrainingDataOptions::new(9, TokenizeOptions::new(cache));
/// let data = open_training_data(&[text], &tokenizer, &options)?;
/// assert_eq!(tokenizer.detokenize(&data.batch(&[0])?.x.token_ids()[0])?, "To be, or");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`Corpus::open`], [`Corpus::tokenize`], [`TokenShards::open`], [`PackedDataset::new`]
/// and [`PackedDataset::with_stride`].
pub fn open_training_data(
    paths: &[impl AsRef<Path>],
    tokenizer: &Gpt2Tokenizer,
    options: &TrainingDataOptions,
) -> Result<PackedDataset, DataError> {
    let (mut shards, mut texts): (Vec<PathBuf>, Vec<&Path>) = (Vec::new(), Vec::new());
    for path in paths.iter().map(AsRef::as_ref) {
        if holds_shards(path)? {
            shards.extend(tokenized(&texts, tokenizer, options)?);
            shards.push(path.into());
            texts.clear();
        } else {
            texts.push(path);
        }
    }
    shards.extend(tokenized(&texts, tokenizer, options)?);
    let shards = TokenShards::open(&shards)?;
    let vocabulary_size = tokenizer.max_token_id() as usize + 1;
    let data = PackedDataset::new(shards, options.sequence_length, vocabulary_size)?;
    match options.stride {
        Some(stride) => data.with_stride(stride),
        None => Ok(data),
    }
}

/// Whether a path leads to token ids. A `.tokens` file inside a folder of texts does not count.
fn holds_shards(path: &Path) -> Result<bool, DataError> {
    let files = files_of(path)?;
    let is_cache = path.is_file() && has_extension(path, CACHE_EXTENSION);
    Ok(is_cache || files.iter().any(|file| has_extension(file, SHARD_EXTENSION)))
}

/// Returns the files with the token ids of the texts. Empty if there are no texts.
fn tokenized(
    texts: &[&Path],
    tokenizer: &Gpt2Tokenizer,
    options: &TrainingDataOptions,
) -> Result<Vec<PathBuf>, DataError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut corpus = Corpus::open(texts)?;
    if let Some(text_key) = &options.text_key {
        corpus = corpus.with_text_key(text_key);
    }
    let shards = corpus.tokenize(tokenizer, &options.tokenize)?;
    Ok(shards.paths().map(Path::to_path_buf).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gpt2_task::Dataset;

    use gpt2_files::FileError;

    use super::*;

    /// Texts, JSON lines and token ids, each in a folder of its own.
    fn files() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("texts/a.txt", &b"ab"[..]),
            ("lines/b.jsonl", b"{\"body\": \"c\"}\n"),
            ("ids/0.bin", &[7, 0, 8, 0]),
            ("ids/input.txt", b"what the ids were made of"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn open(paths: &[PathBuf], folder: &Path) -> Result<PackedDataset, DataError> {
        // Without merges, each byte is a token; `<|endoftext|>` has the id 256.
        let tokenizer = Gpt2Tokenizer::train(["any"], 257).unwrap();
        let tokenize = TokenizeOptions::new(folder.join("cache"));
        let options = TrainingDataOptions::new(1, tokenize).with_stride(2).with_text_key("body");
        open_training_data(paths, &tokenizer, &options)
    }

    #[test]
    fn texts_and_ids_are_one_stream_in_the_order_of_the_paths() {
        let folder = files();
        let paths = ["lines", "ids", "texts/a.txt", "lines/b.jsonl"];
        let data = open(&paths.map(|name| folder.path().join(name)), folder.path()).unwrap();
        let (a, b, c, end) = (64, 65, 66, 256);
        let mut ids = vec![0; data.shards().token_count() as usize];
        data.shards().read(0, &mut ids).unwrap();
        assert_eq!(ids, [c, end, 7, 8, a, b, end, c, end]);
        assert_eq!(data.len(), 4, "a stride of 2");
        assert_eq!(data.batch(&[1]).unwrap().y, [[8]]);
    }

    #[test]
    fn a_cache_below_the_texts_is_no_part_of_them() {
        let folder = files();
        let texts = folder.path().join("texts");
        for _ in 0..2 {
            let data = open(std::slice::from_ref(&texts), &texts).unwrap();
            assert_eq!(data.shards().token_count(), 3);
        }
        let data = open(std::slice::from_ref(&texts), &texts).unwrap();
        let cache: Vec<PathBuf> = data.shards().paths().map(Path::to_path_buf).collect();
        assert_eq!(open(&cache, folder.path()).unwrap().shards().token_count(), 3);
    }

    #[test]
    fn faults_of_the_paths_are_found() {
        let folder = files();
        let error = open(&[folder.path().join("absent")], folder.path()).unwrap_err();
        assert!(matches!(error, DataError::File(FileError::Read { .. })), "{error}");
        let error = open(&[], folder.path()).unwrap_err();
        assert!(matches!(error, DataError::NoFiles { .. }), "{error}");
    }
}
