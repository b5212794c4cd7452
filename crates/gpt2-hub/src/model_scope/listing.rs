//! List of a model's files on ModelScope.
//!
//! `GET /api/v1/models/<id>/repo/files` gives `{"Data": {"Files": [{"Path", "Type", "Size",
//! "Sha256"}]}}`, and of a larger model the first 3,000 files without saying so
//! (`modelscope_hub/_legacy_api.py`, `REPO_FILES_TRUNCATION_LIMIT`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::transfer::digest::{Digest, is_hex};

const LIMIT: usize = 3000;

/// The files of a model.
#[derive(Debug)]
pub(crate) struct Listing {
    files: BTreeMap<String, ListedFile>,
    /// Whether a file that is not in it does not exist.
    pub(crate) is_whole: bool,
}

/// What the hub promises of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListedFile {
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<Digest>,
}

impl Listing {
    /// None for another answer.
    pub(crate) fn parse(answer: &Value) -> Option<Self> {
        let data = answer.get("Data")?;
        let entries = data.get("Files").unwrap_or(data).as_array()?;
        let text = |entry: &Value, key| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let blobs = entries.iter().filter(|entry| text(entry, "Type").as_deref() != Some("tree"));
        let files = blobs.filter_map(|entry| {
            let sha256 = text(entry, "Sha256").map(|sha256| sha256.to_ascii_lowercase());
            let file = ListedFile {
                size: entry.get("Size").and_then(Value::as_u64),
                sha256: sha256.filter(|sha256| is_hex(sha256, 64)).map(Digest::Sha256),
            };
            Some((text(entry, "Path").or_else(|| text(entry, "Name"))?, file))
        });
        Some(Self { files: files.collect(), is_whole: entries.len() < LIMIT })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&ListedFile> {
        self.files.get(name)
    }
}
