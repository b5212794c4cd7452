//! Presets on a server that plays Hugging Face.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gpt2_backbone::Gpt2Backbone;
use gpt2_presets::{FromPresetOnDevice, HubOptions, LoadOptions, Preset};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::hub_server::*;
use crate::support::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A model on the hub, which a test may change.
pub struct Model {
    pub commit: String,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Where files of the large kind are; they are not redirected where none.
    pub cdn: Option<String>,
}

/// What the hub names a file: git's SHA-1 of text, SHA-256 of what is large.
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

/// A hub with one model, `a/b`.
pub struct Hub {
    pub server: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl Hub {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let model = Model { commit: COMMIT.to_owned(), files, cdn: None };
        let model = Arc::new(Mutex::new(model));
        let shared = model.clone();
        let server = HubServer::start(move |request| answer(&shared.lock().unwrap(), request));
        Self { server, model, cache: tempfile::tempdir().unwrap() }
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_hugging_face_endpoint(&self.server.url())
            .with_hugging_face_cache(self.cache.path())
    }
}

/// All files below a folder.
pub fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// A whole preset, and the parameters that it has.
pub fn keras_preset() -> (BTreeMap<String, Vec<u8>>, Tensors) {
    let model = tiny_model(&tiny());
    let folder = keras_folder(&tiny());
    let path = folder.path().join("model.weights.h5");
    write_hdf5(&path, &keras_tensors(&tiny(), &model), Stored::F32);
    (files_of(folder.path()), model)
}

pub fn transformers_preset() -> (BTreeMap<String, Vec<u8>>, Tensors) {
    let model = tiny_model(&tiny());
    let folder = transformers_folder(&tiny());
    let bytes = safetensors(&transformers_tensors(&tiny(), &model), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    (files_of(folder.path()), model)
}

#[test]
fn whole_presets_are_downloaded_once() {
    for (files, model) in [keras_preset(), transformers_preset()] {
        let hub = Hub::new(files);
        let options = LoadOptions::new(&device()).with_hub(hub.options());
        let backbone = Gpt2Backbone::from_preset("hf://a/b", options).unwrap();
        assert_eq!(parameters(&backbone), model);
        let first = hub.server.take_log();
        Preset::open_with("hf://a/b", &hub.options()).unwrap().causal_lm(&device()).unwrap();
        let again = Preset::open_with("hf://a/b", &hub.options()).unwrap();
        hub.server.take_log();
        again.causal_lm(&device()).unwrap();
        assert!(hub.server.requests().is_empty(), "{first:?}, {:?}", hub.server.requests());
    }
}
