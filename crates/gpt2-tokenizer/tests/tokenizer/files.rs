//! Files on disk: complete writes, tolerant reads, refusals with a reason.

use std::fs;

use gpt2_tokenizer::{
    FileError, Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, TokenizerError, Vocabulary,
};

use crate::airplane::{self, SENTENCE_IDS};

fn config() -> Gpt2TokenizerConfig {
    Gpt2TokenizerConfig::new()
}

#[test]
fn assets_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets/tokenizer");
    let tokenizer = airplane::tokenizer(config());
    tokenizer.save_assets(&assets).unwrap();
    tokenizer.save_assets(&assets).unwrap();
    let loaded = Gpt2Tokenizer::from_assets(&assets, config()).unwrap();
    assert_eq!(loaded.vocabulary(), tokenizer.vocabulary());
    assert!(loaded.merges().iter().eq(tokenizer.merges().iter()));
    assert_eq!(loaded.tokenize(" airplane at airport<|endoftext|>").unwrap(), SENTENCE_IDS);
    let mut names: Vec<_> =
        fs::read_dir(&assets).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["merges.txt", "vocabulary.json"]);
}

#[test]
fn files_of_windows_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (vocabulary, merges) = (folder.path().join("vocab.json"), folder.path().join("merges.txt"));
    fs::write(&vocabulary, format!("\u{feff}{}\r\n", airplane::vocabulary().to_json())).unwrap();
    let text = airplane::merges().to_text().replace('\n', " \r\n\r\n");
    fs::write(&merges, format!("\u{feff}{text}")).unwrap();
    let tokenizer = Gpt2Tokenizer::from_files(&vocabulary, &merges, config()).unwrap();
    assert_eq!(tokenizer.merges().len(), 17);
    assert_eq!(tokenizer.tokenize(" airport").unwrap(), [23, 16]);
}

#[test]
fn the_version_line_may_be_missing() {
    let with = Merges::parse("#version: 0.2\na b\n").unwrap();
    let without = Merges::parse("a b").unwrap();
    assert!(with.iter().eq(without.iter()));
    assert!(Merges::parse("").unwrap().is_empty());
}

#[test]
fn ids_may_have_gaps() {
    let vocabulary = Vocabulary::from_json(r#"{"<|endoftext|>": 999999, "b": 2, "a": 7}"#).unwrap();
    assert_eq!((vocabulary.len(), vocabulary.max_token_id()), (3, 999_999));
    assert!(vocabulary.iter().eq([("b", 2), ("a", 7), ("<|endoftext|>", 999_999)]));
    let tokenizer = Gpt2Tokenizer::new(vocabulary, Merges::default(), config()).unwrap();
    assert_eq!(tokenizer.tokenize("ab<|endoftext|>").unwrap(), [7, 2, 999_999]);
    assert!(tokenizer.detokenize(&[3]).is_err());
}

#[test]
fn unreadable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent");
    let error = Gpt2Tokenizer::from_assets(&path, config()).unwrap_err();
    assert!(matches!(error, TokenizerError::File(FileError::Read { .. })));
    assert!(error.to_string().contains("absent"), "{error}");

    fs::write(&path, b"{\"a\xff\": 0}").unwrap();
    let error = Gpt2Tokenizer::from_files(&path, &path, config()).unwrap_err();
    assert!(matches!(error, TokenizerError::File(FileError::NotUtf8 { offset: 3, .. })), "{error}");

    // A file in place of the folder.
    let error = airplane::tokenizer(config()).save_assets(&path).unwrap_err();
    assert!(matches!(error, TokenizerError::File(FileError::Write { .. })), "{error}");
}

#[test]
fn files_too_large_are_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocabulary.json");
    fs::File::create(&path).unwrap().set_len(65 << 20).unwrap();
    let error = Gpt2Tokenizer::from_assets(folder.path(), config()).unwrap_err();
    assert!(
        matches!(error, TokenizerError::File(FileError::TooLarge { size: 68_157_440, .. })),
        "{error}"
    );
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("vocabulary.json/occupied")).unwrap();
    let error = airplane::tokenizer(config()).save_assets(folder.path()).unwrap_err();
    assert!(matches!(error, TokenizerError::File(FileError::Write { .. })), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
