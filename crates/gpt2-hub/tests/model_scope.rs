//! Presets on servers that play ModelScope and the storage to which it redirects.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gpt2_presets::{HubOptions, Preset, PresetError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::hub_hugging_face::{files_of, keras_preset, transformers_preset};
use crate::hub_kaggle::load_with;
use crate::hub_server::*;
use crate::support::*;

pub const HANDLE: &str = "modelscope://ann/gpt2.small";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FOLDER: &str = "models/ann--gpt2.small/snapshots";

type Files = BTreeMap<String, Vec<u8>>;
type Answer = dyn Fn(&Request) -> Option<Response> + Send;

/// What the hub has, which a test may change.
pub struct Model {
    pub files: Files,
    /// How many files the list has at most.
    pub listed: usize,
    /// Answers instead of the hub, where it gives something.
    pub hub: Box<Answer>,
}

/// ModelScope with one model, its storage, and a cache.
pub struct ModelScope {
    pub server: HubServer,
    pub storage: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl ModelScope {
    pub fn new(files: Files) -> Self {
        let model = Model { files, listed: usize::MAX, hub: Box::new(|_| None) };
        let model = Arc::new(Mutex::new(model));
        let shared = model.clone();
        let storage = HubServer::start(move |request| {
            let name = request.path.strip_prefix("/oss/").unwrap();
            file(request, &shared.lock().unwrap().files[name])
        });
        let (shared, address) = (model.clone(), storage.url());
        let server =
            HubServer::start(move |request| answer(&shared.lock().unwrap(), request, &address));
        Self { server, storage, model, cache: tempfile::tempdir().unwrap() }
    }

    pub fn options(&self) -> HubOptions {
        impatient_options()
            .with_model_scope_endpoint(&self.server.url())
            .with_model_scope_cache(self.cache.path())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join(FOLDER).join(name)
    }

    /// What was asked since the last time, of both servers.
    pub fn take_log(&self) -> Vec<String> {
        self.server.take_log().into_iter().chain(self.storage.take_log()).collect()
    }

    pub fn answer(&self, answer: impl Fn(&Request) -> Option<Response> + Send + 'static) {
        self.model.lock().unwrap().hub = Box::new(answer);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let files = &mut self.model.lock().unwrap().files;
        let mut json = serde_json::from_slice(&files[name]).unwrap();
        change(&mut json);
        files.insert(name.to_owned(), json.to_string().into());
    }
}

const LIST: &str = "GET /api/v1/models/ann/gpt2.small/repo/files";
const FILE: &str = "GET /api/v1/models/ann/gpt2.small/repo";

fn file(request: &Request, bytes: &[u8]) -> Response {
    Response::file(request, bytes, &format!("\"{}\"", &sha256(bytes)[..32]))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As the site answers modelscope_hub 0.5.1.
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
                    // What lies in git itself is sent as a whole.
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

fn failure(status: u16, code: u64, message: &str) -> Response {
    let answer = json!({"Code": code, "Message": message, "RequestId": "1", "Success": false});
    Response { status, ..Response::json(&answer) }
}

#[test]
fn whole_presets_are_downloaded_once_to_where_the_client_has_them() {
    for (files, model) in [keras_preset(), transformers_preset()] {
        let hub = ModelScope::new(files.clone());
        assert_eq!(load_with(HANDLE, &hub.options()), model);
        let cached = files_of(&hub.path("master"));
        for (name, bytes) in &cached {
            assert_eq!(&files[name], bytes);
        }
        assert!(cached.len() + 1 >= files.len(), "{:?}", cached.keys());
        let log = hub.take_log();
        assert_eq!(log.iter().filter(|it| *it == LIST).count(), 1, "{log:?}");
        assert_eq!(log.iter().filter(|it| *it == FILE).count(), cached.len(), "{log:?}");
        // From now on the list is all that is needed, or not even that.
        assert_eq!(load_with(HANDLE, &hub.options()), model);
        assert_eq!(hub.take_log(), [LIST]);
        assert_eq!(load_with(HANDLE, &hub.options().with_offline(true)), model);
        assert_eq!(hub.take_log(), [""; 0]);
        hub.answer(|_| Some(failure(502, 0, "Down")));
        assert_eq!(load_with(HANDLE, &hub.options()), model);
    }
}

#[test]
fn the_token_goes_to_modelscope_and_not_to_its_storage() {
    let hub = ModelScope::new(keras_preset().0);
    let options = hub.options().with_model_scope_token(Some("token-secret"));
    assert!(!format!("{options:?}").contains("token-secret"));
    load_with(HANDLE, &options);
    let (asked, stored) = (hub.server.requests(), hub.storage.requests());
    assert!(asked.iter().all(|it| {
        it.header("authorization") == Some("Bearer token-secret")
            && it.header("cookie") == Some("m_session_id=token-secret")
    }));
    assert_eq!(stored.len(), 1);
    assert!(stored.iter().all(|it| it.header("authorization").or(it.header("cookie")).is_none()));
}

#[test]
fn what_has_changed_on_the_hub_is_downloaded_again() {
    let (files, model) = keras_preset();
    let hub = ModelScope::new(files);
    load_with(HANDLE, &hub.options());
    // Of the same size, so that the digest alone tells.
    hub.change("config.json", |json| json["config"]["dropout"] = json!(0.2));
    hub.take_log();
    let preset = Preset::open_with(HANDLE, &hub.options()).unwrap();
    assert_eq!(preset.config().dropout, 0.2);
    assert_eq!(hub.take_log(), [LIST, FILE]);
    // A file that is gone there is not used here.
    hub.model.lock().unwrap().files.remove("config.json");
    let error = Preset::open_with(HANDLE, &hub.options()).unwrap_err();
    assert!(matches!(&error, PresetError::MissingFile { .. }), "{error}");
    // A commit does not change: nothing is asked about what is here.
    let pinned = format!("{HANDLE}@{COMMIT}");
    fs::rename(hub.path("master"), hub.path(COMMIT)).unwrap();
    hub.take_log();
    assert_eq!(load_with(&pinned, &hub.options().with_offline(true)), model);
    assert_eq!(Preset::open_with(&pinned, &hub.options()).unwrap().config().dropout, 0.2);
    assert_eq!(hub.take_log(), [""; 0]);
}

#[test]
fn files_beyond_the_end_of_the_list_are_asked_for() {
    let (mut files, model) = keras_preset();
    for number in 0..3000 {
        files.insert(format!("a/{number}"), Vec::new());
    }
    let hub = ModelScope::new(files);
    hub.model.lock().unwrap().listed = 3000;
    assert_eq!(load_with(HANDLE, &hub.options()), model);
    hub.take_log();
    // What the hub does not have is asked for again; what it has is here.
    assert_eq!(load_with(HANDLE, &hub.options()), model);
    let log = hub.take_log();
    assert!(log.iter().all(|it| it == LIST || it == FILE), "{log:?}");
    assert_eq!(hub.storage.take_log(), [""; 0]);
}

#[test]
fn content_is_compared_with_the_list() {
    let (files, model) = keras_preset();
    let hub = ModelScope::new(files.clone());
    let is_config = |request: &Request| request.query.ends_with("FilePath=config.json");
    let mut wrong = files["config.json"].clone();
    wrong[3] ^= 1;
    let short = wrong[..wrong.len() - 1].to_vec();
    let open = || Preset::open_with(HANDLE, &hub.options()).unwrap_err();
    hub.answer(move |request| is_config(request).then(|| Response::new(200).with_body(&wrong[..])));
    let error = open();
    assert!(
        matches!(&error, PresetError::ChecksumMismatch { algorithm: "SHA-256", .. }),
        "{error}"
    );
    hub.answer(move |request| is_config(request).then(|| Response::new(200).with_body(&short[..])));
    let error = open();
    assert!(matches!(&error, PresetError::UnexpectedHubAnswer { .. }), "{error}");
    assert!(!hub.path("master/config.json").exists());
    // A damaged file of the cache is replaced.
    hub.answer(|_| None);
    load_with(HANDLE, &hub.options());
    fs::write(hub.path("master/config.json"), &files["config.json"][1..]).unwrap();
    assert_eq!(load_with(HANDLE, &hub.options()), model);
    assert_eq!(fs::read(hub.path("master/config.json")).unwrap(), files["config.json"]);
}

#[test]
fn what_is_missing_is_named() {
    let (files, _) = keras_preset();
    let hub = ModelScope::new(files);
    let offline = hub.options().with_offline(true);
    let open = |options: &HubOptions| Preset::open_with(HANDLE, options);
    let is_offline = |error: PresetError, name: &str| {
        let expected = format!("{HANDLE}/{name}");
        matches!(&error, PresetError::Offline { file, .. } if *file == expected)
    };
    assert!(is_offline(open(&offline).unwrap_err(), "config.json"));
    let opened = open(&hub.options()).unwrap();
    let error = open(&offline).unwrap().backbone(&device()).unwrap_err();
    assert!(is_offline(error, "model.weights.h5"));
    // The same where the hub does not answer.
    hub.answer(|_| Some(failure(500, 0, "Down")));
    let error = open(&hub.options()).unwrap().backbone(&device()).unwrap_err();
    let expected = format!("{HANDLE}/model.weights.h5");
    assert!(
        matches!(&error, PresetError::HubUnavailable { file, status: 500, .. } if *file == expected),
        "{error}"
    );
    let error = opened.backbone(&device()).unwrap_err();
    assert!(matches!(&error, PresetError::HubUnavailable { status: 500, .. }), "{error}");
}

#[test]
fn refusals_are_told_apart() {
    let hub = ModelScope::new(keras_preset().0);
    let open = |handle: &str| Preset::open_with(handle, &hub.options()).unwrap_err();
    for handle in ["modelscope://ann/other".to_owned(), format!("{HANDLE}@v2")] {
        let error = open(&handle);
        assert!(matches!(&error, PresetError::ModelNotFound { model, .. } if *model == handle));
    }
    hub.answer(|_| Some(failure(401, 10_010_103_009, "AccessToken is invalid or expired")));
    assert!(matches!(open(HANDLE), PresetError::HubUnauthorized { .. }));
    hub.answer(|_| Some(failure(403, 0, "access denied")));
    assert!(matches!(open(HANDLE), PresetError::HubForbidden { .. }));
    hub.answer(|_| Some(failure(429, 0, "slow").with_header("retry-after", 1000)));
    assert!(matches!(open(HANDLE), PresetError::HubRateLimited { retry_after: Some(1000), .. }));
    for answer in [json!({}), json!({"Data": {"Files": "none"}}), json!([1])] {
        hub.answer(move |_| Some(Response::json(&answer)));
        let error = open(HANDLE);
        assert!(matches!(error, PresetError::UnexpectedHubAnswer { .. }), "{error}");
    }
}

#[test]
fn folders_of_older_clients_are_used() {
    let (files, model) = keras_preset();
    for folder in [
        "models/ann/gpt2___small",
        "hub/models/ann/gpt2___small",
        "ann/gpt2.small",
        "hub/ann/gpt2___small",
        "models/ann/gpt2.small",
    ] {
        let hub = ModelScope::new(files.clone());
        let folder = hub.cache.path().join(folder);
        for (name, bytes) in &files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(load_with(HANDLE, &hub.options().with_offline(true)), model);
        assert_eq!(hub.take_log(), [""; 0]);
        assert_eq!(load_with(HANDLE, &hub.options()), model);
        assert_eq!(hub.take_log(), [LIST]);
        // And what is new goes there too.
        fs::remove_file(folder.join("config.json")).unwrap();
        Preset::open_with(HANDLE, &hub.options()).unwrap();
        assert!(folder.join("config.json").exists());
    }
}
