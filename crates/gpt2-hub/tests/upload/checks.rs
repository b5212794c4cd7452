//! Refusals before any request, and files that are not uploaded.

use std::fs;

use gpt2_files::FileError;
use gpt2_hub::HubError;

use super::{HF, INSTANCE, KAGGLE, keras_preset, upload_folder};
use crate::fakes::files_of;
use crate::fakes::upload_hugging_face::{FakeHuggingFace, ID};
use crate::fakes::upload_kaggle::FakeKaggle;

#[test]
fn a_place_that_is_none_is_refused_before_anything_is_asked() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    let upload = |uri: &str| upload_folder(uri, folder.path(), &hub.options()).unwrap_err();
    for uri in
        ["ann/shakespeare", "modelscope://ann/x", "modelscope://x", "s3://x/y", "gs://x/y", ""]
    {
        let error = upload(uri);
        assert!(matches!(error, HubError::UnknownUri { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("Unknown URI. An URI must be a one of:\n1) a Kaggle"), "{text}");
        assert!(text.ends_with(&format!("Received: uri='{uri}'.")), "{text}");
    }
    for uri in ["hf://", "hf://a/b/c", "hf://a/b@", "HF://a b/c"] {
        let text = upload(uri).to_string();
        assert!(text.starts_with("Unexpected Hugging Face URI."), "{text}");
        assert!(text.ends_with(&format!("Received: URI={uri}.")), "{text}");
    }
    for uri in ["kaggle://ann/gpt2/keras", "kaggle://ann/gpt2/keras/x/1"] {
        let error = upload(uri);
        assert!(matches!(error, HubError::InvalidHandle { .. }), "{error}");
    }
    assert_eq!(hub.hub.asked(), [""; 0]);
}

#[test]
fn without_a_token_nothing_is_asked() {
    let (hub, kaggle) = (FakeHuggingFace::start(), FakeKaggle::start());
    let folder = keras_preset();
    for (uri, variable) in [(HF, "HF_TOKEN"), (KAGGLE, "KAGGLE_API_TOKEN")] {
        let options = hub.options().with_hugging_face_token(None);
        let options = options.with_kaggle_endpoint(&kaggle.endpoint()).with_kaggle_token(None);
        let error = upload_folder(uri, folder.path(), &options).unwrap_err();
        assert!(matches!(error, HubError::MissingCredentials { .. }), "{error}");
        assert!(error.to_string().contains(variable), "{error}");
    }
    for options in [hub.options(), kaggle.options()] {
        let options = options.with_offline(true);
        let error = upload_folder(HF, folder.path(), &options).unwrap_err();
        assert!(matches!(error, HubError::UploadOffline { .. }), "{error}");
        let error = upload_folder(KAGGLE, folder.path(), &options).unwrap_err();
        assert!(matches!(error, HubError::UploadOffline { .. }), "{error}");
    }
    assert_eq!(hub.hub.asked(), [""; 0]);
    assert_eq!(kaggle.hub.asked(), [""; 0]);
}

#[test]
fn hidden_and_unfinished_files_stay_behind() {
    let hub = FakeHuggingFace::start();
    let folder = keras_preset();
    let wanted: Vec<_> = files_of(folder.path()).into_keys().collect();
    for name in
        [".env", "model.weights.h5.1.tmp", "blob.incomplete", ".git/config", "assets/.DS_Store"]
    {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "secret").unwrap();
    }
    hub.upload(&folder).unwrap();
    let mut uploaded = hub.main();
    uploaded.remove("README.md");
    assert_eq!(uploaded.into_keys().collect::<Vec<_>>(), wanted);
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_folder_is_uploaded() {
    use std::os::unix::fs::symlink;
    let hub = FakeHuggingFace::start();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    for target in [outside.path().join("secret"), outside.path().to_owned()] {
        let folder = keras_preset();
        symlink(&target, folder.path().join("link")).unwrap();
        let error = hub.upload(&folder).unwrap_err();
        assert!(matches!(&error, HubError::NotUploadable { path, .. } if path.ends_with("link")));
    }
    // A folder with a link to itself, and one that is nested too deeply.
    let folder = keras_preset();
    symlink(folder.path(), folder.path().join("link")).unwrap();
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::File(FileError::NotAFile { .. })), "{error}");
    let folder = keras_preset();
    fs::create_dir_all(folder.path().join("a/".repeat(20))).unwrap();
    let error = hub.upload(&folder).unwrap_err();
    assert!(matches!(error, HubError::NotUploadable { .. }), "{error}");
    assert_eq!(hub.hub.asked(), [""; 0]);

    // In the cache of a hub's client, files are links to the blobs.
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("snapshots/0");
    fs::create_dir_all(&snapshot).unwrap();
    fs::rename(keras_preset().keep(), folder.path().join("blobs")).unwrap();
    fs::create_dir_all(snapshot.join("assets")).unwrap();
    for name in ["config.json", "model.weights.h5"] {
        symlink(format!("../../blobs/{name}"), snapshot.join(name)).unwrap();
    }
    upload_folder("hf://ann/cached", &snapshot, &hub.options()).unwrap();
    assert!(hub.files("ann/cached", "main").contains_key("model.weights.h5"));

    // A link to another file of the folder is uploaded as that file.
    let folder = keras_preset();
    fs::rename(folder.path().join("task.json"), folder.path().join("real.json")).unwrap();
    symlink("real.json", folder.path().join("task.json")).unwrap();
    hub.upload(&folder).unwrap();
    assert_eq!(hub.main()["task.json"], hub.main()["real.json"]);
}

#[test]
fn a_file_that_is_written_to_meanwhile_is_not_published() {
    let (hub, kaggle) = (FakeHuggingFace::start(), FakeKaggle::start());
    // More than one read's worth of bytes.
    let size = 4 << 20;
    for changed in [0, size + 1] {
        for (uri, options) in [(HF, hub.options()), (KAGGLE, kaggle.options())] {
            let folder = keras_preset();
            let path = folder.path().join("large.h5");
            fs::write(&path, vec![7; size]).unwrap();
            let options = options.with_on_progress(move |progress| {
                if progress.file.ends_with("large.h5") {
                    let file = fs::File::options().write(true).open(&path).unwrap();
                    file.set_len(changed as u64).unwrap();
                }
            });
            let error = upload_folder(uri, folder.path(), &options).unwrap_err();
            assert!(
                matches!(&error, HubError::ChangedDuringUpload { path }
                if path.ends_with("large.h5")),
                "{error}"
            );
        }
    }
    assert_eq!(hub.commits(ID, "main"), 1);
    assert!(kaggle.versions(INSTANCE).is_empty());
}
