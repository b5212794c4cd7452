//! Built-in names, which are on two hubs, and what is in their caches.

use std::fs;

use gpt2_presets::{CachedFiles, HubOptions, Preset, PresetError, cached_files};

use crate::hub_hugging_face::{self, Hub, keras_preset};
use crate::hub_kaggle::{Kaggle, load_with};
use crate::hub_model_scope::{self, ModelScope};
use crate::hub_server::*;
use crate::support::*;

const NAME: &str = "gpt2_base_en";
const KAGGLE: &str = "kaggle://keras/gpt2/keras/gpt2_base_en/3";
const HUGGING_FACE: &str = "hf://keras/gpt2_base_en";

/// Both hubs with the preset.
struct Hubs {
    kaggle: Kaggle,
    hugging_face: Hub,
    model: Tensors,
}

impl Hubs {
    fn new() -> Self {
        let (files, model) = keras_preset();
        let mut hugging_face = Hub::new(files.clone());
        let shared = hugging_face.model.clone();
        hugging_face.server = HubServer::start(move |request| {
            let mut request = request.clone();
            request.path = request.path.replace("/keras/gpt2_base_en/", "/a/b/");
            hub_hugging_face::answer(&shared.lock().unwrap(), &request)
        });
        Self { kaggle: Kaggle::new(files), hugging_face, model }
    }

    fn options(&self) -> HubOptions {
        self.kaggle
            .options()
            .with_hugging_face_endpoint(&self.hugging_face.server.url())
            .with_hugging_face_cache(self.hugging_face.cache.path())
    }

    fn load(&self, options: &HubOptions) {
        assert_eq!(load_with(NAME, options), self.model);
    }

    /// What each hub was asked since the last time.
    fn counts(&self) -> [usize; 2] {
        [self.kaggle.take_log().len(), self.hugging_face.server.take_log().len()]
    }
}

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn kaggle_is_first_and_hugging_face_stands_in() {
    let hubs = Hubs::new();
    hubs.load(&hubs.options());
    let [kaggle, hugging_face] = hubs.counts();
    assert!(kaggle > 0 && hugging_face == 0);
    // In the cache of one: nobody is asked, and the other is not needed.
    hubs.load(&hubs.options());
    hubs.load(&hubs.options().with_kaggle_endpoint(NOWHERE).with_offline(true));
    assert_eq!(hubs.counts(), [0, 0]);

    let hubs = Hubs::new();
    hubs.load(&hubs.options().with_kaggle_endpoint(NOWHERE));
    let [kaggle, hugging_face] = hubs.counts();
    assert!(kaggle == 0 && hugging_face > 0);
    hubs.load(&hubs.options().with_offline(true));
    assert_eq!(hubs.counts(), [0, 0]);
    // Kaggle is up again, but the files are here already.
    hubs.load(&hubs.options());
    assert_eq!(hubs.counts()[0], 0);
}

#[test]
fn the_place_of_which_most_is_here_is_taken() {
    let hubs = Hubs::new();
    let options = hubs.options();
    // Of Kaggle no more than the config.
    Preset::open_with(KAGGLE, &options).unwrap();
    assert_eq!(load_with(HUGGING_FACE, &options), hubs.model);
    hubs.counts();
    hubs.load(&options.clone().with_offline(true));
    hubs.load(&options);
    assert_eq!(hubs.counts()[0], 0);
}

#[test]
fn where_both_fail_both_are_named() {
    let hubs = Hubs::new();
    let nowhere = hubs.options().with_kaggle_endpoint(NOWHERE).with_hugging_face_endpoint(NOWHERE);
    let error = Preset::open_with(NAME, &nowhere).unwrap_err();
    let PresetError::NoSource { preset, failures } = &error else { panic!("{error}") };
    assert_eq!((&preset[..], failures.len()), (NAME, 2));
    let text = error.to_string();
    assert!(text.contains(KAGGLE) && text.contains(HUGGING_FACE), "{text}");
    let error = Preset::open_with(NAME, &hubs.options().with_offline(true)).unwrap_err();
    let PresetError::NoSource { failures, .. } = &error else { panic!("{error}") };
    assert!(failures.iter().all(|failure| matches!(failure, PresetError::Offline { .. })));
    assert_eq!(hubs.counts(), [0, 0]);
    // What the user must do about one of them is not hidden by the other.
    hubs.kaggle.model.lock().unwrap().kaggle = Box::new(|_| Some(Response::new(403)));
    hubs.hugging_face.model.lock().unwrap().files.clear();
    let text = Preset::open_with(NAME, &hubs.options()).unwrap_err().to_string();
    assert!(text.contains("accept its terms on kaggle.com"), "{text}");
}

#[cfg(unix)]
#[test]
fn links_out_of_a_cache_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "{}").unwrap();
    let kaggle = Kaggle::new(keras_preset().0);
    let model_scope = ModelScope::new(keras_preset().0);
    for (handle, options, config) in [
        (KAGGLE, kaggle.options(), kaggle.path("3/config.json")),
        (hub_model_scope::HANDLE, model_scope.options(), model_scope.path("master/config.json")),
    ] {
        Preset::open_with(handle, &options).unwrap();
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink(&secret, &config).unwrap();
        let error = Preset::open_with(handle, &options.with_offline(true)).unwrap_err();
        assert!(matches!(error, PresetError::UnsafeFileName { .. }), "{error}");
    }
}

#[test]
fn what_is_in_the_caches_is_found_without_a_question() {
    let hubs = Hubs::new();
    let options = hubs.options();
    assert_eq!(cached_files(NAME, &options).unwrap(), []);
    Preset::open_with(KAGGLE, &options).unwrap();
    Preset::open_with(HUGGING_FACE, &options).unwrap().tokenizer().unwrap();
    hubs.counts();
    // Of what is not whole nothing is said.
    fs::write(hubs.kaggle.path("3/model.weights.h5"), "half").unwrap();
    fs::write(hubs.kaggle.path("3/.task.json.1-0.incomplete"), "half").unwrap();
    let found = cached_files(NAME, &options).unwrap();
    let [kaggle, hugging_face] = &found[..] else { panic!("{found:?}") };
    let CachedFiles { source, files, size, .. } = kaggle;
    assert_eq!((&source[..], &files[..]), (KAGGLE, &[hubs.kaggle.path("3/config.json")][..]));
    assert_eq!(*size, fs::metadata(&files[0]).unwrap().len());
    let CachedFiles { source, files, size, .. } = hugging_face;
    assert_eq!(source, HUGGING_FACE);
    assert!(files.iter().any(|file| file.ends_with("assets/tokenizer/merges.txt")), "{files:?}");
    assert!(files.iter().all(|file| file.is_file()) && *size > kaggle.size);
    // With the version that is the newest here.
    let unpinned = cached_files("kaggle://keras/gpt2/keras/gpt2_base_en", &options).unwrap();
    assert_eq!(unpinned[0].files, kaggle.files);
    assert_eq!(hubs.counts(), [0, 0]);

    assert_eq!(cached_files("gpt2_tiny_shakespeare", &options).unwrap(), []);
    assert_eq!(cached_files(".", &options).unwrap(), []);
    assert!(matches!(cached_files("gpt3", &options), Err(PresetError::UnknownPreset { .. })));
}
