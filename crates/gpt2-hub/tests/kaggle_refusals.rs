//! Kaggle that refuses, and storage whose files are not what they should be.

use std::fs;
use std::sync::{Arc, Mutex};

use gpt2_presets::{Preset, PresetError};
use serde_json::json;

use crate::hub_hugging_face::keras_preset;
use crate::hub_kaggle::*;
use crate::hub_server::*;
use crate::support::device;

#[test]
fn refusals_say_what_kerashub_says() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let open = || Preset::open_with(PINNED, &hub.options()).unwrap_err();
    // As a status, or as a code with the status 200.
    for status in [403, 200] {
        let response = Response { status, ..failure(403, "Permission denied") };
        hub.answer_kaggle(move |_| Some(response.clone()));
        let text = open().to_string();
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
        let error = open();
        assert!(
            matches!(&error, PresetError::MissingFile { file, .. } if file == "config.json"),
            "{error}"
        );
    }
    // A model that is hidden may be there the next time.
    hub.answer_kaggle(|_| None);
    Preset::open_with(PINNED, &hub.options()).unwrap();
}

#[test]
fn what_is_hidden_from_one_user_is_not_absent_for_the_next() {
    let (mut files, model) = keras_preset();
    files.insert("task.json".to_owned(), b"{}".to_vec());
    let hub = Kaggle::new(files);
    let options = hub.options().with_kaggle_token(Some("token"));
    // Another session with the token has brought what there is but for the task.
    Preset::open_with(PINNED, &options).unwrap().preprocessor().unwrap();
    Preset::open_with(PINNED, &options).unwrap().backbone(&device()).unwrap();
    hub.answer_kaggle(|request| match request.header("authorization") {
        None => Some(failure(404, "Not found")),
        Some(_) => None,
    });
    assert_eq!(load_with(PINNED, &hub.options()), model);
    assert!(!hub.path(".complete/3/task.json.absent").exists());
    // The task is no `GPT2CausalLM`, so that it says nothing; but it is there.
    assert_eq!(load_with(PINNED, &options), model);
    assert!(hub.path("3/task.json").exists());
}

#[test]
fn answers_that_are_none_are_told_apart() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files);
    let open = |handle: &str| Preset::open_with(handle, &hub.options()).unwrap_err();
    for response in [failure(401, "Who?"), Response { status: 200, ..failure(401, "Who?") }] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        for handle in [PINNED, UNPINNED] {
            assert!(matches!(open(handle), PresetError::HubUnauthorized { .. }));
        }
    }
    for response in [failure(503, "Down"), Response { status: 200, ..failure(503, "Down") }] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        assert!(matches!(open(PINNED), PresetError::HubUnavailable { status: 503, .. }));
    }
    hub.answer_kaggle(|_| Some(failure(429, "Slow down").with_header("retry-after", 1000)));
    assert!(matches!(open(PINNED), PresetError::HubRateLimited { retry_after: Some(1000), .. }));
    for response in [
        Response::json(&json!({})),
        Response::new(200).with_body("<html>Welcome to the airport</html>"),
    ] {
        hub.answer_kaggle(move |_| Some(response.clone()));
        for handle in [PINNED, UNPINNED] {
            let error = open(handle);
            assert!(matches!(error, PresetError::UnexpectedHubAnswer { .. }), "{error}");
        }
    }
    for location in ["file:///etc/passwd", "https://"] {
        hub.answer_kaggle(move |_| Some(Response::new(302).with_header("location", location)));
        assert!(matches!(open(PINNED), PresetError::HubRedirect { .. }));
    }
    for version in [json!(0), json!(-1), json!("3"), json!(null)] {
        hub.answer_kaggle(move |_| Some(Response::json(&json!({"versionNumber": version}))));
        assert!(matches!(open(UNPINNED), PresetError::UnexpectedHubAnswer { .. }));
    }
    assert_eq!(fs::read_dir(hub.cache.path()).unwrap().count(), 0);
}

#[test]
fn signed_addresses_that_have_expired_are_asked_for_again() {
    let (files, model) = keras_preset();
    let hub = Kaggle::new(files.clone());
    // The weights come in parts, each with an address of its own.
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
    assert_eq!(hub.load(PINNED), model);
    let parts = hub.storage.requests();
    let parts = parts.iter().filter(|it| it.path.ends_with(".h5"));
    let ranges: Vec<_> = parts.map(|part| part.range_start()).collect();
    assert_eq!(ranges, [None, Some(step), Some(2 * step)]);

    // An address that is refused is not used again, and not for ever another one is asked for.
    let hub = Kaggle::new(files);
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    hub.answer_storage(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        (*count < 3).then(|| Response::new(403))
    });
    assert_eq!(hub.load(PINNED), model);
    hub.answer_storage(|_| Some(Response::new(403)));
    fs::remove_dir_all(hub.path("3")).unwrap();
    hub.take_log();
    let error = Preset::open_with(PINNED, &hub.options()).unwrap_err();
    assert!(matches!(error, PresetError::HubForbidden { .. }), "{error}");
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
    let error = Preset::open_with(PINNED, &hub.options()).unwrap_err();
    let expected = matches!(&error, PresetError::ChecksumMismatch { algorithm: "MD5", .. });
    assert!(expected, "{error}");
    assert!(!hub.path("3/config.json").exists());
    assert!(!hub.path(".complete/3/config.json.complete").exists());
    // Wrong once only.
    let (wrong, right, count) = (bad(&files), files["config.json"].clone(), Mutex::new(0));
    hub.answer_storage(move |request| {
        *count.lock().unwrap() += 1;
        (*count.lock().unwrap() == 1).then(|| with_hash(request, &wrong, &right))
    });
    assert_eq!(hub.load(PINNED), model);
}

#[test]
fn a_file_of_which_nothing_shows_that_it_is_whole_is_refused() {
    let (files, _) = keras_preset();
    let hub = Kaggle::new(files.clone());
    hub.answer_storage(move |_| {
        let half = &files["config.json"][..100];
        Some(Response::new(200).with_body(half).with_fault(Fault::Endless))
    });
    let error = Preset::open_with(PINNED, &hub.options()).unwrap_err();
    assert!(matches!(&error, PresetError::UnexpectedHubAnswer { .. }), "{error}");
    assert!(error.to_string().contains("neither a size nor a checksum"), "{error}");
    assert!(!hub.path("3/config.json").exists());
}

#[test]
fn a_file_without_md5_is_checked_by_its_crc32c() {
    // Of "123456789" it is e3069283 (RFC 3720 has the polynomial, others this value).
    let mut files = keras_preset().0;
    files.insert("config.json".to_owned(), b"123456789".to_vec());
    let hub = Kaggle::new(files);
    for (crc32c, is_right) in [("4waSgw==", true), ("4waShA==", false)] {
        hub.answer_storage(move |request| {
            let response = Response::file(request, b"123456789", "\"etag\"");
            Some(response.with_header("x-goog-hash", format!("crc32c={crc32c}")))
        });
        match Preset::open_with(PINNED, &hub.options()).unwrap_err() {
            PresetError::InvalidJson { .. } if is_right => {}
            PresetError::ChecksumMismatch { algorithm: "CRC-32C", .. } if !is_right => {}
            error => panic!("{error}"),
        }
        let _ = fs::remove_dir_all(hub.path("3"));
    }
}
