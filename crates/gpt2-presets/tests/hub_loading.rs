//! Presets loaded by their handles on hubs.

use std::fs;

use gpt2_hub::HubError;
use gpt2_presets::{FromPreset, HubOptions, LoadOptions, Preset, PresetError, Save, cached_files};
use gpt2_task::Gpt2CausalLm;

use crate::fakes::clients::{python, run};
use crate::fakes::hugging_face::{self, Hub};
use crate::fakes::kaggle::Kaggle;
use crate::fakes::server::{HubServer, impatient_options};
use crate::fakes::{Files, files_of};
use crate::support::*;

const NAME: &str = "gpt2_base_en";
const HANDLE: &str = "keras/gpt2/keras/gpt2_base_en/3";
/// Address without a server.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A whole preset, and its parameters.
pub fn keras_preset() -> (Files, Tensors) {
    let model = tiny_model(&tiny());
    let folder = keras_folder(&tiny());
    let path = folder.path().join("model.weights.h5");
    write_hdf5(&path, &keras_tensors(&tiny(), &model), Stored::F32);
    (files_of(folder.path()), model)
}

pub fn transformers_preset() -> (Files, Tensors) {
    let model = tiny_model(&tiny());
    let folder = transformers_folder(&tiny());
    let bytes = safetensors(&transformers_tensors(&tiny(), &model), Stored::F32);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    (files_of(folder.path()), model)
}

/// Loads the whole model, which must exist.
pub fn load_with(handle: &str, options: &HubOptions) -> Tensors {
    let model = Preset::open_with(handle, options).unwrap();
    parameters(model.causal_lm(LoadOptions::new(&device())).unwrap().backbone())
}

#[test]
fn what_is_on_the_hub_is_converted_to_each_format() {
    let (files, model) = keras_preset();
    let hub = Hub::new(files);
    let preset = Preset::open_with("hf://a/b", &hub.options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    preset.save_to_preset(path("keras")).unwrap();
    preset.export_to_transformers(path("transformers")).unwrap();
    preset.export_to_gguf(path("model.gguf")).unwrap();
    for name in ["keras", "transformers", "model.gguf"] {
        let converted = Preset::open(path(name).to_str().unwrap()).unwrap();
        assert_eq!(parameters(&converted.backbone(&device()).unwrap()), model, "{name}");
        assert_eq!(converted.tokenizer().unwrap().tokenize("ab").unwrap(), [2], "{name}");
    }
}

#[test]
fn options_of_a_load_say_how_hubs_are_asked() {
    let (files, model) = transformers_preset();
    let hub = Hub::new(files);
    let load = |hub: HubOptions| {
        gpt2_backbone::Gpt2Backbone::from_preset_with(
            "hf://a/b",
            LoadOptions::new(&device()).with_hub(hub),
        )
    };
    assert_eq!(parameters(&load(hub.options()).unwrap()), model);
    // Hub options alone, for a model and for a tokenizer.
    let source = "hf://a/b";
    let backbone = gpt2_backbone::Gpt2Backbone::from_preset_with(source, hub.options()).unwrap();
    assert_eq!(parameters(&backbone), model);
    let tokenizer = gpt2_tokenizer::Gpt2Tokenizer::from_preset_with(source, hub.options());
    assert_eq!(tokenizer.unwrap().tokenize("ab").unwrap(), [2]);
    let error = load(
        impatient_options()
            .with_hugging_face_cache(hub.cache.path().join("other"))
            .with_offline(true),
    );
    assert!(matches!(error, Err(PresetError::Hub(HubError::Offline { .. }))));
}

#[test]
fn a_model_without_config_is_no_preset() {
    let (mut files, _) = transformers_preset();
    files.remove("config.json");
    let hub = Hub::new(files);
    let error = Preset::open_with("hf://a/b", &hub.options()).unwrap_err();
    assert!(
        matches!(&error, PresetError::MissingFile { file, .. } if file == "config.json"),
        "{error}"
    );
}

#[test]
fn names_in_an_index_of_a_hub_lead_nowhere() {
    let (files, _) = transformers_preset();
    for name in ["../x", "/x", "a\\b", "C:x", "a\0b", "NUL.safetensors", "x\u{1}y"] {
        let mut files = files.clone();
        files.remove("model.safetensors");
        let index = serde_json::json!({ "weight_map": { "wte.weight": name } }).to_string();
        files.insert("model.safetensors.index.json".to_owned(), index.into_bytes());
        let hub = Hub::new(files);
        let error = Preset::open_with("hf://a/b", &hub.options()).unwrap().backbone(&device());
        let error = error.unwrap_err();
        let refused = matches!(
            error,
            PresetError::UnsafeShardName { .. } | PresetError::Hub(HubError::UnsafeFileName { .. })
        );
        assert!(refused, "{error}");
        assert!(!hub.server.take_log().iter().any(|line| line.ends_with('x')));
    }
}

#[test]
fn a_built_in_name_says_why_each_of_its_places_fails() {
    let cache = tempfile::tempdir().unwrap();
    let options = impatient_options().with_hugging_face_cache(cache.path()).with_offline(true);
    let options = options.with_kaggle_cache(cache.path());
    let error = Preset::open_with(NAME, &options).unwrap_err();
    let PresetError::Hub(HubError::NoSource { name, failures }) = &error else { panic!("{error}") };
    assert_eq!((&name[..], failures.len()), (NAME, 2));
    let text = error.to_string();
    assert!(
        text.contains("\n- ") && text.contains("`hf://keras/gpt2_base_en/config.json`"),
        "{text}"
    );
}

#[test]
fn a_built_in_name_is_loaded_from_kaggle_or_else_from_hugging_face() {
    let (files, model) = keras_preset();
    let (kaggle, hugging_face) = (Kaggle::new(files.clone()), Hub::new(files));
    let shared = hugging_face.model.clone();
    let server = HubServer::start(move |request| {
        let mut request = request.clone();
        request.path = request.path.replace("/keras/gpt2_base_en/", "/a/b/");
        hugging_face::answer(&shared.lock().unwrap(), &request)
    });
    let options = kaggle.options().with_hugging_face_endpoint(&server.url());
    let options = options.with_hugging_face_cache(hugging_face.cache.path());
    assert_eq!(load_with(NAME, &options), model);
    assert!(!kaggle.take_log().is_empty() && server.take_log().is_empty());
    let found = cached_files(NAME, &options).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].source, format!("kaggle://{HANDLE}"));

    let other = Kaggle::new(Files::new());
    let options = options.with_kaggle_endpoint(NOWHERE).with_kaggle_cache(other.cache.path());
    assert_eq!(load_with(NAME, &options), model);
    assert!(kaggle.take_log().is_empty() && !server.take_log().is_empty());
    assert_eq!(cached_files(NAME, &options).unwrap()[0].source, "hf://keras/gpt2_base_en");
}

#[test]
fn only_presets_on_hubs_are_in_caches() {
    let cache = tempfile::tempdir().unwrap();
    let options = impatient_options().with_hugging_face_cache(cache.path());
    let options = options.with_kaggle_cache(cache.path());
    for preset in [NAME, "gpt2_tiny_shakespeare", "."] {
        assert_eq!(cached_files(preset, &options).unwrap(), []);
    }
    assert!(matches!(cached_files("gpt3", &options), Err(PresetError::UnknownPreset { .. })));
    let error = cached_files("hf://a/b/c", &options).unwrap_err();
    assert!(matches!(error, PresetError::Hub(HubError::InvalidHandle { .. })), "{error}");
}

#[cfg(feature = "bundled")]
#[test]
fn keras_hub_loads_what_this_library_has_downloaded() {
    let Some(python) = python("GPT2_KERAS_PYTHON") else { return };
    let saved = tempfile::tempdir().unwrap();
    let bundled = Gpt2CausalLm::from_preset_with("gpt2_tiny_shakespeare", &device()).unwrap();
    bundled.save_to_preset(saved.path()).unwrap();
    let files = files_of(saved.path());
    let hub = Kaggle::new(files);
    let preset = format!("kaggle://{HANDLE}");
    Preset::open_with(&preset, &hub.options()).unwrap().causal_lm(&device()).unwrap();
    hub.take_log();
    let endpoint = hub.server.url();
    // By its name, for which KerasHub has the same handle.
    for preset in [&preset[..], "gpt2_base_en"] {
        let printed = run(&python, hub.cache.path(), &endpoint, &["keras", &endpoint, preset]);
        assert_eq!(printed, ["2001024", "1024"]);
        // Sends requests for absent files, and downloads nothing.
        assert_eq!(hub.storage.take_log(), [""; 0]);
    }
}
