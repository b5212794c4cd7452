//! The hubs' own Python clients upload to the same servers, in the same way. Needs their Python.

use std::path::Path;
use std::process::Command;

use gpt2_presets::upload_preset_with;
use gpt2_test_support::needs;
use tempfile::TempDir;

use super::fake_hugging_face::FakeHuggingFace;
use super::fake_kaggle::FakeKaggle;
use super::{HF, ID, INSTANCE, KAGGLE, keras_preset, transformers_preset};

/// Uploads by Python; false without one.
fn with_python(client: &str, endpoint: &str, uri: &str, folder: &TempDir) -> bool {
    let Some(python) = needs("GPT2_KERAS_PYTHON", "Python with KerasHub") else { return false };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub_upload/upload.py");
    let arguments = [client, endpoint, uri];
    let output =
        Command::new(python).arg(script).args(arguments).arg(folder.path()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    true
}

/// The requests that matter, without what they are about.
fn kinds(requests: Vec<String>) -> Vec<String> {
    let mut kinds: Vec<_> =
        requests.into_iter().filter(|it| it.starts_with("POST") || it.starts_with("PUT")).collect();
    kinds.dedup();
    kinds
}

#[test]
fn huggingface_hub_uploads_to_the_same_server_the_same_way() {
    for part_size in [None, Some(1000)] {
        let (theirs, ours) = (FakeHuggingFace::start(), FakeHuggingFace::start());
        theirs.state().part_size = part_size;
        ours.state().part_size = part_size;
        let folder = transformers_preset();
        if !with_python("huggingface_hub", &theirs.hub.url, ID, &folder) {
            return;
        }
        ours.upload(&folder).unwrap();
        let (mut uploaded, expected) = (ours.main(), theirs.main());
        uploaded.remove("README.md");
        assert_eq!(uploaded, expected);
        assert_eq!(kinds(ours.storage.asked()), kinds(theirs.storage.asked()));
        assert_eq!(kinds(ours.hub.asked()), kinds(theirs.hub.asked()));
        // What the one has uploaded, the other does not upload again.
        upload_preset_with(HF, folder.path(), &theirs.options()).unwrap();
        assert_eq!(theirs.puts(), ours.puts());
    }
}

#[test]
fn keras_hub_uploads_to_the_same_servers_the_same_way() {
    let (theirs, ours) = (FakeHuggingFace::start(), FakeHuggingFace::start());
    let folder = keras_preset();
    if !with_python("keras_hub", &theirs.hub.url, HF, &folder) {
        return;
    }
    ours.upload(&folder).unwrap();
    let (mut uploaded, mut expected) = (ours.main(), theirs.main());
    let (card, model) = (uploaded.remove("README.md").unwrap(), expected.remove("README.md"));
    assert_eq!(uploaded, expected);
    // All of KerasHub's card is in ours, in its order, but for who uploads and the object of a dtype.
    let (card, model) =
        (String::from_utf8(card).unwrap(), String::from_utf8(model.unwrap()).unwrap());
    let mut lines = card.lines();
    let others = ["This is a [`GPT2` model]", "* **dtype:**"];
    for line in model.lines().filter(|line| !others.iter().any(|other| line.starts_with(other))) {
        assert!(lines.any(|ours| ours == line), "{line}\n{card}");
    }

    let (theirs, ours) = (FakeKaggle::start(), FakeKaggle::start());
    for _ in 0..2 {
        with_python("kagglehub", &theirs.hub.url, KAGGLE.trim_start_matches("kaggle://"), &folder);
        ours.upload(&folder).unwrap();
    }
    with_python("keras_hub", &theirs.hub.url, KAGGLE, &folder);
    ours.upload(&folder).unwrap();
    assert_eq!(ours.versions(INSTANCE), theirs.versions(INSTANCE));
    assert_eq!(ours.versions(INSTANCE).len(), 3);
    let sorted = |requests: Vec<String>| {
        let mut requests = kinds(requests);
        requests.sort();
        requests
    };
    assert_eq!(sorted(ours.hub.asked()), sorted(theirs.hub.asked()));
    assert_eq!(ours.storage.asked().len(), theirs.storage.asked().len());
}
