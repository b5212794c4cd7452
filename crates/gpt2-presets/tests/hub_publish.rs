//! Uploads of presets to hubs, with their checks and model cards.

use std::fs;
use std::path::Path;

use gpt2_presets::{Preset, PresetError, upload_preset_with};
use serde_json::json;
use tempfile::TempDir;

use crate::fakes::clients::{self, kinds};
use crate::fakes::upload_hugging_face::FakeHuggingFace;
use crate::fakes::upload_kaggle::FakeKaggle;
use crate::saving::files;
use crate::support::*;

const HF: &str = "hf://ann/shakespeare";
const KAGGLE: &str = "kaggle://ann/gpt2/keras/shakespeare";
const INSTANCE: &str = "ann/gpt2/MODEL_FRAMEWORK_KERAS/shakespeare";

fn keras_preset() -> TempDir {
    let folder = keras_folder(&tiny());
    let tensors = keras_tensors(&tiny(), &tiny_model(&tiny()));
    write_hdf5(&folder.path().join("model.weights.h5"), &tensors, Stored::F32);
    write_json(folder.path(), "task.json", &json!({"class_name": "GPT2CausalLM"}));
    folder
}

fn transformers_preset() -> TempDir {
    let folder = transformers_folder(&tiny());
    let tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    fs::write(folder.path().join("model.safetensors"), safetensors(&tensors, Stored::F32)).unwrap();
    folder
}

impl FakeHuggingFace {
    fn upload(&self, folder: &TempDir) -> Result<String, PresetError> {
        upload_preset_with(HF, folder.path(), &self.options())
    }
}

impl FakeKaggle {
    fn upload(&self, folder: &TempDir) -> Result<String, PresetError> {
        upload_preset_with(KAGGLE, folder.path(), &self.options())
    }
}

#[test]
fn a_preset_that_is_uploaded_is_loaded_from_each_hub() {
    for folder in [keras_preset(), transformers_preset()] {
        let hub = FakeHuggingFace::start();
        let before = files(folder.path());
        hub.upload(&folder).unwrap();
        // No card is left behind.
        assert_eq!(files(folder.path()), before);
        let cache = tempfile::tempdir().unwrap();
        let options = hub.options().with_hugging_face_cache(cache.path());
        let preset = Preset::open_with(HF, &options).unwrap();
        let backbone = preset.backbone(&device()).unwrap();
        assert_eq!(parameters(&backbone), load(&folder).unwrap().0);
        preset.tokenizer().unwrap();
    }
    let (hub, folder) = (FakeKaggle::start(), keras_preset());
    hub.upload(&folder).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let options = hub.options().with_kaggle_cache(cache.path());
    let backbone = Preset::open_with(KAGGLE, &options).unwrap().backbone(&device()).unwrap();
    assert_eq!(parameters(&backbone), load(&folder).unwrap().0);
}

#[test]
fn a_folder_that_is_no_preset_is_refused_before_anything_is_asked() {
    let hub = FakeHuggingFace::start();
    let upload = |folder: &Path| {
        let error = upload_preset_with(HF, folder, &hub.options()).unwrap_err();
        assert_eq!(hub.hub.asked(), [""; 0], "{error}");
        error
    };
    let folder = keras_preset();
    let path = folder.path();
    let missing = path.join("missing");
    let error = upload(&missing);
    assert!(matches!(error, PresetError::PresetDirectoryMissing { .. }), "{error}");
    let text = format!("The preset directory {} doesn't exist.", missing.display());
    assert_eq!(error.to_string(), text);
    let error = upload(&path.join("config.json"));
    assert!(matches!(error, PresetError::NotADirectory { .. }), "{error}");

    let weights = fs::read(path.join("model.weights.h5")).unwrap();
    fs::remove_file(path.join("model.weights.h5")).unwrap();
    let text =
        format!("The weights file is missing from the preset directory `{}`.", path.display());
    assert!(upload(path).to_string().starts_with(&text));
    // An index alone is not enough, nor are weights that are not uploaded.
    let map = |name: &str| json!({"weight_map": {"/vars": name}});
    write_json(path, "model.weights.json", &map("model_00000.weights.h5"));
    assert!(matches!(upload(path), PresetError::MissingFile { .. }));
    write_json(path, "model.weights.json", &map("../model_00000.weights.h5"));
    assert!(matches!(upload(path), PresetError::UnsafeShardName { .. }));
    write_json(path, "model.weights.json", &map(".hidden.h5"));
    fs::write(path.join(".hidden.h5"), &weights).unwrap();
    assert!(matches!(upload(path), PresetError::IncompletePreset { .. }));

    fs::write(path.join("model.weights.h5"), &weights).unwrap();
    fs::write(path.join("config.json"), "{").unwrap();
    let error = upload(path);
    assert!(matches!(error, PresetError::InvalidConfigFile { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("config.json` is an invalid json file. Error message: "), "{text}");
    write_json(path, "config.json", &json!({"model_type": "llama"}));
    assert!(matches!(upload(path), PresetError::UnsupportedClass { .. }));
    fs::remove_file(path.join("config.json")).unwrap();
    let text = format!("`config.json` is missing from the preset directory `{}`.", path.display());
    assert!(upload(path).to_string().starts_with(&text));
}

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
fn keras_hub_uploads_to_the_same_servers_the_same_way() {
    let (theirs, ours) = (FakeHuggingFace::start(), FakeHuggingFace::start());
    let folder = keras_preset();
    if !clients::upload("keras_hub", &theirs.hub.url, HF, folder.path()) {
        return;
    }
    ours.upload(&folder).unwrap();
    let (mut uploaded, mut expected) = (ours.main(), theirs.main());
    let (card, model) = (uploaded.remove("README.md").unwrap(), expected.remove("README.md"));
    assert_eq!(uploaded, expected);
    // The card has all of KerasHub's card, in its order, except for the uploader and the object of
    // a dtype.
    let (card, model) =
        (String::from_utf8(card).unwrap(), String::from_utf8(model.unwrap()).unwrap());
    let mut lines = card.lines();
    let others = ["This is a [`GPT2` model]", "* **dtype:**"];
    for line in model.lines().filter(|line| !others.iter().any(|other| line.starts_with(other))) {
        assert!(lines.any(|ours| ours == line), "{line}\n{card}");
    }

    let (theirs, ours) = (FakeKaggle::start(), FakeKaggle::start());
    for _ in 0..2 {
        clients::upload(
            "kagglehub",
            &theirs.hub.url,
            KAGGLE.trim_start_matches("kaggle://"),
            folder.path(),
        );
        ours.upload(&folder).unwrap();
    }
    clients::upload("keras_hub", &theirs.hub.url, KAGGLE, folder.path());
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
