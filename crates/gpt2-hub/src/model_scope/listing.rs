//! List of a model's files on ModelScope.
//!
//! `GET /api/v1/models/<id>/repo/files` answers
//! `{"Data": {"Files": [{"Path", "Type", "Size", "Sha256"}]}}`. For larger models it returns only
//! the first 3,000 files and does not say so (`modelscope_hub/_legacy_api.py`,
//! `REPO_FILES_TRUNCATION_LIMIT`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::transfer::digest::{Digest, is_hex};

const LIMIT: usize = 3000;

/// Files of a model.
#[derive(Debug)]
pub(crate) struct Listing {
    files: BTreeMap<String, ListedFile>,
    /// Whether the list is complete: a file that it lacks does not exist.
    pub(crate) is_whole: bool,
}

/// Size and digest that the hub promises.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListedFile {
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<Digest>,
}

impl Listing {
    /// Parses the answer. None if it has another form.
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
