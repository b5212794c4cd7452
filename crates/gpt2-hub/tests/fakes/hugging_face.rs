//! Hugging Face as a server with one model to download.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gpt2_hub::HubOptions;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::server::{HubServer, Request, Response, impatient_options};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A model on the hub, which a test may change.
pub struct Model {
    pub commit: String,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Address of the large files. Default: none, without redirects.
    pub cdn: Option<String>,
}

/// ETag of a file: git SHA-1 of a text, SHA-256 of a large file.
pub fn etag(name: &str, bytes: &[u8]) -> String {
    let digest = match is_large(name) {
        true => Sha256::digest(bytes).to_vec(),
        false => {
            let header = format!("blob {}\0", bytes.len());
            Sha1::new_with_prefix(header).chain_update(bytes).finalize().to_vec()
        }
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".h5")
}

/// Answers for the model `a/b`, as the real hub does.
pub fn answer(model: &Model, request: &Request) -> Response {
    let failure = |status, code: &str| Response::new(status).with_header("x-error-code", code);
    let Some(rest) = request.path.strip_prefix("/a/b/resolve/") else {
        return failure(401, "RepoNotFound");
    };
    let (revision, name) = rest.split_once('/').unwrap();
    if revision != "main" && revision != model.commit {
        return failure(404, "RevisionNotFound");
    }
    let Some(bytes) = model.files.get(name) else {
        return failure(404, "EntryNotFound").with_header("x-repo-commit", &model.commit);
    };
    let etag = etag(name, bytes);
    let response = match &model.cdn {
        Some(cdn) if is_large(name) => Response::new(302)
            .with_header("location", format!("{cdn}/{name}?Signature=secret"))
            .with_header("x-linked-etag", format!("\"{etag}\""))
            .with_header("x-linked-size", bytes.len()),
        _ => Response::file(request, bytes, &format!("\"{etag}\"")),
    };
    response.with_header("x-repo-commit", &model.commit)
}

/// Hub with one model, `a/b`, and a cache for it.
pub struct Hub {
    pub server: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl Hub {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::with_faults(files, |_, response, _| response)
    }

    /// `fault` changes the right answers. It also receives the number of earlier equal requests.
    pub fn with_faults(
        files: BTreeMap<String, Vec<u8>>,
        fault: impl Fn(&Request, Response, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let model = Model { commit: COMMIT.to_owned(), files, cdn: None };
        let model = Arc::new(Mutex::new(model));
        let shared = model.clone();
        let counts = Mutex::new(BTreeMap::new());
        let server = HubServer::start(move |request| {
            let key = format!("{} {}", request.method, request.path);
            let before = {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(key).or_insert(0);
                *count += 1;
                *count - 1
            };
            let response = answer(&shared.lock().unwrap(), request);
            fault(request, response, before)
        });
        Self { server, model, cache: tempfile::tempdir().unwrap() }
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_hugging_face_endpoint(&self.server.url())
            .with_hugging_face_cache(self.cache.path())
    }

    /// Folder of the model in the cache.
    pub fn folder(&self) -> PathBuf {
        self.cache.path().join("models--a--b")
    }
}
