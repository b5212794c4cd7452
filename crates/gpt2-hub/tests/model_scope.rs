//! Downloads from servers that play ModelScope and the storage to which it redirects.

use std::fs;

use gpt2_hub::{HubError, HubOptions, ModelErrorKind, RequestErrorKind as Kind};
use serde_json::json;

use crate::fakes::files_of;
use crate::fakes::model_scope::*;
use crate::fakes::server::*;
use crate::support::*;

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
        // From now on the list is the only request. Offline, there is no request at all.
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
    let (files, mut model) = keras_preset();
    let hub = ModelScope::new(files);
    load_with(HANDLE, &hub.options());
    // The size stays, so that only the digest tells the difference.
    hub.change("config.json", |json| json["config"]["dropout"] = json!(0.2));
    hub.take_log();
    let dropout =
        |handle| config_of(&*open(handle, &hub.options()).unwrap())["config"]["dropout"].clone();
    assert_eq!(dropout(HANDLE), 0.2);
    assert_eq!(hub.take_log(), [LIST, FILE]);
    // A cached file that the hub has removed is not used.
    let changed = hub.model.lock().unwrap().files.remove(CONFIG).unwrap();
    model.insert(CONFIG.to_owned(), changed);
    let error = open(HANDLE, &hub.options()).unwrap_err();
    assert!(matches!(&error, HubError::NoMarkerFile { .. }), "{error}");
    // A commit never changes: no request is made for cached files.
    let pinned = format!("{HANDLE}@{COMMIT}");
    fs::rename(hub.path("master"), hub.path(COMMIT)).unwrap();
    hub.take_log();
    assert_eq!(load_with(&pinned, &hub.options().with_offline(true)), model);
    assert_eq!(dropout(&pinned), 0.2);
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
    // Files that the hub lacks are requested again; the others come from the cache.
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
    let refused = || open(HANDLE, &hub.options()).unwrap_err();
    hub.answer(move |request| is_config(request).then(|| Response::new(200).with_body(&wrong[..])));
    let error = refused();
    assert!(matches!(&error, HubError::ChecksumMismatch { algorithm: "SHA-256", .. }), "{error}");
    hub.answer(move |request| is_config(request).then(|| Response::new(200).with_body(&short[..])));
    let error = refused();
    assert!(matches!(&error, HubError::Request { kind: Kind::Unexpected { .. }, .. }), "{error}");
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
    let open = |options: &HubOptions| open(HANDLE, options);
    let is_offline = |error: HubError, name: &str| {
        let expected = format!("{HANDLE}/{name}");
        matches!(&error, HubError::Offline { file, .. } if *file == expected)
    };
    assert!(is_offline(open(&offline).unwrap_err(), "config.json"));
    let opened = open(&hub.options()).unwrap();
    let error = open(&offline).unwrap().fetch("model.weights.h5").unwrap_err();
    assert!(is_offline(error, "model.weights.h5"));
    // The same holds if the hub does not answer.
    hub.answer(|_| Some(failure(500, 0, "Down")));
    let error = open(&hub.options()).unwrap().fetch("model.weights.h5").unwrap_err();
    let expected = format!("{HANDLE}/model.weights.h5");
    assert!(
        matches!(&error, HubError::Request { file, kind: Kind::Unavailable { status: 500 }, .. } if *file == expected),
        "{error}"
    );
    let error = opened.fetch("model.weights.h5").unwrap_err();
    assert!(
        matches!(&error, HubError::Request { kind: Kind::Unavailable { status: 500 }, .. }),
        "{error}"
    );
}

#[test]
fn refusals_are_told_apart() {
    let hub = ModelScope::new(keras_preset().0);
    let refused = |handle: &str| open(handle, &hub.options()).unwrap_err();
    for handle in ["modelscope://ann/other".to_owned(), format!("{HANDLE}@v2")] {
        let error = refused(&handle);
        assert!(
            matches!(&error, HubError::Model { model, kind: ModelErrorKind::NotFound { .. } } if *model == handle)
        );
    }
    hub.answer(|_| Some(failure(401, 10_010_103_009, "AccessToken is invalid or expired")));
    assert!(matches!(refused(HANDLE), HubError::Request { kind: Kind::Unauthorized, .. }));
    hub.answer(|_| Some(failure(403, 0, "access denied")));
    assert!(matches!(refused(HANDLE), HubError::Request { kind: Kind::Forbidden, .. }));
    hub.answer(|_| Some(failure(429, 0, "slow").with_header("retry-after", 1000)));
    assert!(matches!(
        refused(HANDLE),
        HubError::Request { kind: Kind::RateLimited { retry_after: Some(1000) }, .. }
    ));
    for answer in [json!({}), json!({"Data": {"Files": "none"}}), json!([1])] {
        hub.answer(move |_| Some(Response::json(&answer)));
        let error = refused(HANDLE);
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{error}"
        );
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
        // New files go to that folder too.
        fs::remove_file(folder.join("config.json")).unwrap();
        open(HANDLE, &hub.options()).unwrap();
        assert!(folder.join("config.json").exists());
    }
}
