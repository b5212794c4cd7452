//! Uploads to Hugging Face: results, repetitions, broken connections, refusals.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use gpt2_hub::{HubError, HubOptions, RequestErrorKind as Kind};
use serde_json::json;
use tempfile::TempDir;

use super::{HF, keras_preset, transformers_preset, upload_folder};
use crate::fakes::faulty_server::{Fault, json_answer};
use crate::fakes::files_of;
use crate::fakes::server::Response;
use crate::fakes::upload_hugging_face::{FakeHuggingFace, ID, TOKEN, USER, hex};
use crate::support::{self, load_with, noise};

#[test]
fn what_is_uploaded_to_hugging_face_is_what_is_downloaded() {
    for folder in [keras_preset(), transformers_preset()] {
        let hub = FakeHuggingFace::start();
        let before = files_of(folder.path());
        assert_eq!(hub.upload(&folder).unwrap(), format!("{}/{ID}", hub.hub.url));
        // The card is not written to the folder.
        assert_eq!(files_of(folder.path()), before);
        let mut uploaded = hub.main();
        assert!(uploaded.remove("README.md").is_some());
        assert_eq!(uploaded, before);
        assert_eq!(hub.commits(ID, "main"), 2, "that of the new repository, and ours");

        let cache = tempfile::tempdir().unwrap();
        let options = hub.options().with_hugging_face_cache(cache.path());
        let loaded = load_with(HF, &options);
        assert!(loaded.len() == 2 && loaded.iter().all(|(name, bytes)| before[name] == *bytes));
    }
}

#[test]
fn large_files_are_sent_in_parts_of_the_hubs_choice() {
    let hub = FakeHuggingFace::start();
    let folder = transformers_preset();
    let size = folder.path().join("model.safetensors").metadata().unwrap().len() as usize;
    // Once with a shorter last part, and once with equal parts.
    for (part_size, parts) in [(1000, size.div_ceil(1000)), (size / 4, 4)] {
        let before = hub.puts();
        hub.state().storage.clear();
        hub.state().part_size = Some(part_size);
        hub.state().repositories.clear();
        hub.upload(&folder).unwrap();
        assert_eq!(hub.puts() - before, parts);
        assert_eq!(hub.main()["model.safetensors"], files_of(folder.path())["model.safetensors"]);
    }
}

#[test]
fn what_the_hub_has_is_not_sent_again() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    hub.upload(&folder).unwrap();
    assert_eq!((hub.puts(), hub.commits(ID, "main")), (1, 2));
    hub.upload(&folder).unwrap();
    assert_eq!((hub.puts(), hub.commits(ID, "main")), (1, 2), "nothing has changed");

    // A change of a small file does not send the large one again.
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!((hub.puts(), hub.commits(ID, "main")), (1, 3));
    assert_eq!(hub.main()["notes.txt"], b"");

    // Another repository reuses the file in the storage.
    upload_folder("hf://ann/copy", folder.path(), &hub.options()).unwrap();
    assert_eq!((hub.puts(), hub.commits("ann/copy", "main")), (1, 2));
}

#[test]
fn a_branch_and_the_tokens_owner_may_be_named() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    let upload = |uri: &str| upload_folder(uri, folder.path(), &hub.options()).unwrap();
    assert_eq!(upload("hf://other"), format!("{}/{USER}/other", hub.hub.url));
    assert_eq!(
        upload("hf://ann/shakespeare@v2/test"),
        format!("{}/{ID}/tree/v2/test", hub.hub.url)
    );
    assert!(hub.files(ID, "v2/test").contains_key("model.weights.h5"));
    assert!(!hub.files(ID, "main").contains_key("model.weights.h5"));
    // Again, now that the branch exists.
    upload("hf://ann/shakespeare@v2/test");
}

#[test]
fn a_broken_connection_is_made_again() {
    let part = |hub: &FakeHuggingFace| hub.state().part_size = Some(1000);
    let five_hundred = || Fault::Answer(Response::new(500).with_body("InternalError"));
    let later = || Fault::Answer(Response::new(429).with_header("Retry-After", "0"));
    let commit = format!("/api/models/{ID}/commit/main");
    let cases: [(&str, &str, String, Fault); 12] = [
        ("storage", "PUT", "/parts/".into(), Fault::BreakAfter(500)),
        ("storage", "PUT", "/parts/".into(), Fault::Unanswered),
        ("storage", "PUT", "/parts/".into(), five_hundred()),
        ("storage", "PUT", "/parts/".into(), later()),
        ("hub", "POST", "/complete".into(), Fault::Unanswered),
        ("hub", "POST", format!("/{ID}.git/info/lfs"), Fault::BreakAfter(10)),
        ("hub", "POST", format!("/api/models/{ID}/preupload"), five_hundred()),
        ("hub", "POST", "/api/repos/create".into(), Fault::Unanswered),
        ("hub", "POST", commit.clone(), Fault::BreakAfter(100)),
        ("hub", "POST", commit.clone(), Fault::Unanswered),
        ("hub", "POST", commit.clone(), five_hundred()),
        ("hub", "POST", commit, later()),
    ];
    for (server, method, target, fault) in cases {
        let hub = FakeHuggingFace::start();
        part(&hub);
        let case = format!("{method} {target} {fault:?}");
        let server = if server == "hub" { &hub.hub } else { &hub.storage };
        server.fail(if method == "PUT" { "PUT" } else { "POST" }, &target, fault);
        let folder = transformers_preset();
        hub.upload(&folder).unwrap_or_else(|error| panic!("{case}: {error}"));
        let mut uploaded = hub.main();
        uploaded.remove("README.md");
        assert_eq!(uploaded, files_of(folder.path()), "{case}");
        assert_eq!(hub.commits(ID, "main"), 2, "{case}: one commit of ours, not more");
    }
}

#[test]
fn an_upload_that_broke_off_leaves_the_model_as_it_was_and_goes_on() {
    let hub = FakeHuggingFace::start();
    let folder = sharded();
    let shards = files_of(folder.path()).into_iter().filter(|(name, _)| name.contains("-of-"));
    let mut oids: Vec<_> = shards.map(|(_, bytes)| sha256(&bytes)).collect();
    oids.sort();
    // A failure for each attempt.
    for _ in 0..3 {
        hub.storage.fail("PUT", &format!("/objects/{}", oids[1]), Fault::BreakAfter(3));
    }
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::Connection { .. }, .. }), "{error}");
    assert_eq!(hub.commits(ID, "main"), 1);
    hub.upload(&folder).unwrap();
    assert_eq!(hub.commits(ID, "main"), 2);
    let puts = hub.storage.asked();
    let of = |oid: &String| puts.iter().filter(|put| put.contains(oid)).count();
    assert_eq!((of(&oids[0]), of(&oids[1])), (1, 4));
}

fn sha256(bytes: &[u8]) -> String {
    hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// Two shards of different content.
fn sharded() -> TempDir {
    let mut files = support::transformers_preset().0;
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("model-00001-of-00002.safetensors".to_owned(), weights);
    files.insert("model-00002-of-00002.safetensors".to_owned(), noise(1003));
    support::folder_of(&files)
}

#[test]
fn what_hugging_face_says_is_told() {
    let folder = keras_preset();
    let hub = FakeHuggingFace::start();
    let refused = |uri: &str, options: &HubOptions| {
        let error = upload_folder(uri, folder.path(), options).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains(TOKEN) && !format!("{error:?}").contains(TOKEN), "{text}");
        let HubError::UploadRefused { status, detail, .. } = error else { panic!("{text}") };
        (status, detail)
    };
    let wrong = hub.options().with_hugging_face_token(Some("hf_wrong"));
    assert_eq!(refused(HF, &wrong), (401, "Invalid username or password.".into()));
    let (status, detail) = refused("hf://bob/shakespeare", &hub.options());
    assert_eq!(status, 403);
    assert!(detail.contains("You don't have the rights"), "{detail}");

    for (target, status, header) in [
        ("/api/repos/create", 400, "Invalid name"),
        ("/api/models/ann/shakespeare/preupload", 404, "Repository not found"),
        ("/ann/shakespeare.git/info/lfs", 403, "No quota"),
        ("/api/models/ann/shakespeare/commit", 409, "Somebody was faster"),
    ] {
        let answer = json_answer(status, &json!({ "error": header }));
        hub.hub.fail("POST", target, Fault::Answer(answer));
        assert_eq!(refused(HF, &hub.options()), (status, header.to_owned()), "{target}");
    }
    let object =
        json!({"objects": [{"oid": "0", "size": 1, "error": {"code": 422, "message": "no"}}]});
    hub.state().storage.clear();
    hub.hub.fail("POST", "/ann/shakespeare.git", Fault::Answer(json_answer(200, &object)));
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }), "{error}");

    for _ in 0..3 {
        hub.hub.fail("POST", "/api/repos/create", Fault::Answer(Response::new(429)));
    }
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::Request { kind: Kind::RateLimited { .. }, .. }), "{error}");
    for _ in 0..3 {
        hub.hub.fail("POST", "/api/models", Fault::Answer(Response::new(503)));
    }
    let error = hub.upload(&folder).unwrap_err();
    assert!(
        matches!(error, HubError::Request { kind: Kind::Unavailable { status: 503 }, .. }),
        "{error}"
    );
    assert_eq!(hub.commits(ID, "main"), 1, "nothing was published");
}

#[test]
fn answers_that_no_hub_gives_are_errors() {
    let folder = keras_preset();
    let oid = "0".repeat(64);
    let object = |upload: serde_json::Value| json!({"objects": [{"oid": oid, "size": 1, "actions": {"upload": upload}}]});
    let preupload = "/api/models/ann/shakespeare/preupload/main";
    let batch = "/ann/shakespeare.git/info/lfs/objects/batch";
    for (target, answer) in [
        (preupload, json!([])),
        (preupload, json!({"files": []})),
        (preupload, json!({"files": [{"path": "config.json", "uploadMode": "magic"}]})),
        (batch, json!({"objects": []})),
        (batch, json!({"objects": "all"})),
        (batch, object(json!({"href": "http://localhost:1/x"}))),
    ] {
        let hub = FakeHuggingFace::start();
        hub.hub.fail("POST", target, Fault::Answer(json_answer(200, &answer)));
        let error = hub.upload(&folder).unwrap_err();
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{answer}: {error}"
        );
        assert_eq!(hub.commits(ID, "main"), 1);
    }
}

#[test]
fn parts_that_do_not_fit_the_file_are_errors() {
    let folder = keras_preset();
    let bytes = files_of(folder.path())["model.weights.h5"].clone();
    let oid = sha256(&bytes);
    for header in [
        json!({"chunk_size": "0", "00001": "http://localhost:1/"}),
        json!({"chunk_size": "many", "00001": "http://localhost:1/"}),
        json!({"chunk_size": 10, "00001": "http://localhost:1/"}),
        json!({"chunk_size": bytes.len(), "00001": 1}),
        json!({"chunk_size": u64::MAX}),
    ] {
        let hub = FakeHuggingFace::start();
        let upload = json!({"href": "http://localhost:1/", "header": header});
        let object = json!({"oid": oid, "size": bytes.len(), "actions": {"upload": upload}});
        let answer = json_answer(200, &json!({"objects": [object]}));
        hub.hub.fail("POST", "/ann/shakespeare.git", Fault::Answer(answer));
        let error = hub.upload(&folder).unwrap_err();
        assert!(
            matches!(error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{header}: {error}"
        );
    }
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_the_storage() {
    let hub = FakeHuggingFace::start();
    hub.state().part_size = Some(1000);
    hub.upload(&keras_preset()).unwrap();
    hub.state().part_size = None;
    hub.state().storage.clear();
    hub.upload(&transformers_preset()).unwrap();
    let stored = hub.storage.requests();
    assert!(stored.len() > 2);
    for request in stored {
        assert_eq!(request.header("authorization"), None);
        assert!(!format!("{request:?}").contains(TOKEN));
    }
    let posts = hub.hub.requests().into_iter().filter(|it| !it.path.starts_with("/complete"));
    for request in posts {
        assert_eq!(request.header("authorization"), Some("Bearer hf_secret"), "{}", request.path);
    }
}

#[test]
fn addresses_of_the_hub_itself_are_those_of_its_mirror_and_others_get_no_token() {
    let hub = FakeHuggingFace::start();
    hub.state().part_size = Some(1000);
    hub.state().address = Some("https://huggingface.co".into());
    hub.upload(&keras_preset()).unwrap();
    assert!(hub.hub.asked().iter().any(|it| it.starts_with("POST /complete/")));
    assert!(hub.hub.asked().contains(&"POST /ann/any.git/info/lfs/verify".into()));

    // The storage refuses every request with a token.
    let elsewhere = hub.storage.url.clone();
    hub.state().address = Some(elsewhere);
    hub.upload(&transformers_preset()).unwrap();
    assert!(hub.storage.asked().contains(&"POST /ann/any.git/info/lfs/verify".into()));
}

#[test]
fn files_that_the_repository_ignores_are_an_error() {
    let hub = FakeHuggingFace::start();
    hub.state().ignored.push("model.weights.h5".into());
    let error = hub.upload(&keras_preset()).unwrap_err();
    assert!(
        matches!(&error, HubError::NotUploadable { path, .. }
        if path.ends_with("model.weights.h5")),
        "{error}"
    );
    assert_eq!(hub.commits(ID, "main"), 1);
}

#[test]
fn progress_is_told_of_each_file_that_is_sent() {
    let hub = FakeHuggingFace::start();
    let told = Arc::new(Mutex::new(BTreeMap::<String, Vec<(u64, Option<u64>)>>::new()));
    let heard = told.clone();
    let options = hub.options().with_on_progress(move |it| {
        heard.lock().unwrap().entry(it.file.clone()).or_default().push((it.done, it.total));
    });
    let folder = keras_preset();
    upload_folder(HF, folder.path(), &options).unwrap();
    let size = folder.path().join("model.weights.h5").metadata().unwrap().len();
    let told = told.lock().unwrap();
    let steps = &told["hf://ann/shakespeare/model.weights.h5"];
    assert!(steps.len() >= 2 && steps.is_sorted(), "{steps:?}");
    assert_eq!(steps.last(), Some(&(size, Some(size))));
}
