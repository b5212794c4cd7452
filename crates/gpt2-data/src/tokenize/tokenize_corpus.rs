//! `Corpus::tokenize`: a corpus as a cached file of token ids.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

use gpt2_files::{Staging, write_error};
use gpt2_task::Fingerprint;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::documents::corpus::Corpus;
use crate::error::{DataError, check_positive};
use crate::paths::CACHE_EXTENSION;
use crate::shards::token_cache::{CacheHeader, CacheWriter};
use crate::shards::token_shards::TokenShards;
use crate::tokenize::tokenize_options::TokenizeOptions;
use crate::tokenize::tokenize_parts::{next_batch, tokenize_parts};

impl Corpus {
    /// Tokenizes all documents, in order, into a file of the cache folder.
    ///
    /// The file is written completely or not at all. It is reused while the tokenizer, the options,
    /// and the files' sizes and modification times stay the same.
    ///
    /// The tokenizer's `sequence_length` is ignored. Its other options apply: `<|endoftext|>` in a
    /// text is an end token unless `special_text` says otherwise. A document without tokens gets no
    /// end token.
    ///
    /// Each thread holds a few mebibytes of text in memory. It holds more for a longer line of a
    /// `.jsonl` file, and for text that [`Gpt2Tokenizer::last_cut`] cannot cut.
    ///
    /// # Errors
    ///
    /// Those of [`documents`](Self::documents), [`DataError::Untokenizable`],
    /// [`DataError::NoTokens`], [`DataError::CorpusChanged`],
    /// [`FileError::Write`](gpt2_files::FileError::Write), and [`DataError::InvalidOption`] for 0
    /// threads.
    pub fn tokenize(
        &self,
        tokenizer: &Gpt2Tokenizer,
        options: &TokenizeOptions,
    ) -> Result<TokenShards, DataError> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let threads = options.threads.unwrap_or_else(cores);
        check_positive("threads", threads)?;
        let mut config = tokenizer.config().clone();
        config.sequence_length = None;
        let tokenizer = tokenizer.with_config(config)?;

        let end_tokens = u64::from(options.end_tokens);
        let header = CacheHeader {
            width: if u16::try_from(tokenizer.max_token_id()).is_ok() { 2 } else { 4 },
            tokens: 0,
            tokenizer: tokenizer_fingerprint(&tokenizer),
            corpus: self.fingerprint().with_number(end_tokens).finish(),
        };
        // The name identifies the corpus and the header its state: a newer state replaces the older
        // file.
        let identity = self.identity().with_number(end_tokens).with_number(header.tokenizer);
        let name = format!("{:016x}.{}", identity.finish(), CACHE_EXTENSION);
        let path = options.cache_folder.join(&name);
        if let Some(shards) = reusable(&path, header) {
            return Ok(shards);
        }
        let mut files = Staging::new(&options.cache_folder)?;
        files.fallible_file(&name, |_, file| {
            let writer = CacheWriter::new(file, header).map_err(write_error(&path))?;
            let written = self.write_tokens(&tokenizer, options, threads, writer, &path)?;
            self.check_unchanged()?;
            if written == 0 { Err(self.no_tokens()) } else { Ok(()) }
        })?;
        files.commit()?;
        TokenShards::open(&[path])
    }

    /// Writes the ids of all documents and returns their number.
    fn write_tokens(
        &self,
        tokenizer: &Gpt2Tokenizer,
        options: &TokenizeOptions,
        threads: usize,
        mut writer: CacheWriter<'_>,
        path: &Path,
    ) -> Result<u64, DataError> {
        let cut = |text: &str| tokenizer.last_cut(text);
        let mut parts = self.parts(&cut);
        let end_token = [tokenizer.end_token_id()];
        let (mut done, mut document_has_tokens) = (0, false);
        loop {
            let batch = next_batch(&mut parts, threads, self.block)?;
            if batch.is_empty() {
                break;
            }
            for (part, ids) in batch.iter().zip(tokenize_parts(tokenizer, &batch, threads)?) {
                writer.write(&ids).map_err(write_error(path))?;
                document_has_tokens |= !ids.is_empty();
                if part.ends_document {
                    if document_has_tokens && options.end_tokens {
                        writer.write(&end_token).map_err(write_error(path))?;
                    }
                    document_has_tokens = false;
                }
                done += part.bytes;
            }
            options.on_progress.tell(done.min(self.total_bytes()), self.total_bytes());
        }
        options.on_progress.tell(self.total_bytes(), self.total_bytes());
        Ok(writer.finish().map_err(write_error(path))?)
    }

    fn no_tokens(&self) -> DataError {
        let first = self.files().next().or(self.empty_files().first().map(PathBuf::as_path));
        let path = first.unwrap_or(Path::new("")).into();
        DataError::NoTokens { path, files: self.files().count() + self.empty_files().len() }
    }
}

/// Returns the file of ids if it is complete and has the wanted header, with any number of tokens.
fn reusable(path: &Path, wanted: CacheHeader) -> Option<TokenShards> {
    let mut start = [0; CacheHeader::SIZE];
    path.is_file().then_some(())?;
    File::open(path).ok()?.read_exact(&mut start).ok()?;
    let found = CacheHeader::decode(&start).ok()?;
    let same = found == CacheHeader { tokens: found.tokens, ..wanted };
    // A damaged file is not an error: it is written again.
    same.then(|| TokenShards::open(&[path]).ok()).flatten()
}

/// Fingerprint of the vocabulary, merges and options, which determine the ids of a text.
fn tokenizer_fingerprint(tokenizer: &Gpt2Tokenizer) -> u64 {
    let config = serde_json::to_string(tokenizer.config()).expect("options are valid JSON");
    Fingerprint::new()
        .with(tokenizer.vocabulary().to_json().as_bytes())
        .with(tokenizer.merges().to_text().as_bytes())
        .with(config.as_bytes())
        .finish()
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use gpt2_tokenizer::{Gpt2TokenizerConfig, SplitPattern, TokenId, TokenizerTrainer};
    use tempfile::TempDir;

    use gpt2_files::FileError;

    use super::*;

    /// Tokenizer whose vocabulary would show cuts inside a word.
    fn tokenizer() -> Gpt2Tokenizer {
        let trainer = TokenizerTrainer::new(300).unwrap();
        trainer.trained_on(["the cat  sat\n\n on the mat, the cat's hat; é字 é字"]).unwrap()
    }

    /// Folder of files with these names and contents.
    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn corpus(folder: &TempDir, block: usize) -> Corpus {
        let mut corpus = Corpus::open(&[folder.path()]).unwrap();
        corpus.block = block;
        corpus
    }

    /// Options with a cache of this name in the folder.
    fn options(folder: &TempDir, cache: &str) -> TokenizeOptions {
        TokenizeOptions::new(folder.path().join(cache))
    }

    fn ids_of(shards: &TokenShards) -> Vec<TokenId> {
        let mut ids = vec![0; shards.token_count() as usize];
        shards.read(0, &mut ids).unwrap();
        ids
    }

    fn mixed_files() -> TempDir {
        let text = "the cat  sat\n\n\non the mat, the cat's\u{3000} é字 hat\t \n".repeat(30);
        let lines = "{\"text\": \"the hat\"}\n{\"text\": \"\"}\n{\"text\": \" cat \"}\n".repeat(20);
        folder(&[("a.txt", &text), ("b.jsonl", &lines), ("c.md", "on the mat"), ("d.txt", "")])
    }

    #[test]
    fn ids_depend_neither_on_threads_nor_on_the_size_of_parts() {
        let folder = mixed_files();
        let tokenizer = tokenizer();
        let mut expected = Vec::new();
        for document in corpus(&folder, 1 << 20).documents() {
            let ids = tokenizer.tokenize(&document.unwrap()).unwrap();
            if !ids.is_empty() {
                expected.extend(ids);
                expected.push(tokenizer.end_token_id());
            }
        }
        for (threads, block) in [(1, 1 << 20), (1, 7), (3, 7), (2, 100), (8, 1)] {
            let options = options(&folder, &format!(".{threads}-{block}")).with_threads(threads);
            let shards = corpus(&folder, block).tokenize(&tokenizer, &options).unwrap();
            assert!(ids_of(&shards) == expected, "{threads} threads, blocks of {block} bytes");
        }
    }

    #[test]
    fn end_tokens_are_an_option_and_a_fixed_length_is_none() {
        let folder = folder(&[("a.txt", "the cat"), ("b.txt", "the hat")]);
        let config = Gpt2TokenizerConfig::new().with_sequence_length(1);
        let tokenizer = tokenizer();
        let padding = tokenizer.with_config(config).unwrap();
        let options = options(&folder, ".cache").with_end_tokens(false);
        let shards = corpus(&folder, 100).tokenize(&padding, &options).unwrap();
        let expected = ["the cat", "the hat"].map(|text| tokenizer.tokenize(text).unwrap());
        assert_eq!(ids_of(&shards), expected.concat());
    }

    #[test]
    fn a_split_that_forbids_cuts_keeps_the_text_whole() {
        let folder = folder(&[("a.txt", "the cat  sat\n\non the mat")]);
        let config = Gpt2TokenizerConfig::new().with_split(SplitPattern::KerasHub);
        let tokenizer = tokenizer().with_config(config).unwrap();
        let options = options(&folder, ".cache").with_end_tokens(false);
        let shards = corpus(&folder, 4).tokenize(&tokenizer, &options).unwrap();
        assert_eq!(ids_of(&shards), tokenizer.tokenize("the cat  sat\n\non the mat").unwrap());
    }

    /// Whether the corpus is tokenized, not read from the cache.
    fn is_fresh(folder: &TempDir, tokenizer: &Gpt2Tokenizer, options: &TokenizeOptions) -> bool {
        let calls = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&calls);
        let options = options.clone().with_on_progress(move |_, _| *counter.lock().unwrap() += 1);
        let cached = corpus(folder, 100).tokenize(tokenizer, &options).unwrap();
        let fresh = folder.path().join(".fresh");
        let fresh_options = TokenizeOptions { cache_folder: fresh.clone(), ..options.clone() };
        let before = *calls.lock().unwrap();
        let fresh_ids = ids_of(&corpus(folder, 100).tokenize(tokenizer, &fresh_options).unwrap());
        fs::remove_dir_all(fresh).unwrap();
        assert_eq!(ids_of(&cached), fresh_ids);
        before > 0
    }

    #[test]
    fn the_cache_is_used_until_something_changes() {
        let folder = folder(&[("a.txt", "the cat sat"), ("b.jsonl", "{\"text\": \"a\"}")]);
        let (tokenizer, path) = (tokenizer(), folder.path());
        let options = options(&folder, ".cache");
        assert!(is_fresh(&folder, &tokenizer, &options));
        assert!(!is_fresh(&folder, &tokenizer, &options));

        let other = Gpt2TokenizerConfig::new().with_add_prefix_space(true);
        assert!(is_fresh(&folder, &tokenizer.with_config(other).unwrap(), &options));
        assert!(is_fresh(&folder, &tokenizer, &options.clone().with_end_tokens(false)));
        assert!(!is_fresh(&folder, &tokenizer, &options), "these have files of their own");

        // The size stays the same.
        fs::write(path.join("a.txt"), "the mat sat").unwrap();
        let later = SystemTime::now() + Duration::from_secs(9);
        File::options().write(true).open(path.join("a.txt")).unwrap().set_modified(later).unwrap();
        assert!(is_fresh(&folder, &tokenizer, &options));
        fs::write(path.join("c.txt"), "new").unwrap();
        assert!(is_fresh(&folder, &tokenizer, &options));
        assert!(!is_fresh(&folder, &tokenizer, &options));
    }

    #[test]
    fn a_damaged_cache_is_written_again() {
        let folder = folder(&[("a.txt", "the cat sat")]);
        let (tokenizer, options) = (tokenizer(), options(&folder, ".cache"));
        let shards = corpus(&folder, 100).tokenize(&tokenizer, &options).unwrap();
        let file = shards.paths().next().unwrap();
        let bytes = fs::read(file).unwrap();
        for damaged in [&bytes[..bytes.len() - 2], &bytes[..20], b"other"] {
            fs::write(file, damaged).unwrap();
            assert!(is_fresh(&folder, &tokenizer, &options));
            assert_eq!(fs::read(file).unwrap(), bytes);
        }
    }

    #[test]
    fn progress_is_in_bytes_and_ends_at_the_total() {
        let folder = mixed_files();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let options = options(&folder, ".cache")
            .with_threads(1)
            .with_on_progress(move |done, total| seen.lock().unwrap().push((done, total)));
        let corpus = corpus(&folder, 50);
        corpus.tokenize(&tokenizer(), &options).unwrap();
        let calls = calls.lock().unwrap();
        let total = corpus.total_bytes();
        assert!(calls.len() > 5 && calls.is_sorted(), "{calls:?}");
        assert!(calls.iter().all(|call| call.1 == total));
        assert_eq!(calls.last(), Some(&(total, total)));
        assert!(calls[0].0 < total / 4);
    }

    /// Error of tokenizing, which must leave no file in the cache folder.
    fn refused(folder: &TempDir, tokenizer: &Gpt2Tokenizer) -> DataError {
        let options = options(folder, ".cache").with_threads(2);
        let error = corpus(folder, 8).tokenize(tokenizer, &options).unwrap_err();
        assert_eq!(fs::read_dir(folder.path().join(".cache")).unwrap().count(), 0);
        error
    }

    #[test]
    fn faults_of_the_text_name_the_file_and_leave_nothing_behind() {
        let tokenizer = tokenizer();
        let empty = folder(&[("a.txt", ""), ("b.jsonl", "\n{\"text\": \"\"}\n")]);
        let error = refused(&empty, &tokenizer);
        assert!(matches!(error, DataError::NoTokens { files: 2, .. }), "{error}");
        let error = refused(&folder(&[("a.txt", "the cat \0 sat")]), &tokenizer);
        assert!(matches!(error, DataError::NotText { offset: 8, .. }), "{error}");
        let error = refused(&folder(&[("a.jsonl", "{\"texts\": []}")]), &tokenizer);
        assert!(matches!(error, DataError::InvalidJsonLine { line: 1, .. }), "{error}");
    }

    #[test]
    fn a_text_that_cannot_be_tokenized_is_named_with_its_place() {
        let strict =
            Gpt2TokenizerConfig::new().with_special_text(gpt2_tokenizer::SpecialText::Error);
        let strict = tokenizer().with_config(strict).unwrap();
        let folder = folder(&[("a.txt", "the cat sat <|endoftext|>")]);
        let error = refused(&folder, &strict);
        let message = error.to_string();
        assert!(message.contains("the text at byte 11 of"), "{message}");
        assert!(message.contains("a.txt"), "{message}");
        // Positions in the tokenizer's error are relative to the part.
        let cause = error.source().expect("the tokenizer's answer").to_string();
        assert!(cause.contains("at byte 1,") && !message.contains(&cause), "{cause}");
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        let folder = folder(&[("a.txt", "the cat sat")]);
        let path = folder.path().join("a.txt");
        let options = options(&folder, ".cache").with_on_progress(move |_, _| {
            fs::write(&path, "the cat sat on the mat").unwrap();
        });
        let error = corpus(&folder, 100).tokenize(&tokenizer(), &options).unwrap_err();
        assert!(matches!(error, DataError::CorpusChanged { .. }), "{error}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_and_no_threads_are_errors() {
        let folder = folder(&[("a.txt", "the cat sat")]);
        let options = TokenizeOptions::new(folder.path().join("a.txt"));
        let error = corpus(&folder, 100).tokenize(&tokenizer(), &options).unwrap_err();
        assert!(matches!(error, DataError::File(FileError::Write { .. })), "{error}");
        let options = options.with_threads(0);
        let error = corpus(&folder, 100).tokenize(&tokenizer(), &options).unwrap_err();
        assert!(error.to_string().contains("`threads` of the training data"), "{error}");
    }

    #[test]
    fn ids_of_a_large_vocabulary_have_32_bits() {
        let small = tokenizer();
        let tokens = small.vocabulary().iter().map(|(token, id)| (token.to_owned(), id));
        let tokens = tokens.chain([("far".to_owned(), 70_000)]);
        let vocabulary = gpt2_tokenizer::Vocabulary::from_pairs(tokens).unwrap();
        let config = Gpt2TokenizerConfig::new().with_unsplittable_tokens(["far"]);
        let large = Gpt2Tokenizer::new(vocabulary, small.merges().clone(), config).unwrap();
        let folder = folder(&[("a.txt", "the far")]);
        let shards = corpus(&folder, 100).tokenize(&large, &options(&folder, ".cache")).unwrap();
        let mut expected = large.tokenize("the far").unwrap();
        assert!(expected.contains(&70_000));
        expected.push(large.end_token_id());
        assert_eq!(ids_of(&shards), expected);
    }
}
