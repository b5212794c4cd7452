//! Uploads to Kaggle: results, continuations, refusals.

use std::fs;

use gpt2_hub::{HubError, HubOptions, RequestErrorKind as Kind};
use serde_json::json;

use super::{INSTANCE, KAGGLE, keras_preset, transformers_preset, upload_folder};
use crate::fakes::faulty_server::{Fault, json_answer};
use crate::fakes::files_of;
use crate::fakes::server::Response;
use crate::fakes::upload_kaggle::{FakeKaggle, TOKEN};
use crate::support::load_with;

#[test]
fn what_is_uploaded_to_kaggle_is_a_version_and_is_what_is_downloaded() {
    let hub = FakeKaggle::start();
    let folder = keras_preset();
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    let page = hub.upload(&folder).unwrap();
    assert_eq!(page, "https://www.kaggle.com/models/ann/gpt2/keras/shakespeare");
    assert_eq!(hub.versions(INSTANCE), [files_of(folder.path())]);
    fs::write(folder.path().join("notes.txt"), "second").unwrap();
    hub.upload(&folder).unwrap();
    let versions = hub.versions(INSTANCE);
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[1], files_of(folder.path()));
    assert_eq!(hub.state().models, ["ann/gpt2"]);
    assert_eq!(page, hub.upload(&folder).unwrap());

    let cache = tempfile::tempdir().unwrap();
    let options = hub.options().with_kaggle_cache(cache.path());
    let (loaded, files) = (load_with(KAGGLE, &options), files_of(folder.path()));
    assert!(loaded.len() == 2 && loaded.iter().all(|(name, bytes)| files[name] == *bytes));

    let folder = transformers_preset();
    let uri = "kaggle://ann/gpt2/transformers/shakespeare";
    upload_folder(uri, folder.path(), &hub.options()).unwrap();
    let instance = "ann/gpt2/MODEL_FRAMEWORK_TRANSFORMERS/shakespeare";
    assert_eq!(hub.versions(instance), [files_of(folder.path())]);
}

#[test]
fn a_file_goes_on_where_the_connection_broke() {
    let five_hundred = || Fault::Answer(Response::new(503).with_body("backendError"));
    let cases: [Vec<Fault>; 6] = [
        vec![Fault::BreakAfter(700)],
        vec![Fault::BreakAfter(0)],
        vec![Fault::BreakAfter(700), Fault::Unanswered],
        vec![five_hundred(), five_hundred()],
        vec![Fault::Unanswered],
        // Each attempt brings bytes, so that there may be more attempts than retries.
        (0..8).map(|_| Fault::BreakAfter(300)).collect(),
    ];
    for faults in cases {
        let hub = FakeKaggle::start();
        let case = format!("{faults:?}");
        for fault in faults {
            // The weights are the fourth file.
            hub.storage.fail("PUT", "/upload/token3", fault);
        }
        let folder = keras_preset();
        hub.upload(&folder).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(hub.versions(INSTANCE), [files_of(folder.path())], "{case}");
    }
}

#[test]
fn a_large_file_goes_to_kaggle_in_chunks() {
    let hub = FakeKaggle::start();
    let folder = keras_preset();
    let size = 70 * 1024 * 1024;
    let file = fs::File::create(folder.path().join("large.bin")).unwrap();
    file.set_len(size).unwrap();
    hub.upload(&folder).unwrap();
    let ranges: Vec<_> = hub
        .storage
        .requests()
        .iter()
        .filter_map(|it| it.header("content-range").map(str::to_owned))
        .filter(|range| range.ends_with(&format!("/{size}")))
        .collect();
    let chunk = 32 * 1024 * 1024;
    assert_eq!(
        ranges,
        [
            format!("bytes 0-{}/{size}", chunk - 1),
            format!("bytes {chunk}-{}/{size}", 2 * chunk - 1),
            format!("bytes {}-{}/{size}", 2 * chunk, size - 1),
        ]
    );
    assert_eq!(hub.versions(INSTANCE)[0]["large.bin"].len() as u64, size);
}

#[test]
fn what_kaggle_says_is_told() {
    let folder = keras_preset();
    let hub = FakeKaggle::start();
    let refused = |uri: &str, options: &HubOptions| {
        let error = upload_folder(uri, folder.path(), options).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN), "{text}");
        let HubError::UploadRefused { status, detail, .. } = error else { panic!("{text}") };
        (status, detail)
    };
    let wrong = hub.options().with_kaggle_token(Some("wrong"));
    assert_eq!(refused(KAGGLE, &wrong), (401, "Unauthenticated".into()));
    // An error with status 200.
    let other = "kaggle://bob/gpt2/keras/shakespeare";
    assert_eq!(refused(other, &hub.options()), (403, "Permission denied".into()));
    let coded = json_answer(200, &json!({"code": 400, "message": "Invalid name"}));
    hub.hub.fail("POST", "/v1/models.ModelApiService/GetModel", Fault::Answer(coded));
    assert_eq!(refused(KAGGLE, &hub.options()), (400, "Invalid name".into()));
    let too_large = json_answer(413, &json!({"message": "Too large"}));
    hub.hub.fail("POST", "/v1/blobs", Fault::Answer(too_large));
    assert_eq!(refused(KAGGLE, &hub.options()), (413, "Too large".into()));
    hub.storage.fail("PUT", "/upload", Fault::Answer(Response::new(410).with_body("expired")));
    assert_eq!(refused(KAGGLE, &hub.options()).0, 410);
    for range in ["bytes=0-99999999", "bytes=0-18446744073709551615", "all"] {
        let answer = Response::new(308).with_header("Range", range);
        hub.storage.fail("PUT", "/upload", Fault::Answer(answer));
        let error = hub.upload(&folder).unwrap_err();
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{error}"
        );
    }
    // A lost answer: a second request might publish twice.
    hub.hub.fail("POST", "/v1/models.ModelApiService/CreateModelInstance", Fault::Unanswered);
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::Connection { .. }, .. }), "{error}");
    assert_eq!(hub.versions(INSTANCE).len(), 1);
}

#[test]
fn the_token_goes_to_kaggle_and_not_to_the_storage() {
    let hub = FakeKaggle::start();
    hub.storage.fail("PUT", "/upload/token3", Fault::BreakAfter(700));
    hub.upload(&keras_preset()).unwrap();
    for request in hub.storage.requests() {
        assert!(!format!("{request:?}").contains(TOKEN));
    }
    for request in hub.hub.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer kaggle_secret"));
    }
}

#[test]
fn more_files_than_kaggle_takes_are_refused() {
    let hub = FakeKaggle::start();
    let folder = keras_preset();
    for number in 0..50 {
        fs::write(folder.path().join(format!("{number}.txt")), "").unwrap();
    }
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::NotUploadable { .. }), "{error}");
    assert_eq!(hub.hub.asked(), [""; 0]);
}
