//! Model cards: those of the folder, of the repository, and the generated one.

use std::fs;

use gpt2_hub::HubError;

use super::keras_preset;
use crate::fakes::upload_hugging_face::{FakeHuggingFace, ID};

#[test]
fn a_card_is_made_where_there_is_none() {
    let hub = FakeHuggingFace::start();
    hub.upload(&keras_preset()).unwrap();
    assert_eq!(hub.card(), format!("---\nlicense: mit\n---\n{ID}\n"));
}

#[test]
fn the_users_card_is_kept() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    let path = folder.path().join("README.md");
    fs::write(&path, "---\nlicense: mit\n---\nMine.\n").unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!(hub.card(), "---\nlicense: mit\n---\nMine.\n");
    // The repository's card stays too.
    fs::remove_file(&path).unwrap();
    fs::write(folder.path().join("notes.txt"), "changed").unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!(hub.card(), "---\nlicense: mit\n---\nMine.\n");
    assert_eq!(hub.commits(ID, "main"), 3);

    // A card that the hub would refuse is refused before anything large is sent.
    fs::write(&path, "---\nlicense\n---\n").unwrap();
    let error = hub.upload(&folder).unwrap_err();
    assert!(
        matches!(&error, HubError::UploadRefused { status: 400, detail, .. }
        if detail.contains("bad indentation")),
        "{error}"
    );
}
