//! The hubs' own Python clients download from the servers that play the hubs, and find what this
//! library has downloaded, and the other way round. Needs their Pythons.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpt2_presets::{FromPresetOnDevice, Preset, SaveToPreset};
use gpt2_task::Gpt2CausalLm;
use gpt2_test_support::needs;

use crate::hub_hugging_face::{files_of, keras_preset};
use crate::hub_kaggle::{Kaggle, load_with};
use crate::hub_model_scope::{self, ModelScope};
use crate::support::*;

const HANDLE: &str = "keras/gpt2/keras/gpt2_base_en/3";

/// Runs the clients' script, without the user's own settings, and gives what it finds.
fn run(python: &OsString, cache: &Path, endpoint: &str, arguments: &[&str]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/hub_clients.py");
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .env("HOME", home.path())
        .env("KAGGLEHUB_CACHE", cache)
        .env("MODELSCOPE_CACHE", cache)
        .env("MODELSCOPE_ENDPOINT", endpoint)
        .env("KERAS_BACKEND", "jax")
        .env_remove("KAGGLE_API_TOKEN")
        .env_remove("MODELSCOPE_API_TOKEN")
        .arg(script)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let lines = text(&output.stdout);
    // The clients have something to say too.
    lines.lines().filter_map(|line| Some(line.strip_prefix("= ")?.to_owned())).collect()
}

#[test]
fn kagglehub_and_this_library_share_a_cache() {
    let Some(python) = needs("GPT2_KERAS_PYTHON", "Python with KerasHub") else { return };
    let (files, model) = keras_preset();
    let pinned = format!("kaggle://{HANDLE}");
    // Single files, as KerasHub has them downloaded; and the whole.
    let single: Vec<_> = files.keys().map(String::as_str).collect();
    for paths in [&single[..], &[]] {
        let hub = Kaggle::new(files.clone());
        let endpoint = hub.server.url();
        let arguments = [&["kaggle", &endpoint, HANDLE][..], paths].concat();
        let printed = run(&python, hub.cache.path(), &endpoint, &arguments);
        let expected: Vec<_> = match paths.len() {
            0 => vec![hub.path("3")],
            _ => paths.iter().map(|path| hub.path(&format!("3/{path}"))).collect(),
        };
        assert_eq!(printed.iter().map(PathBuf::from).collect::<Vec<_>>(), expected);
        hub.take_log();
        assert_eq!(load_with(&pinned, &hub.options()), model);
        let log = hub.take_log();
        // Without the whole, what is optional and absent has to be asked for, once.
        assert!(
            hub.storage.requests().is_empty() && (!paths.is_empty() || log.is_empty()),
            "{log:?}"
        );
        assert_eq!(load_with(&pinned, &hub.options()), model);
        assert_eq!(hub.take_log(), [""; 0]);
    }
    // And the other way round.
    let hub = Kaggle::new(files);
    load_with(&pinned, &hub.options());
    let ours = files_of(&hub.path("3"));
    hub.take_log();
    let paths: Vec<_> = ours.keys().map(String::as_str).collect();
    let endpoint = hub.server.url();
    let arguments = [&["kaggle", &endpoint, HANDLE][..], &paths].concat();
    run(&python, hub.cache.path(), &endpoint, &arguments);
    assert_eq!(hub.take_log(), [""; 0]);
    assert_eq!(files_of(&hub.path("3")), ours);
}

#[cfg(feature = "bundled")]
#[test]
fn keras_hub_loads_what_this_library_has_downloaded() {
    let Some(python) = needs("GPT2_KERAS_PYTHON", "Python with KerasHub") else { return };
    let saved = tempfile::tempdir().unwrap();
    let bundled = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &device()).unwrap();
    bundled.save_to_preset(saved.path()).unwrap();
    let files: BTreeMap<_, _> = files_of(saved.path());
    let hub = Kaggle::new(files);
    let preset = format!("kaggle://{HANDLE}");
    Preset::open_with(&preset, &hub.options()).unwrap().causal_lm(&device()).unwrap();
    hub.take_log();
    let endpoint = hub.server.url();
    // Under its name, to which KerasHub knows the same handle.
    for preset in [&preset[..], "gpt2_base_en"] {
        let printed = run(&python, hub.cache.path(), &endpoint, &["keras", &endpoint, preset]);
        assert_eq!(printed, ["2001024", "1024"]);
        // It asks what it does not have, and downloads nothing.
        assert_eq!(hub.storage.take_log(), [""; 0]);
    }
}

#[test]
fn the_client_of_modelscope_and_this_library_share_a_cache() {
    let Some(python) = needs("GPT2_MODELSCOPE_PYTHON", "Python with modelscope") else { return };
    let (files, model) = keras_preset();
    let hub = ModelScope::new(files.clone());
    let handle = hub_model_scope::HANDLE.strip_prefix("modelscope://").unwrap();
    let client = |hub: &ModelScope, mode| {
        let arguments = ["modelscope", handle, "master", mode];
        let printed = run(&python, hub.cache.path(), &hub.server.url(), &arguments);
        PathBuf::from(&printed[0])
    };
    assert_eq!(client(&hub, "online"), hub.path("master"));
    assert_eq!(files_of(&hub.path("master")), files);
    hub.take_log();
    assert_eq!(load_with(hub_model_scope::HANDLE, &hub.options().with_offline(true)), model);
    assert_eq!(hub.take_log(), [""; 0]);
    assert_eq!(load_with(hub_model_scope::HANDLE, &hub.options()), model);
    assert_eq!(hub.take_log().len(), 1);

    // And the other way round.
    let hub = ModelScope::new(files);
    load_with(hub_model_scope::HANDLE, &hub.options());
    let ours = files_of(&hub.path("master"));
    hub.take_log();
    assert_eq!(client(&hub, "offline"), hub.path("master"));
    assert_eq!(hub.take_log(), [""; 0]);
    client(&hub, "online");
    // It wants the whole model, and of that only what is not here.
    let missing: Vec<_> = files_of(&hub.path("master")).into_keys().collect();
    let missing: Vec<_> = missing.iter().filter(|name| !ours.contains_key(*name)).collect();
    let asked = hub.server.requests();
    let asked: Vec<_> = asked.iter().filter(|it| it.path.ends_with("/repo")).collect();
    assert_eq!(asked.len(), missing.len(), "{missing:?}");
    assert_eq!(hub.storage.take_log(), [""; 0]);
    assert!(fs::read_dir(hub.cache.path().join("models")).unwrap().count() == 1);
}
