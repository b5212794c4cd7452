//! The page of a model whose folder has none.

use std::fs;

use gpt2_presets::PresetError;

use super::fake_hugging_face::FakeHuggingFace;
use super::{ID, keras_preset, transformers_preset};

#[test]
fn a_card_is_made_where_there_is_none() {
    let hub = FakeHuggingFace::start();
    hub.upload(&keras_preset()).unwrap();
    let card = hub.card();
    for text in [
        "---\nlibrary_name: keras-hub\npipeline_tag: text-generation\n---\n",
        "This model is related to a `CausalLM` task.\n",
        "It has 396 parameters.\n",
        "* **num_layers:** 2\n",
        "* **trainable:** True\n",
        "GPT2CausalLM.from_preset(\"hf://ann/shakespeare\")",
    ] {
        assert!(card.contains(text), "{text}\n{card}");
    }

    let hub = FakeHuggingFace::start();
    hub.upload(&transformers_preset()).unwrap();
    let card = hub.card();
    for text in [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n",
        "* **n_layer:** 2\n",
        "pipeline(\"text-generation\", model=\"ann/shakespeare\")",
    ] {
        assert!(card.contains(text), "{text}\n{card}");
    }
}

#[test]
fn the_users_card_is_kept() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    let path = folder.path().join("README.md");
    fs::write(&path, "---\nlicense: mit\n---\nMine.\n").unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!(hub.card(), "---\nlicense: mit\n---\nMine.\n");
    // That of the repository too.
    fs::remove_file(&path).unwrap();
    fs::write(folder.path().join("notes.txt"), "changed").unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!(hub.card(), "---\nlicense: mit\n---\nMine.\n");
    assert_eq!(hub.commits(ID, "main"), 3);

    // One that the hub would refuse is refused before anything large is sent.
    fs::write(&path, "---\nlicense\n---\n").unwrap();
    let error = hub.upload(&folder).unwrap_err();
    assert!(
        matches!(&error, PresetError::UploadRefused { status: 400, detail, .. }
        if detail.contains("bad indentation")),
        "{error}"
    );
}
