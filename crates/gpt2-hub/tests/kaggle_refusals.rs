//! Refusals by Kaggle, and wrong files from its storage.

use std::fs;
use std::sync::{Arc, Mutex};

use gpt2_hub::{HubError, RequestErrorKind as Kind};
use serde_json::json;

use crate::fakes::kaggle::*;
use crate::fakes::server::*;
use crate::support::*;

#[test]
fn refusals_say_what_kerashub_says() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let refused = || open(PINNED, &hub.options()).unwrap_err();
    // As a status, or as a code with status 200.
    for status in [403, 200] {
        let response = Response { status, ..failure(403, "Permission denied") };
        hub.answer_kaggle(move |_| Some(response.clone()));
        let text = refused().to_string();
        let expected = format!(
            "`config.json` is not accessible in preset directory `{PINNED}`. If this model is \
             gated, accept its terms on kaggle.com and retry"
        );
        assert!(text.starts_with(&expected), "{text}");
    }
    for response in
        [failure(404, "Not found"), Response { status: 200, ..failure(404, "Not found") }]
    {
        hub.answer_kaggle(move |_| Some(response.clone()));
        let error = refused();
        assert!(
            matches!(&error, HubError::NoMarkerFile { file, .. } if file == "config.json"),
            "{error}"
        );
    }
    // A hidden model may be visible at the next request.
    hub.answer_kaggle(|_| None);
    open(PINNED, &hub.options()).unwrap();
}

#[test]
fn what_is_hidden_from_one_user_is_not_absent_for_the_next() {
    let (mut files, model) = keras_preset();
    files.insert("task.json".to_owned(), b"{}".to_vec());
    let hub = Kaggle::new(files.clone());
    let options = hub.options().with_kaggle_token(Some("token"));
    // Another session, with the token, has downloaded all files but the task.
    let folder = open(PINNED, &options).unwrap();
    for name in files.keys().filter(|name| *name != "task.json") {
        fetch(&*folder, name).unwrap();
    }
    hub.answer_kaggle(|request| match request.header("authorization") {
        None => Some(failure(404, "Not found")),
        Some(_) => None,
    });
    assert_eq!(load_with(PINNED, &hub.options()), model);
    assert!(!hub.path(".complete/3/task.json.absent").exists());
    // The missing task was not recorded as absent: with the token it is downloaded.
    assert_eq!(load_with(PINNED, &options), model);
    assert!(hub.path("3/task.json").exists());
}

#[test]
fn answers_that_are_none_are_told_apart() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let refused = |handle: &str| open(handle, &hub.options()).unwrap_err();
    for response in [failure(401, "Who?"), Response { status: 200, ..failure(401, "Who?") }] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        for handle in [PINNED, UNPINNED] {
            assert!(matches!(refused(handle), HubError::Request { kind: Kind::Unauthorized, .. }));
        }
    }
    for response in [failure(503, "Down"), Response { status: 200, ..failure(503, "Down") }] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        assert!(matches!(
            refused(PINNED),
            HubError::Request { kind: Kind::Unavailable { status: 503 }, .. }
        ));
    }
    hub.answer_kaggle(|_| Some(failure(429, "Slow down").with_header("retry-after", 1000)));
    assert!(matches!(
        refused(PINNED),
        HubError::Request { kind: Kind::RateLimited { retry_after: Some(1000) }, .. }
    ));
    for response in [
        Response::json(&json!({})),
        Response::new(200).with_body("<html>Welcome to the airport</html>"),
    ] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        for handle in [PINNED, UNPINNED] {
            let error = refused(handle);
            assert!(
                matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
                "{error}"
            );
        }
    }
    for location in ["file:///etc/passwd", "https://"] {
        hub.answer_kaggle(move |_| Some(Response::new(302).with_header("location", location)));
        assert!(matches!(refused(PINNED), HubError::Request { kind: Kind::Redirect { .. }, .. }));
    }
    for version in [json!(0), json!(-1), json!("3"), json!(null)] {
        hub.answer_kaggle(move |_| Some(Response::json(&json!({"versionNumber": version}))));
        assert!(matches!(
            refused(UNPINNED),
            HubError::Request { kind: Kind::Unexpected { .. }, .. }
        ));
    }
    assert_eq!(fs::read_dir(hub.cache.path()).unwrap().count(), 0);
}

#[test]
fn signed_addresses_that_have_expired_are_asked_for_again() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    // The weights arrive in parts, each from an address of its own.
    let weights = files["model.weights.h5"].clone();
    let step = weights.len() / 3 + 1;
    hub.answer_storage(move |request| {
        if !request.path.ends_with(".h5") {
            return None;
        }
        let response = with_hash(request, &weights, &weights);
        let start = request.range_start().unwrap_or(0);
        Some(if start + step < weights.len() {
            response.with_fault(Fault::DropAfter(step))
        } else {
            response
        })
    });
    assert_eq!(load_with(PINNED, &hub.options()), model);
    let parts = hub.storage.requests();
    let parts = parts.iter().filter(|it| it.path.ends_with(".h5"));
    let ranges: Vec<_> = parts.map(|part| part.range_start()).collect();
    assert_eq!(ranges, [None, Some(step), Some(2 * step)]);

    // A refused address is not used again, and the number of new addresses is limited.
    let hub = Kaggle::new(files);
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    hub.answer_storage(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        (*count < 3).then(|| Response::new(403))
    });
    assert_eq!(load_with(PINNED, &hub.options()), model);
    hub.answer_storage(|_| Some(Response::new(403)));
    fs::remove_dir_all(hub.path("3")).unwrap();
    hub.take_log();
    let error = open(PINNED, &hub.options()).unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::Forbidden, .. }), "{error}");
    assert_eq!(hub.take_log().len(), 10);
}

#[test]
fn a_file_with_another_md5_is_not_kept() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    let bad = |files: &Files| {
        let mut bytes = files["config.json"].clone();
        bytes[0] ^= 1;
        bytes
    };
    let (wrong, right) = (bad(&files), files["config.json"].clone());
    hub.answer_storage(move |request| Some(with_hash(request, &wrong, &right)));
    let error = open(PINNED, &hub.options()).unwrap_err();
    let expected = matches!(&error, HubError::ChecksumMismatch { algorithm: "MD5", .. });
    assert!(expected, "{error}");
    assert!(!hub.path("3/config.json").exists());
    assert!(!hub.path(".complete/3/config.json.complete").exists());
    // The content is wrong only once.
    let (wrong, right, count) = (bad(&files), files["config.json"].clone(), Mutex::new(0));
    hub.answer_storage(move |request| {
        *count.lock().unwrap() += 1;
        (*count.lock().unwrap() == 1).then(|| with_hash(request, &wrong, &right))
    });
    assert_eq!(load_with(PINNED, &hub.options()), model);
}

#[test]
fn a_file_of_which_nothing_shows_that_it_is_whole_is_refused() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files.clone());
    hub.answer_storage(move |_| {
        let config = &files[CONFIG];
        let half = &config[..config.len() / 2];
        Some(Response::new(200).with_body(half).with_fault(Fault::Endless))
    });
    let error = open(PINNED, &hub.options()).unwrap_err();
    assert!(matches!(&error, HubError::Request { kind: Kind::Unexpected { .. }, .. }), "{error}");
    assert!(error.to_string().contains("neither a size nor a checksum"), "{error}");
    assert!(!hub.path("3/config.json").exists());
}

#[test]
fn a_file_without_md5_is_checked_by_its_crc32c() {
    // CRC-32C of "123456789" is e3069283 (polynomial of RFC 3720).
    let mut files = keras_preset().0;
    files.insert("config.json".to_owned(), b"123456789".to_vec());
    let hub = Kaggle::new(files);
    for (crc32c, is_right) in [("4waSgw==", true), ("4waShA==", false)] {
        hub.answer_storage(move |request| {
            let response = Response::file(request, b"123456789", "\"etag\"");
            Some(response.with_header("x-goog-hash", format!("crc32c={crc32c}")))
        });
        match open(PINNED, &hub.options()) {
            Ok(folder) if is_right => assert_eq!(fetch(&*folder, CONFIG).unwrap(), b"123456789"),
            Err(HubError::ChecksumMismatch { algorithm: "CRC-32C", .. }) if !is_right => {}
            result => panic!("{result:?}"),
        }
        let _ = fs::remove_dir_all(hub.path("3"));
    }
}
