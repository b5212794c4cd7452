//! Refusals by hubs, and refusals of unsafe content of hubs and caches.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use gpt2_files::FileError;
use gpt2_hub::{HubError, ModelErrorKind, RequestErrorKind as Kind};

use crate::fakes::files_of;
use crate::fakes::hugging_face::{COMMIT, Hub, etag};
use crate::fakes::server::*;
use crate::support::*;

#[test]
fn messages_hold_no_secrets() {
    let hub = Hub::new(transformers_preset().0);
    // Nothing listens there.
    let cdn = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    hub.model.lock().unwrap().cdn = Some(format!("http://{cdn}"));
    let options = hub.options().with_hugging_face_token(Some("hf_secret"));
    let folder = open("hf://a/b", &options).unwrap();
    assert!(!format!("{folder:?}").contains("hf_secret"), "{folder:?}");
    let error = folder.fetch("model.safetensors").unwrap_err();
    let texts = format!("{error} {error:?}");
    assert!(matches!(error, HubError::Request { kind: Kind::Connection { .. }, .. }), "{texts}");
    assert!(texts.contains(&cdn.to_string()) && !texts.contains("ecret"), "{texts}");
    let options = hub.options().with_hugging_face_token(Some("hf_sec\nret"));
    let error = open("hf://a/b", &options).unwrap_err();
    assert!(matches!(&error, HubError::InvalidOption { option: "a token", .. }), "{error}");
    assert!(!format!("{error:?}").contains("hf_sec"));
}

#[test]
fn a_password_in_an_endpoint_is_not_shown() {
    let hub = Hub::with_faults(BTreeMap::new(), |_, _, _| {
        Response::new(403).with_header("x-error-code", "GatedRepo")
    });
    let secret = |url: &str| url.replace("http://", "http://ann:word@");
    let options = hub
        .options()
        .with_hugging_face_endpoint(&secret(&hub.server.url()))
        .with_kaggle_endpoint(&secret(&hub.server.url()))
        .with_model_scope_endpoint(&secret("http://127.0.0.1:9"))
        .with_model_scope_cache(hub.cache.path());
    assert!(!format!("{options:?}").contains("word"), "{options:?}");
    let error = open("hf://a/b", &options).unwrap_err();
    let HubError::Model { kind: ModelErrorKind::Gated { page }, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*page, format!("{}/a/b", hub.server.url()));
    let error = open("modelscope://a/b", &options).unwrap_err();
    let HubError::Request { host, kind: Kind::Connection { .. }, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(host, "127.0.0.1:9");
    assert!(!format!("{error} {error:?}").contains("word"), "{error:?}");
}

/// Outcome of a load, for a hub that gives this answer to the first request.
fn refused(
    handle: &str,
    answer: impl Fn(usize) -> Response + Send + Sync + 'static,
) -> (HubError, usize) {
    let hub = Hub::with_faults(BTreeMap::new(), move |_, _, before| answer(before));
    let error = open(handle, &hub.options()).unwrap_err();
    assert!(error.to_string().contains(&hub.server.url()["http://".len()..]), "{error}");
    (error, hub.server.requests().len())
}

#[test]
fn each_refusal_has_its_own_error() {
    let code = |status, code: &'static str| {
        move |_| Response::new(status).with_header("x-error-code", code)
    };
    let status = |status| move |_| Response::new(status);
    let (error, asked) = refused("hf://a/b", code(401, "RepoNotFound"));
    assert!(
        matches!(&error, HubError::Model { model, kind: ModelErrorKind::NotFound { .. } } if model == "hf://a/b")
    );
    assert!(error.to_string().contains("token"), "{error}");
    assert_eq!(asked, 1);
    let (error, _) = refused("hf://a/b@x", code(404, "RevisionNotFound"));
    assert!(
        matches!(&error, HubError::Model { model, kind: ModelErrorKind::RevisionNotFound { .. } } if model == "hf://a/b@x")
    );
    let (error, _) = refused("hf://a/b", code(403, "GatedRepo"));
    assert!(
        matches!(&error, HubError::Model { kind: ModelErrorKind::Gated { page }, .. } if page.ends_with("/a/b"))
    );
    assert!(error.to_string().contains("accept the terms at http://127.0.0.1:"), "{error}");
    let (error, _) = refused("hf://a/b", status(401));
    assert!(
        matches!(error, HubError::Model { kind: ModelErrorKind::NotFound { .. }, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("token"), "{error}");
    let invalid = "Invalid credentials in Authorization header";
    let invalid = move |_| Response::new(401).with_header("x-error-message", invalid);
    let (error, _) = refused("hf://a/b", invalid);
    assert!(matches!(error, HubError::Request { kind: Kind::Unauthorized, .. }), "{error}");
    let (error, _) = refused("hf://a/b", status(403));
    assert!(matches!(error, HubError::Request { kind: Kind::Forbidden, .. }), "{error}");
    // A 404 that is not the hub's own, for example a proxy's.
    let (error, _) = refused("hf://a/b", status(404));
    assert!(matches!(error, HubError::Request { kind: Kind::NotFound, .. }), "{error}");
    let (error, asked) = refused("hf://a/b", status(418));
    assert!(
        matches!(error, HubError::Request { kind: Kind::Status { status: 418 }, .. }),
        "{error}"
    );
    assert_eq!(asked, 1);
    // Temporary failures are retried.
    for temporary in [500, 502, 503, 504] {
        let (error, asked) = refused("hf://a/b", status(temporary));
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unavailable { status }, .. } if status == temporary)
        );
        assert_eq!(asked, 3);
    }
    let (error, asked) = refused("hf://a/b", status(429));
    assert!(
        matches!(error, HubError::Request { kind: Kind::RateLimited { retry_after: None }, .. }),
        "{error}"
    );
    assert_eq!(asked, 3);
    let busy = |_| Response::new(429).with_header("retry-after", 1000);
    let (error, asked) = refused("hf://a/b", busy);
    assert!(matches!(
        error,
        HubError::Request { kind: Kind::RateLimited { retry_after: Some(1000) }, .. }
    ));
    assert!(error.to_string().ends_with("try again in 1000 seconds"), "{error}");
    assert_eq!(asked, 1);
    let busy = |_| {
        let limit = "\"resolvers\";r=0;t=900";
        Response::new(429).with_header("retry-after", 1000).with_header("ratelimit", limit)
    };
    let (error, asked) = refused("hf://a/b", busy);
    assert!(
        matches!(
            error,
            HubError::Request { kind: Kind::RateLimited { retry_after: Some(900) }, .. }
        ),
        "{error}"
    );
    assert_eq!(asked, 1);
}

#[test]
fn a_hub_that_asks_for_a_pause_gets_it() {
    let (files, model) = transformers_preset();
    let hub = Hub::with_faults(files, |_, response, before| match before {
        0 => Response::new(429).with_header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
        _ => response,
    });
    assert_eq!(hub.load().unwrap(), model);
    let hub = Hub::with_faults(
        hub.model.lock().unwrap().files.clone(),
        |request, response, before| match (request.path.ends_with("/config.json"), before) {
            (true, 0) => Response::new(503).with_header("retry-after", "1"),
            _ => response,
        },
    );
    let start = Instant::now();
    open("hf://a/b", &hub.options()).unwrap();
    // One for each of the two requests about the file.
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[test]
fn hubs_that_do_not_answer_are_given_up() {
    let hub =
        Hub::with_faults(BTreeMap::new(), |_, response, _| response.with_fault(Fault::Silent));
    let options = hub.options().with_retries(1).with_metadata_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let error = open("hf://a/b", &options).unwrap_err();
    assert!(matches!(&error, HubError::Request { kind: Kind::Connection { .. }, .. }), "{error}");
    assert!(error.to_string().contains("time limit"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(hub.server.requests().len(), 2);
    let options = hub.options().with_hugging_face_endpoint("huggingface.co");
    let error = open("hf://a/b", &options).unwrap_err();
    assert!(matches!(&error, HubError::InvalidOption { option: "the endpoint", .. }), "{error}");
}

#[test]
fn names_from_the_hub_lead_nowhere() {
    let (files, _) = transformers_preset();
    for (header, value) in [
        ("etag", "\"../../../x\""),
        ("etag", "\"\""),
        ("etag", "\".x\""),
        ("etag", "\"a\\b\""),
        ("etag", "\"nul\""),
        ("x-repo-commit", "../../../x"),
        ("x-repo-commit", ""),
    ] {
        let hub = Hub::with_faults(files.clone(), move |_, mut response, _| {
            response.headers.retain(|(name, _)| name != header);
            response.with_header(header, value)
        });
        let error = open("hf://a/b", &hub.options()).unwrap_err();
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{error}"
        );
        assert!(files_of(hub.cache.path()).is_empty());
    }
    for name in ["../x", "/x", "a\\b", "C:x", "a\0b", "NUL.safetensors", "x\u{1}y"] {
        // As an index would name its shards.
        let hub = Hub::new(files.clone());
        let folder = open("hf://a/b", &hub.options()).unwrap();
        let error = folder.fetch(name).unwrap_err();
        assert!(matches!(error, HubError::UnsafeFileName { .. }), "{error}");
        assert!(!hub.server.take_log().iter().any(|line| line.ends_with('x')));
    }
}

#[test]
fn links_out_of_the_cache_are_refused() {
    let hub = Hub::new(transformers_preset().0);
    open("hf://a/b", &hub.options()).unwrap();
    let folder = hub.folder();
    let outside = tempfile::tempdir().unwrap();
    let config = folder.join("snapshots").join(COMMIT).join("config.json");
    let secret = outside.path().join("secret");
    fs::copy(&config, &secret).unwrap();
    fs::remove_file(&config).unwrap();
    std::os::unix::fs::symlink(&secret, &config).unwrap();
    let error = open("hf://a/b", &hub.options()).unwrap_err();
    assert!(matches!(&error, HubError::UnsafeFileName { name, .. } if name == "config.json"));
    // A broken link counts as an absent file.
    fs::remove_file(&secret).unwrap();
    open("hf://a/b", &hub.options()).unwrap();
    assert!(!secret.exists());
    // The model's folder itself may be elsewhere.
    let moved = outside.path().join("models--a--b");
    fs::rename(&folder, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &folder).unwrap();
    hub.load().unwrap();
}

#[test]
fn a_blob_that_another_program_left_half_is_downloaded_again() {
    let (files, model) = transformers_preset();
    let blob = etag("model.safetensors", &files["model.safetensors"]);
    let hub = Hub::new(files);
    fs::create_dir_all(hub.folder().join("blobs")).unwrap();
    fs::write(hub.folder().join("blobs").join(&blob), "<html>Too many requests</html>").unwrap();
    assert_eq!(hub.load().unwrap(), model);
}

#[test]
fn caches_may_have_any_name_and_must_be_writable() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    let long = ["a folder with ünïcode 模型"; 12].join("/");
    let options = hub.options().with_hugging_face_cache(hub.cache.path().join(long));
    assert_eq!(load_from("hf://a/b", options).unwrap(), model);
    let file = hub.cache.path().join("file");
    fs::write(&file, "").unwrap();
    let options = hub.options().with_hugging_face_cache(&file);
    let error = load_from("hf://a/b", options).unwrap_err();
    assert!(
        matches!(&error, HubError::File(FileError::Write { path, .. }) if path.starts_with(&file)),
        "{error}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn a_cache_that_cannot_be_written_to_can_be_read() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    assert_eq!(hub.load().unwrap(), model);
    // The cache would record the commit and absent files there.
    for name in ["refs", ".no_exist", "blobs/x"] {
        let path = hub.folder().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::write(&path, "in the way").unwrap();
    }
    hub.server.take_log();
    assert_eq!(hub.load().unwrap(), model);
    assert!(hub.server.take_log().iter().all(|line| line.starts_with("HEAD ")));
}

#[test]
fn a_host_that_is_out_of_reach_is_asked_once_more_and_that_is_told() {
    use std::sync::{Arc, Mutex};

    let hub = Hub::new(transformers_preset().0);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    // Nothing listens there.
    let options = hub
        .options()
        .with_retries(5)
        .with_hugging_face_endpoint("http://127.0.0.1:9")
        .with_on_wait(move |line| told.lock().unwrap().push(line.to_owned()));
    let error = open("hf://a/b", &options).unwrap_err();
    assert!(
        matches!(error, HubError::Request { kind: Kind::Connection { was_made: false, .. }, .. }),
        "{error}"
    );
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("hf://a/b") && lines[0].contains("trying again"), "{lines:?}");
}
