//! The hubs' own Python clients and this library read each other's downloads. Needs their Pythons.

use std::fs;
use std::path::PathBuf;

use crate::fakes::clients::{python, run};
use crate::fakes::files_of;
use crate::fakes::kaggle::Kaggle;
use crate::fakes::model_scope::{self, ModelScope};
use crate::support::*;

const HANDLE: &str = "keras/gpt2/keras/gpt2_base_en/3";

#[test]
fn kagglehub_and_this_library_share_a_cache() {
    let Some(python) = python("GPT2_KERAS_PYTHON") else { return };
    let (files, model) = keras_preset();
    let pinned = format!("kaggle://{HANDLE}");
    // Once with single files, as KerasHub requests them, and once with the whole model.
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
        // After single files, the absent optional files have to be requested once.
        assert!(
            hub.storage.requests().is_empty() && (!paths.is_empty() || log.is_empty()),
            "{log:?}"
        );
        assert_eq!(load_with(&pinned, &hub.options()), model);
        assert_eq!(hub.take_log(), [""; 0]);
    }
    // In the other direction.
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

#[test]
fn the_client_of_modelscope_and_this_library_share_a_cache() {
    let Some(python) = python("GPT2_MODELSCOPE_PYTHON") else { return };
    let (files, model) = keras_preset();
    let hub = ModelScope::new(files.clone());
    let handle = model_scope::HANDLE.strip_prefix("modelscope://").unwrap();
    let client = |hub: &ModelScope, mode| {
        let arguments = ["modelscope", handle, "master", mode];
        let printed = run(&python, hub.cache.path(), &hub.server.url(), &arguments);
        PathBuf::from(&printed[0])
    };
    assert_eq!(client(&hub, "online"), hub.path("master"));
    assert_eq!(files_of(&hub.path("master")), files);
    hub.take_log();
    assert_eq!(load_with(model_scope::HANDLE, &hub.options().with_offline(true)), model);
    assert_eq!(hub.take_log(), [""; 0]);
    assert_eq!(load_with(model_scope::HANDLE, &hub.options()), model);
    assert_eq!(hub.take_log().len(), 1);

    // In the other direction.
    let hub = ModelScope::new(files);
    load_with(model_scope::HANDLE, &hub.options());
    let ours = files_of(&hub.path("master"));
    hub.take_log();
    assert_eq!(client(&hub, "offline"), hub.path("master"));
    assert_eq!(hub.take_log(), [""; 0]);
    client(&hub, "online");
    // The client wants the whole model, but requests only the missing files.
    let missing: Vec<_> = files_of(&hub.path("master")).into_keys().collect();
    let missing: Vec<_> = missing.iter().filter(|name| !ours.contains_key(*name)).collect();
    let asked = hub.server.requests();
    let asked: Vec<_> = asked.iter().filter(|it| it.path.ends_with("/repo")).collect();
    assert_eq!(asked.len(), missing.len(), "{missing:?}");
    assert_eq!(hub.storage.take_log(), [""; 0]);
    assert!(fs::read_dir(hub.cache.path().join("models")).unwrap().count() == 1);
}
