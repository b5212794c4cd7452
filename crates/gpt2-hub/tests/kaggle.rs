//! Presets on servers that play Kaggle and the storage to which it redirects.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gpt2_presets::{HubOptions, LoadOptions, Preset, PresetError};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hub_hugging_face::keras_preset;
use crate::hub_server::*;
use crate::support::*;

pub const PINNED: &str = "kaggle://keras/gpt2/keras/gpt2_base_en/3";
pub const UNPINNED: &str = "kaggle://keras/gpt2/keras/gpt2_base_en";
const FOLDER: &str = "models/keras/gpt2/keras/gpt2_base_en";

pub type Files = BTreeMap<String, Vec<u8>>;
type Answer = dyn Fn(&Request) -> Option<Response> + Send;

/// What the servers have, which a test may change.
pub struct Model {
    pub versions: BTreeMap<u64, Files>,
    /// Answers instead of Kaggle, where it gives something.
    pub kaggle: Box<Answer>,
    /// Answers instead of the storage.
    pub storage: Box<Answer>,
}

/// Kaggle with one model, its storage, and a cache.
pub struct Kaggle {
    pub server: HubServer,
    pub storage: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl Kaggle {
    pub fn new(files: Files) -> Self {
        let model = Arc::new(Mutex::new(Model {
            versions: BTreeMap::from([(3, files)]),
            kaggle: Box::new(|_| None),
            storage: Box::new(|_| None),
        }));
        let shared = model.clone();
        let storage = HubServer::start(move |request| stored(&shared.lock().unwrap(), request));
        let (shared, address) = (model.clone(), storage.url());
        let server =
            HubServer::start(move |request| answer(&shared.lock().unwrap(), request, &address));
        Self { server, storage, model, cache: tempfile::tempdir().unwrap() }
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_kaggle_endpoint(&format!("{}/api/v1/", self.server.url()))
            .with_kaggle_cache(self.cache.path())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join(FOLDER).join(name)
    }

    /// Loads the model, which must be whole.
    pub fn load(&self, handle: &str) -> Tensors {
        load_with(handle, &self.options())
    }

    /// What was asked since the last time, of both servers.
    pub fn take_log(&self) -> Vec<String> {
        self.server.take_log().into_iter().chain(self.storage.take_log()).collect()
    }

    pub fn answer_kaggle(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().kaggle = Box::new(answer);
    }

    pub fn answer_storage(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().storage = Box::new(answer);
    }
}

pub fn load_with(handle: &str, options: &HubOptions) -> Tensors {
    let model = Preset::open_with(handle, options).unwrap();
    parameters(model.causal_lm(LoadOptions::new(&device())).unwrap().backbone())
}

/// As kagglesdk 0.1.28 asks and is answered.
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

/// An error as the API says it, with its status.
pub fn failure(status: u16, message: &str) -> Response {
    let response = Response::json(&json!({"code": status, "message": message}));
    Response { status, ..response }
}

/// As Google's storage answers for a signed address.
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

/// `bytes`, with the MD5 of `hashed`.
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

#[test]
fn whole_presets_are_downloaded_once_to_where_kagglehub_has_them() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    assert_eq!(hub.load(PINNED), model);
    for (name, bytes) in &files {
        let asked = hub.path(&format!("3/{name}"));
        if name == "metadata.json" {
            assert!(!asked.exists(), "nobody needs it");
            continue;
        }
        assert_eq!(&fs::read(asked).unwrap(), bytes);
        let marker = hub.path(&format!(".complete/3/{name}.complete"));
        assert_eq!(fs::metadata(marker).unwrap().len(), 0);
    }
    let question: Value = serde_json::from_slice(&hub.server.requests()[0].body).unwrap();
    assert_eq!(
        question,
        json!({"ownerSlug": "keras", "modelSlug": "gpt2", "instanceSlug": "gpt2_base_en",
        "framework": "MODEL_FRAMEWORK_KERAS", "versionNumber": 3, "path": "config.json"})
    );
    hub.take_log();
    // Nor is anything asked about files that the model does not have.
    assert_eq!(hub.load(PINNED), model);
    assert_eq!(load_with(PINNED, &hub.options().with_offline(true)), model);
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn the_token_goes_to_kaggle_and_not_to_its_storage() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let options = hub.options().with_kaggle_token(Some(" token-secret\n"));
    assert!(!format!("{options:?}").contains("token-secret"));
    load_with(PINNED, &options);
    let (asked, stored) = (hub.server.requests(), hub.storage.requests());
    assert!(asked.iter().all(|it| it.header("authorization") == Some("Bearer token-secret")));
    assert!(!stored.is_empty() && stored.iter().all(|it| it.header("authorization").is_none()));
    assert!(stored.iter().all(|it| it.body.is_empty() && it.header("content-type").is_none()));
}

#[test]
fn without_a_version_the_newest_is_taken_and_all_files_are_of_one() {
    let (old, old_model) = keras_preset();
    let hub = Kaggle::new(old.clone());
    assert_eq!(hub.load(UNPINNED), old_model);
    let opened = Preset::open_with(UNPINNED, &hub.options()).unwrap();
    let mut new = old;
    let mut config: Value = serde_json::from_slice(&new["config.json"]).unwrap();
    config["config"]["dropout"] = json!(0.25);
    new.insert("config.json".to_owned(), config.to_string().into());
    hub.model.lock().unwrap().versions.insert(12, new);
    // What is open already stays with its version.
    opened.causal_lm(&device()).unwrap();
    assert!(!hub.path("12").exists());
    let newest =
        |options: &HubOptions| Preset::open_with(UNPINNED, options).unwrap().config().dropout;
    assert_eq!(newest(&hub.options()), 0.25);
    assert!(hub.path("12/config.json").exists());
    // Where nobody answers, the newest of the cache, of which 9 has only begun.
    fs::create_dir_all(hub.path("9")).unwrap();
    fs::write(hub.path("9/config.json"), "{").unwrap();
    hub.model.lock().unwrap().versions.insert(13, Files::new());
    hub.answer_kaggle(|_| Some(failure(503, "Down")));
    assert_eq!(newest(&hub.options()), 0.25);
    hub.take_log();
    assert_eq!(newest(&hub.options().with_offline(true)), 0.25);
    assert_eq!(hub.take_log(), [""; 0]);
    fs::remove_dir_all(hub.path("12")).unwrap();
    assert_eq!(newest(&hub.options()), 0.1);
    // But what Kaggle says itself is believed.
    hub.answer_kaggle(|_| Some(failure(404, "Gone")));
    let error = Preset::open_with(UNPINNED, &hub.options()).unwrap_err();
    assert!(matches!(&error, PresetError::ModelNotFound { model, .. } if model == UNPINNED));
}

#[test]
fn offline_what_is_missing_is_named() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let offline = hub.options().with_offline(true);
    for (handle, file) in
        [(PINNED, format!("{PINNED}/config.json")), (UNPINNED, UNPINNED.to_owned())]
    {
        let error = Preset::open_with(handle, &offline).unwrap_err();
        assert!(
            matches!(&error, PresetError::Offline { file: found, .. } if *found == file),
            "{error}"
        );
    }
    Preset::open_with(PINNED, &hub.options()).unwrap();
    hub.take_log();
    let opened = Preset::open_with(PINNED, &offline).unwrap();
    let error = opened.backbone(&device()).unwrap_err();
    assert!(matches!(&error, PresetError::Offline { .. }), "{error}");
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn what_has_no_marker_may_be_half_a_file_and_is_replaced() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    fs::create_dir_all(hub.path("3")).unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| !name.contains('/')) {
        fs::write(hub.path(&format!("3/{name}")), &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(hub.load(PINNED), model);
    // And a marker without its file is none.
    fs::remove_file(hub.path("3/config.json")).unwrap();
    assert_eq!(hub.load(PINNED), model);
}

#[test]
fn a_whole_download_of_kagglehub_needs_no_question_about_what_it_lacks() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    for (name, bytes) in &files {
        let path = hub.path(&format!("3/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(hub.path("3.complete"), "").unwrap();
    assert_eq!(hub.load(PINNED), model);
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn two_at_once_download_each_file_once() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files);
    hub.answer_storage(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        None
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| hub.load(PINNED))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), model);
        }
    });
    let mut stored = hub.storage.take_log();
    let count = stored.len();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), count, "{stored:?}");
}

#[test]
fn pinned_digests_hold_for_files_of_the_cache_too() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let pinned = hub.options().with_sha256("config.json", &"0".repeat(64));
    for _ in 0..2 {
        let error = Preset::open_with(PINNED, &pinned).unwrap_err();
        let expected = matches!(&error, PresetError::ChecksumMismatch { algorithm: "SHA-256", .. });
        assert!(expected, "{error}");
        Preset::open_with(PINNED, &hub.options()).unwrap();
    }
}
