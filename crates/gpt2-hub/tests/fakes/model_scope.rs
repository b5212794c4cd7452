//! ModelScope as a server with one model, and the storage that it redirects to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gpt2_hub::HubOptions;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Files;
use super::server::{Request, Response, impatient_options};
use super::with_storage::{Answer, HubWithStorage};

pub const HANDLE: &str = "modelscope://ann/gpt2.small";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FOLDER: &str = "models/ann--gpt2.small/snapshots";

/// Files and settings of the hub, which a test may change.
pub struct Model {
    pub files: Files,
    /// Most files in a list.
    pub listed: usize,
    /// Replaces the hub's answer, if it returns one.
    pub hub: Box<Answer>,
}

/// ModelScope with one model, its storage, and a cache.
pub type ModelScope = HubWithStorage<Model>;

impl ModelScope {
    pub fn new(files: Files) -> Self {
        let model = Model { files, listed: usize::MAX, hub: Box::new(|_| None) };
        Self::start(model, answer, stored)
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_model_scope_endpoint(&self.server.url())
            .with_model_scope_cache(self.cache.path())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join(FOLDER).join(name)
    }

    pub fn answer(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().hub = Box::new(answer);
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let files = &mut self.model.lock().unwrap().files;
        let mut json = serde_json::from_slice(&files[name]).unwrap();
        change(&mut json);
        files.insert(name.to_owned(), json.to_string().into());
    }
}

pub const LIST: &str = "GET /api/v1/models/ann/gpt2.small/repo/files";
pub const FILE: &str = "GET /api/v1/models/ann/gpt2.small/repo";

/// Answers like the storage for a signed address.
fn stored(model: &Model, request: &Request) -> Response {
    let bytes = &model.files[request.path.strip_prefix("/oss/").unwrap()];
    Response::file(request, bytes, &format!("\"{}\"", &sha256(bytes)[..32]))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers like the site, for modelscope_hub 0.5.1.
fn answer(model: &Model, request: &Request, storage: &str) -> Response {
    if let Some(response) = (model.hub)(request) {
        return response;
    }
    let query: BTreeMap<_, _> =
        request.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let Some(what) = request.path.strip_prefix("/api/v1/models/ann/gpt2.small/") else {
        return failure(404, 10_010_205_001, "Model not found");
    };
    assert_eq!(request.method, "GET");
    if !["master", COMMIT].contains(&query["Revision"]) {
        return failure(404, 10_010_205_001, "Revision not found");
    }
    match what {
        "repo/files" => {
            assert_eq!(query["Recursive"], "True");
            Response::json(&json!({
                "Code": 200, "Message": "success", "RequestId": "1", "Success": true,
                "Data": {"Files": list(model)},
            }))
        }
        "repo" => {
            let name = query["FilePath"].replace("%2F", "/");
            match model.files.get(&name) {
                None => failure(404, 10_010_205_002, "File not found"),
                Some(bytes) if !is_large(&name) => {
                    // Files in git itself are sent whole.
                    Response::new(200).with_body(&bytes[..])
                }
                Some(_) => Response::new(302)
                    .with_header("location", format!("{storage}/oss/{name}?Signature=secret")),
            }
        }
        other => panic!("{other} is not asked"),
    }
}

fn is_large(name: &str) -> bool {
    name.ends_with(".h5") || name.ends_with(".safetensors")
}

fn list(model: &Model) -> Vec<Value> {
    let folders = ["assets", "assets/tokenizer"].map(|path| {
        json!({"Path": path, "Name": path, "Type": "tree", "Size": 0, "Sha256": "", "Revision": COMMIT})
    });
    let files = model.files.iter().map(|(path, bytes)| {
        json!({"Path": path, "Name": path.rsplit('/').next().unwrap(), "Type": "blob",
            "Size": bytes.len(), "Sha256": sha256(bytes), "IsLFS": is_large(path), "Revision": COMMIT})
    });
    folders.into_iter().chain(files).take(model.listed).collect()
}

pub fn failure(status: u16, code: u64, message: &str) -> Response {
    let answer = json!({"Code": code, "Message": message, "RequestId": "1", "Success": false});
    Response { status, ..Response::json(&answer) }
}
