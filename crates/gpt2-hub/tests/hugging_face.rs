//! Downloads from a server that plays Hugging Face.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpt2_hub::{DownloadProgress, HubError, ModelErrorKind, RequestErrorKind as Kind};
use sha2::{Digest, Sha256};

use crate::fakes::files_of;
use crate::fakes::hugging_face::{COMMIT, Hub, etag};
use crate::fakes::server::*;
use crate::support::*;

/// Commit that the hub does not have yet.
const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

impl Hub {
    /// Fetches config and weights.
    pub fn load(&self) -> Result<Files, HubError> {
        load_from("hf://a/b", self.options())
    }
}

#[test]
fn whole_presets_are_downloaded_once() {
    for (files, model) in [keras_preset(), transformers_preset()] {
        let hub = Hub::new(files);
        assert_eq!(hub.load().unwrap(), model);
        load_with("hf://a/b", &hub.options());
        let first = hub.server.requests();
        assert!(first.iter().all(|request| request.header("authorization").is_none()));
        let agent = concat!("gpt2-presets/", env!("CARGO_PKG_VERSION"));
        assert!(first.iter().all(|request| request.header("user-agent") == Some(agent)));
        assert!(first.iter().all(|request| request.header("accept-encoding") == Some("identity")));
        hub.server.take_log();
        // The branch may have moved, so that one request is made. Absent files were recorded.
        load_with("hf://a/b", &hub.options());
        assert_eq!(hub.server.take_log(), ["HEAD /a/b/resolve/main/config.json"]);
        // A commit never moves.
        assert_eq!(load_with(&format!("hf://a/b@{COMMIT}"), &hub.options()), model);
        assert!(hub.server.take_log().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn the_cache_has_the_layout_of_hugging_face() {
    let (mut files, _) = keras_preset();
    files.insert("README.md".to_owned(), b"not asked for".to_vec());
    let hub = Hub::new(files.clone());
    load_with("hf://a/b", &hub.options());
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
    // The tokenizer files were not requested.
    let folder = open("hf://a/b", &hub.options()).unwrap();
    let error = folder.fetch("vocab.json").unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::Unavailable { .. }, .. }), "{error}");
}

#[test]
fn offline_asks_nothing_and_says_what_is_missing() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    let offline = || hub.options().with_offline(true);
    let missing = |result: Result<(), HubError>, name: &str| {
        let error = result.unwrap_err();
        let file = format!("hf://a/b{name}");
        assert!(matches!(&error, HubError::Offline { file: found, .. } if *found == file));
        assert!(error.to_string().contains("`HubOptions::with_offline`"), "{error}");
    };
    missing(open("hf://a/b", &offline()).map(drop), "/config.json");
    assert_eq!(hub.load().unwrap(), model);
    hub.server.take_log();
    // Files that the hub lacks were requested before, and are recorded as absent.
    assert_eq!(load_from("hf://a/b", offline()).unwrap(), model);
    let folder = open("hf://a/b", &offline()).unwrap();
    missing(folder.fetch("vocab.json").map(drop), "/vocab.json");
    missing(open("hf://a/b@other", &offline()).map(drop), "@other/config.json");
    let commit = format!("hf://a/b@{NEXT_COMMIT}");
    assert!(matches!(open(&commit, &offline()), Err(HubError::Offline { .. })));
    assert!(hub.server.requests().is_empty());
}

#[test]
fn all_files_are_of_the_commit_that_the_first_one_is_of() {
    let hub = Hub::new(transformers_preset().0);
    let first = open("hf://a/b", &hub.options()).unwrap();
    let mut next = hub.model.lock().unwrap();
    let old = next.files.clone();
    next.commit = NEXT_COMMIT.to_owned();
    let (files, model) = keras_preset();
    next.files = files;
    drop(next);
    // The old commit is gone from this hub. The error says so; files of the new commit are not
    // used.
    let error = first.fetch("model.safetensors").unwrap_err();
    assert!(
        matches!(&error, HubError::Model { kind: ModelErrorKind::RevisionNotFound { .. }, .. }),
        "{error}"
    );
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
    let mismatch = |result: Result<Files, HubError>, name: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, HubError::ChecksumMismatch { file, expected, .. }
            if *file == format!("hf://a/b/{name}") && *expected == other),
            "{error}"
        );
    };
    // Before the files are in the cache: the config must be downloaded to compute its digest, but
    // the hub has told the digest of the weights.
    mismatch(pinned(&other, &weights), "config.json");
    assert!(!hub.folder().join("snapshots").exists() && !hub.folder().join("refs").exists());
    hub.server.take_log();
    mismatch(pinned(&config, &other), "model.safetensors");
    let weights_path = format!("GET /a/b/resolve/{COMMIT}/model.safetensors");
    assert!(!hub.server.take_log().contains(&weights_path));
    assert_eq!(pinned(&config, &weights).unwrap(), model);
    // After the files are in the cache.
    mismatch(pinned(&config, &other), "model.safetensors");
    mismatch(pinned(&other, &weights), "config.json");
    assert_eq!(pinned(&config, &weights).unwrap(), model, "the files are still there");
    let error = pinned("abc", &weights).unwrap_err();
    assert!(matches!(error, HubError::InvalidOption { .. }), "{error}");
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
    // Cached files are not reported as downloads.
    let told = Arc::new(AtomicBool::new(false));
    let teller = told.clone();
    let on_progress = move |_: &DownloadProgress| teller.store(true, Ordering::Relaxed);
    load_from("hf://a/b", hub.options().with_on_progress(on_progress)).unwrap();
    assert!(!told.load(Ordering::Relaxed));
}
