//! Kaggle as a server with one model, and the storage that it redirects to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gpt2_hub::HubOptions;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::Files;
use super::server::{Request, Response, impatient_options};
use super::with_storage::{Answer, HubWithStorage};

pub const PINNED: &str = "kaggle://keras/gpt2/keras/gpt2_base_en/3";
pub const UNPINNED: &str = "kaggle://keras/gpt2/keras/gpt2_base_en";
const FOLDER: &str = "models/keras/gpt2/keras/gpt2_base_en";

/// Files and settings of the servers, which a test may change.
pub struct Model {
    pub versions: BTreeMap<u64, Files>,
    /// Replaces Kaggle's answer, if it returns one.
    pub kaggle: Box<Answer>,
    /// Replaces the storage's answer, if it returns one.
    pub storage: Box<Answer>,
}

/// Kaggle with one model, its storage, and a cache.
pub type Kaggle = HubWithStorage<Model>;

impl Kaggle {
    pub fn new(files: Files) -> Self {
        let model = Model {
            versions: BTreeMap::from([(3, files)]),
            kaggle: Box::new(|_| None),
            storage: Box::new(|_| None),
        };
        Self::start(model, answer, stored)
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_kaggle_endpoint(&format!("{}/api/v1/", self.server.url()))
            .with_kaggle_cache(self.cache.path())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join(FOLDER).join(name)
    }

    pub fn answer_kaggle(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().kaggle = Box::new(answer);
    }

    pub fn answer_storage(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().storage = Box::new(answer);
    }
}

/// Answers in the protocol of kagglesdk 0.1.28.
fn answer(model: &Model, request: &Request, storage: &str) -> Response {
    if let Some(response) = (model.kaggle)(request) {
        return response;
    }
    assert_eq!(
        (&request.method[..], request.header("content-type")),
        ("POST", Some("application/json"))
    );
    let method = request.path.strip_prefix("/api/v1/models.ModelApiService/").unwrap();
    let question: Value = serde_json::from_slice(&request.body).unwrap();
    let instance = json!({"ownerSlug": "keras", "modelSlug": "gpt2", "instanceSlug": "gpt2_base_en",
        "framework": "MODEL_FRAMEWORK_KERAS"});
    if instance.as_object().unwrap().iter().any(|(key, value)| question[key] != *value) {
        return failure(404, "Not found");
    }
    let newest = *model.versions.keys().max().unwrap();
    match method {
        "GetModelInstance" => Response::json(&json!({
            "id": 4684, "slug": "gpt2_base_en", "framework": "keras", "fineTunable": true,
            "versionId": 5788, "versionNumber": newest, "licenseName": "MIT",
        })),
        "DownloadModelInstanceVersion" => {
            let version = question["versionNumber"].as_u64().unwrap();
            let Some(files) = model.versions.get(&version) else {
                return failure(404, "Not found");
            };
            let name = question["path"].as_str().unwrap();
            match files.contains_key(name) {
                true => Response::new(302).with_header(
                    "location",
                    format!(
                        "{storage}/kaggle-models-data/{version}/{name}?X-Goog-Signature=secret"
                    ),
                ),
                false => failure(404, "Not found"),
            }
        }
        "ListModelInstanceVersionFiles" => {
            let files = &model.versions[&question["versionNumber"].as_u64().unwrap()];
            let files: Vec<_> = files.keys().map(|name| json!({"name": name})).collect();
            Response::json(&json!({"files": files, "nextPageToken": ""}))
        }
        other => panic!("{other} is not asked"),
    }
}

/// Error in the API's form, with its status.
pub fn failure(status: u16, message: &str) -> Response {
    let response = Response::json(&json!({"code": status, "message": message}));
    Response { status, ..response }
}

/// Answers like Google's storage for a signed address.
fn stored(model: &Model, request: &Request) -> Response {
    if let Some(response) = (model.storage)(request) {
        return response;
    }
    assert_eq!((&request.method[..], &request.query[..]), ("GET", "X-Goog-Signature=secret"));
    let path = request.path.strip_prefix("/kaggle-models-data/").unwrap();
    let (version, name) = path.split_once('/').unwrap();
    let bytes = &model.versions[&version.parse().unwrap()][name];
    with_hash(request, bytes, bytes)
}

/// Answer with `bytes` and the MD5 of `hashed`.
pub fn with_hash(request: &Request, bytes: &[u8], hashed: &[u8]) -> Response {
    let md5 = Md5::digest(hashed);
    let etag: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    Response::file(request, bytes, &format!("\"{etag}\""))
        .with_header("x-goog-hash", "crc32c=n03x6A==")
        .with_header("x-goog-hash", format!("md5={}", base64(&md5)))
}

fn base64(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digits = bits.as_bytes().chunks(6).map(|digit| {
        let digit = format!("{:0<6}", std::str::from_utf8(digit).unwrap());
        match u8::from_str_radix(&digit, 2).unwrap() {
            value @ 0..=25 => (b'A' + value) as char,
            value @ 26..=51 => (b'a' + value - 26) as char,
            value @ 52..=61 => (b'0' + value - 52) as char,
            62 => '+',
            _ => '/',
        }
    });
    let text: String = digits.collect();
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}
