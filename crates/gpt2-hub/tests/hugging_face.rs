//! Presets on a server that plays Hugging Face.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpt2_backbone::Gpt2Backbone;
use gpt2_presets::{
    DownloadProgress, ExportToGguf, ExportToTransformers, FromPresetOnDevice, HubOptions,
    LoadOptions, Preset, PresetError, SaveToPreset,
};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::hub_server::*;
use crate::support::*;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

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

/// A hub with one model, `a/b`, and a cache for it.
pub struct Hub {
    pub server: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl Hub {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::with_faults(files, |_, response, _| response)
    }

    /// `fault` changes the right answers; it is told how many times the same was asked before.
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

    /// Loads the whole model.
    pub fn load(&self) -> Result<Tensors, PresetError> {
        load_from("hf://a/b", self.options())
    }

    /// The folder of the model in the cache.
    pub fn folder(&self) -> PathBuf {
        self.cache.path().join("models--a--b")
    }
}

pub fn load_from(preset: &str, options: HubOptions) -> Result<Tensors, PresetError> {
    let options = LoadOptions::new(&device()).with_hub(options);
    Gpt2Backbone::from_preset(preset, options).map(|backbone| parameters(&backbone))
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

/// A commit that is not there yet.
const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

pub fn open(hub: &Hub, handle: &str) -> Result<Preset, PresetError> {
    Preset::open_with(handle, &hub.options())
}

#[test]
fn what_is_on_the_hub_is_converted_to_each_format() {
    let (files, model) = keras_preset();
    let hub = Hub::new(files);
    let preset = Preset::open_with("hf://a/b", &hub.options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    preset.save_to_preset(path("keras")).unwrap();
    preset.export_to_transformers(path("transformers")).unwrap();
    preset.export_to_gguf(path("model.gguf")).unwrap();
    for name in ["keras", "transformers", "model.gguf"] {
        let converted = Preset::open(path(name).to_str().unwrap()).unwrap();
        assert_eq!(parameters(&converted.backbone(&device()).unwrap()), model, "{name}");
        assert_eq!(converted.tokenizer().unwrap().tokenize("ab").unwrap(), [2], "{name}");
    }
}

#[test]
fn whole_presets_are_downloaded_once() {
    for (files, model) in [keras_preset(), transformers_preset()] {
        let hub = Hub::new(files);
        assert_eq!(hub.load().unwrap(), model);
        open(&hub, "hf://a/b").unwrap().causal_lm(&device()).unwrap();
        let first = hub.server.requests();
        assert!(first.iter().all(|request| request.header("authorization").is_none()));
        let agent = concat!("gpt2-presets/", env!("CARGO_PKG_VERSION"));
        assert!(first.iter().all(|request| request.header("user-agent") == Some(agent)));
        assert!(first.iter().all(|request| request.header("accept-encoding") == Some("identity")));
        hub.server.take_log();
        // The branch may have moved: that is asked once. What is not there was remembered.
        open(&hub, "hf://a/b").unwrap().causal_lm(&device()).unwrap();
        assert_eq!(hub.server.take_log(), ["HEAD /a/b/resolve/main/config.json"]);
        // A commit does not move.
        let pinned = open(&hub, &format!("hf://a/b@{COMMIT}")).unwrap();
        pinned.causal_lm(&device()).unwrap();
        assert!(hub.server.take_log().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn the_cache_has_the_layout_of_hugging_face() {
    let (mut files, _) = keras_preset();
    files.insert("README.md".to_owned(), b"not asked for".to_vec());
    let hub = Hub::new(files.clone());
    open(&hub, "hf://a/b").unwrap().causal_lm(&device()).unwrap();
    let folder = hub.folder();
    for name in ["config.json", "assets/tokenizer/merges.txt", "model.weights.h5"] {
        let link = folder.join("snapshots").join(COMMIT).join(name);
        let up = "../".repeat(name.split('/').count() + 1);
        let blob = format!("{up}blobs/{}", etag(name, &files[name]));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(&blob));
        assert_eq!(fs::read(&link).unwrap(), files[name]);
    }
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(folder.join(".no_exist").join(COMMIT).join("task.json")).unwrap(), b"");
    let blobs = files_of(&folder.join("blobs"));
    let expected: BTreeMap<_, _> = files
        .iter()
        .filter(|(name, _)| *name != "README.md")
        .map(|(name, bytes)| (etag(name, bytes), bytes.clone()))
        .collect();
    assert_eq!(blobs, expected);
    assert!(!folder.join("snapshots").join(COMMIT).join("README.md").exists());
}

#[test]
fn tokens_go_to_the_hub_and_to_no_other_host() {
    let (files, model) = transformers_preset();
    let bytes = files["model.safetensors"].clone();
    let cdn = HubServer::start(move |request| Response::file(request, &bytes, "\"cdn\""));
    let hub = Hub::new(files);
    hub.model.lock().unwrap().cdn = Some(cdn.url());
    let options = hub.options().with_hugging_face_token(Some("hf_secret"));
    assert!(!format!("{options:?}").contains("hf_secret"));
    assert_eq!(load_from("hf://a/b", options).unwrap(), model);
    for request in hub.server.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer hf_secret"));
    }
    let requests = cdn.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].query, "Signature=secret");
    let sent = format!("{:?}", requests[0].headers);
    assert!(!sent.contains("hf_secret") && !sent.contains("authorization"), "{sent}");
}

#[test]
fn a_model_that_was_renamed_is_found_under_its_new_name() {
    let (files, model) = transformers_preset();
    let hub = Hub::with_faults(files, |request, response, _| {
        match request.path.strip_prefix("/old/name/") {
            Some(rest) => Response::new(307).with_header("location", format!("/a/b/{rest}")),
            None => response,
        }
    });
    let options = hub.options().with_hugging_face_token(Some("hf_secret"));
    assert_eq!(load_from("hf://old/name", options).unwrap(), model);
    let requests = hub.server.requests();
    assert!(requests.iter().all(|request| request.header("authorization").is_some()), "one host");
    assert!(hub.cache.path().join("models--old--name/refs/main").exists());
}

#[test]
fn what_was_downloaded_will_do_while_the_hub_is_out_of_order() {
    let (files, model) = transformers_preset();
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = broken.clone();
    let hub =
        Hub::with_faults(files, move |_, response, _| match is_broken.load(Ordering::Relaxed) {
            true => Response::new(503),
            false => response,
        });
    assert_eq!(hub.load().unwrap(), model);
    broken.store(true, Ordering::Relaxed);
    hub.server.take_log();
    assert_eq!(hub.load().unwrap(), model);
    assert_eq!(hub.server.take_log(), ["HEAD /a/b/resolve/main/config.json"], "asked once");
    // The tokenizer was not.
    let error = open(&hub, "hf://a/b").unwrap().tokenizer().unwrap_err();
    assert!(matches!(error, PresetError::HubUnavailable { .. }), "{error}");
}

#[test]
fn offline_asks_nothing_and_says_what_is_missing() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    let offline = || hub.options().with_offline(true);
    let missing = |result: Result<(), PresetError>, name: &str| {
        let error = result.unwrap_err();
        let file = format!("hf://a/b{name}");
        assert!(matches!(&error, PresetError::Offline { file: found, .. } if *found == file));
        assert!(error.to_string().contains("`HubOptions::with_offline`"), "{error}");
    };
    missing(Preset::open_with("hf://a/b", &offline()).map(drop), "/config.json");
    assert_eq!(hub.load().unwrap(), model);
    hub.server.take_log();
    // Files that the hub lacks were asked for on the way, and are known to be absent.
    assert_eq!(load_from("hf://a/b", offline()).unwrap(), model);
    let preset = Preset::open_with("hf://a/b", &offline()).unwrap();
    missing(preset.tokenizer().map(drop), "/vocab.json");
    missing(Preset::open_with("hf://a/b@other", &offline()).map(drop), "@other/config.json");
    let commit = format!("hf://a/b@{NEXT_COMMIT}");
    assert!(matches!(Preset::open_with(&commit, &offline()), Err(PresetError::Offline { .. })));
    assert!(hub.server.requests().is_empty());
}

#[test]
fn all_files_are_of_the_commit_that_the_first_one_is_of() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    let first = open(&hub, "hf://a/b").unwrap();
    let mut next = hub.model.lock().unwrap();
    let old = next.files.clone();
    next.commit = NEXT_COMMIT.to_owned();
    let (files, _) = keras_preset();
    next.files = files;
    drop(next);
    // The old commit is gone from this hub, which says so rather than give files of the new one.
    let error = first.backbone(&device()).unwrap_err();
    assert!(matches!(&error, PresetError::RevisionNotFound { .. }), "{error}");
    assert_eq!(hub.load().unwrap(), model);
    let refs = hub.folder().join("refs/main");
    assert_eq!(fs::read_to_string(&refs).unwrap(), NEXT_COMMIT);
    // Both commits stay in the cache.
    let config = |commit| hub.folder().join("snapshots").join(commit).join("config.json");
    assert_eq!(fs::read(config(COMMIT)).unwrap(), old["config.json"]);
    assert_ne!(fs::read(config(NEXT_COMMIT)).unwrap(), old["config.json"]);
}

#[test]
fn a_file_is_pinned_by_its_sha256() {
    let (files, model) = transformers_preset();
    let weights = etag("model.safetensors", &files["model.safetensors"]);
    let config: String =
        Sha256::digest(&files["config.json"]).iter().map(|byte| format!("{byte:02X}")).collect();
    let hub = Hub::new(files);
    let pinned = |config: &str, weights: &str| {
        let options = hub.options().with_sha256("config.json", config);
        load_from("hf://a/b", options.with_sha256("model.safetensors", weights))
    };
    let other = "0".repeat(64);
    let mismatch = |result: Result<Tensors, PresetError>, name: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, PresetError::ChecksumMismatch { file, expected, .. }
            if *file == format!("hf://a/b/{name}") && *expected == other),
            "{error}"
        );
    };
    // Before they are in the cache: the content of one has to be downloaded to know, that of the
    // other the hub has said.
    mismatch(pinned(&other, &weights), "config.json");
    assert!(!hub.folder().join("snapshots").exists() && !hub.folder().join("refs").exists());
    hub.server.take_log();
    mismatch(pinned(&config, &other), "model.safetensors");
    let weights_path = format!("GET /a/b/resolve/{COMMIT}/model.safetensors");
    assert!(!hub.server.take_log().contains(&weights_path));
    assert_eq!(pinned(&config, &weights).unwrap(), model);
    // And after.
    mismatch(pinned(&config, &other), "model.safetensors");
    mismatch(pinned(&other, &weights), "config.json");
    assert_eq!(pinned(&config, &weights).unwrap(), model, "the files are still there");
    let error = pinned("abc", &weights).unwrap_err();
    assert!(matches!(error, PresetError::InvalidHubOption { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn progress_is_told_from_the_first_byte_to_the_last() {
    let (files, _) = transformers_preset();
    let size = files["model.safetensors"].len() as u64;
    let hub = Hub::with_faults(files, move |request, response, _| {
        match request.path.ends_with("/model.safetensors") {
            true => response.with_fault(Fault::Slow(size as usize / 5, Duration::from_millis(60))),
            false => response,
        }
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = told.clone();
    let on_progress =
        move |progress: &DownloadProgress| teller.lock().unwrap().push(progress.clone());
    load_from("hf://a/b", hub.options().with_on_progress(on_progress)).unwrap();
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told[0].file, "hf://a/b/config.json");
    told.retain(|progress| progress.file == "hf://a/b/model.safetensors");
    assert!(told.iter().all(|progress| progress.total == Some(size)));
    let done: Vec<_> = told.iter().map(|progress| progress.done).collect();
    assert!(done.is_sorted() && done.len() >= 4, "{done:?}");
    assert_eq!((done[0], done[done.len() - 1]), (0, size));
    // Nothing is downloaded from the cache.
    let told = Arc::new(AtomicBool::new(false));
    let teller = told.clone();
    let on_progress = move |_: &DownloadProgress| teller.store(true, Ordering::Relaxed);
    load_from("hf://a/b", hub.options().with_on_progress(on_progress)).unwrap();
    assert!(!told.load(Ordering::Relaxed));
}

#[test]
fn a_built_in_name_says_why_each_of_its_places_fails() {
    let cache = tempfile::tempdir().unwrap();
    let options = impatient_options().with_hugging_face_cache(cache.path()).with_offline(true);
    let options = options.with_kaggle_cache(cache.path());
    let error = Preset::open_with("gpt2_base_en", &options).unwrap_err();
    let PresetError::NoSource { preset, failures } = &error else { panic!("{error}") };
    assert_eq!((&preset[..], failures.len()), ("gpt2_base_en", 2));
    let text = error.to_string();
    assert!(
        text.contains("\n- ") && text.contains("`hf://keras/gpt2_base_en/config.json`"),
        "{text}"
    );
}
