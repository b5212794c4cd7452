//! Models on two hubs, and their cached files.

use std::fs;
use std::slice;
use std::sync::Arc;

use gpt2_hub::{
    CachedFiles, HubError, HubHandle, HubOptions, RemoteFolder, cached_files, cached_models,
};

use crate::fakes::hugging_face::{self, Hub};
use crate::fakes::kaggle::Kaggle;
use crate::fakes::model_scope::{self, ModelScope};
use crate::fakes::server::*;
use crate::support::*;

const NAME: &str = "gpt2_base_en";
const KAGGLE: &str = "kaggle://keras/gpt2/keras/gpt2_base_en/3";
const HUGGING_FACE: &str = "hf://keras/gpt2_base_en";

fn handles() -> [HubHandle; 2] {
    [KAGGLE, HUGGING_FACE].map(|handle| handle.parse().unwrap())
}

/// Opens the model on the hub that has it.
fn open_either(options: &HubOptions) -> Result<Arc<dyn RemoteFolder>, HubError> {
    gpt2_hub::open(NAME, &handles(), CONFIG, options)
}

/// Both hubs with the model.
struct Hubs {
    kaggle: Kaggle,
    hugging_face: Hub,
    model: Files,
}

impl Hubs {
    fn new() -> Self {
        let (files, model) = keras_preset();
        let mut hugging_face = Hub::new(files.clone());
        let shared = hugging_face.model.clone();
        hugging_face.server = HubServer::start(move |request| {
            let mut request = request.clone();
            request.path = request.path.replace("/keras/gpt2_base_en/", "/a/b/");
            hugging_face::answer(&shared.lock().unwrap(), &request)
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
        assert_eq!(everything(&*open_either(options).unwrap()).unwrap(), self.model);
    }

    /// Number of requests to each hub since the last call.
    fn counts(&self) -> [usize; 2] {
        [self.kaggle.take_log().len(), self.hugging_face.server.take_log().len()]
    }
}

/// Address at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn kaggle_is_first_and_hugging_face_stands_in() {
    let hubs = Hubs::new();
    hubs.load(&hubs.options());
    let [kaggle, hugging_face] = hubs.counts();
    assert!(kaggle > 0 && hugging_face == 0);
    // The model is in one hub's cache: no request is made, and the other hub is not needed.
    hubs.load(&hubs.options());
    hubs.load(&hubs.options().with_kaggle_endpoint(NOWHERE).with_offline(true));
    assert_eq!(hubs.counts(), [0, 0]);

    let hubs = Hubs::new();
    hubs.load(&hubs.options().with_kaggle_endpoint(NOWHERE));
    let [kaggle, hugging_face] = hubs.counts();
    assert!(kaggle == 0 && hugging_face > 0);
    hubs.load(&hubs.options().with_offline(true));
    assert_eq!(hubs.counts(), [0, 0]);
    // Kaggle answers again, but the files are cached already.
    hubs.load(&hubs.options());
    assert_eq!(hubs.counts()[0], 0);
}

#[test]
fn the_place_of_which_most_is_here_is_taken() {
    let hubs = Hubs::new();
    let options = hubs.options();
    // Only the config comes from Kaggle.
    open(KAGGLE, &options).unwrap();
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
    let error = open_either(&nowhere).unwrap_err();
    let HubError::NoSource { name, failures } = &error else { panic!("{error}") };
    assert_eq!((&name[..], failures.len()), (NAME, 2));
    let text = error.to_string();
    assert!(text.contains(KAGGLE) && text.contains(HUGGING_FACE), "{text}");
    let error = open_either(&hubs.options().with_offline(true)).unwrap_err();
    let HubError::NoSource { failures, .. } = &error else { panic!("{error}") };
    assert!(failures.iter().all(|failure| matches!(failure, HubError::Offline { .. })));
    assert_eq!(hubs.counts(), [0, 0]);
    // The remedy for one hub is shown even if the other hub fails too.
    hubs.kaggle.model.lock().unwrap().kaggle = Box::new(|_| Some(Response::new(403)));
    hubs.hugging_face.model.lock().unwrap().files.clear();
    let text = open_either(&hubs.options()).unwrap_err().to_string();
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
        (model_scope::HANDLE, model_scope.options(), model_scope.path("master/config.json")),
    ] {
        open(handle, &options).unwrap();
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink(&secret, &config).unwrap();
        let error = open(handle, &options.with_offline(true)).unwrap_err();
        assert!(matches!(error, HubError::UnsafeFileName { .. }), "{error}");
    }
}

#[test]
fn what_is_in_the_caches_is_found_without_a_question() {
    let hubs = Hubs::new();
    let options = hubs.options();
    assert_eq!(cached_files(&handles(), &options), []);
    open(KAGGLE, &options).unwrap();
    let folder = open(HUGGING_FACE, &options).unwrap();
    fetch(&*folder, "assets/tokenizer/vocabulary.json").unwrap();
    fetch(&*folder, "assets/tokenizer/merges.txt").unwrap();
    hubs.counts();
    // Incomplete files are not listed.
    fs::write(hubs.kaggle.path("3/model.weights.h5"), "half").unwrap();
    fs::write(hubs.kaggle.path("3/.task.json.1-0.incomplete"), "half").unwrap();
    let found = cached_files(&handles(), &options);
    let [kaggle, hugging_face] = &found[..] else { panic!("{found:?}") };
    let CachedFiles { source, files, size, .. } = kaggle;
    assert_eq!((&source[..], &files[..]), (KAGGLE, &[hubs.kaggle.path("3/config.json")][..]));
    assert_eq!(*size, fs::metadata(&files[0]).unwrap().len());
    let CachedFiles { source, files, size, .. } = hugging_face;
    assert_eq!(source, HUGGING_FACE);
    assert!(files.iter().any(|file| file.ends_with("assets/tokenizer/merges.txt")), "{files:?}");
    assert!(files.iter().all(|file| file.is_file()) && *size > kaggle.size);
    // The source has the newest cached version.
    let unpinned = "kaggle://keras/gpt2/keras/gpt2_base_en".parse().unwrap();
    assert_eq!(cached_files(&[unpinned], &options)[0].files, kaggle.files);
    assert_eq!(hubs.counts(), [0, 0]);
    assert_eq!(cached_files(&[], &options), []);
}

#[test]
fn all_models_of_the_caches_are_found() {
    let root = tempfile::tempdir().unwrap();
    let cache = |hub: &str| root.path().join(hub);
    let (main, tag, lone) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
    let files = [
        ("hf/models--a--b/refs/main", main.as_str()),
        ("hf/models--a--b/refs/v1/0", &tag),
        (&format!("hf/models--a--b/snapshots/{main}/config.json"), "{}"),
        (&format!("hf/models--a--b/snapshots/{tag}/config.json"), "{}"),
        (&format!("hf/models--a--b/snapshots/{lone}/config.json"), "{}"),
        ("hf/models--gpt2/refs/main", &main),
        (&format!("hf/models--gpt2/snapshots/{main}/model.bin"), "12345"),
        ("hf/datasets--a--c/refs/main", &main),
        ("hf/models--a--empty/refs/main", &main),
        ("kaggle/models/o/m/keras/v/3/config.json", "{}"),
        ("kaggle/models/o/m/keras/v/3.complete", ""),
        ("kaggle/models/o/m/keras/v/4/config.json", "{}"),
        ("modelscope/models/o--m/snapshots/master/config.json", "{}"),
        ("modelscope/models/o--m/snapshots/v1/config.json", "{}"),
        ("modelscope/models/old/m___5/config.json", "{}"),
        ("modelscope/hub/models/older/m/config.json", "{}"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    write_files(root.path(), &Files::from(files));
    let options = HubOptions::new()
        .with_hugging_face_cache(cache("hf"))
        .with_kaggle_cache(cache("kaggle"))
        .with_model_scope_cache(cache("modelscope"));
    let found = cached_models(&options);
    let sources: Vec<_> = found.iter().map(|cached| cached.source.as_str()).collect();
    assert_eq!(
        sources,
        [
            "hf://a/b",
            &format!("hf://a/b@{lone}"),
            "hf://a/b@v1/0",
            "hf://gpt2",
            "kaggle://o/m/keras/v/3",
            "modelscope://o/m",
            "modelscope://o/m@v1",
            "modelscope://old/m.5",
            "modelscope://older/m",
        ]
    );
    assert_eq!((found[3].size, found[3].files.len()), (5, 1));
    for cached in &found {
        assert_eq!(
            cached_files(&[cached.source.parse().unwrap()], &options),
            slice::from_ref(cached)
        );
    }
}
