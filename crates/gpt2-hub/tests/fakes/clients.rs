//! Runs the hubs' own Python clients against the servers that play the hubs. A variable names the
//! Python of each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpt2_test_support::needs;

use super::hugging_face::Hub;

/// Python that a variable names; a skip without the variable.
#[track_caller]
pub fn python(variable: &str) -> Option<OsString> {
    needs(variable, "Python with the hub's client")
}

/// Runs `clients.py` without the user's settings, and returns its results.
pub fn run(python: &OsString, cache: &Path, endpoint: &str, arguments: &[&str]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command
        .env("HOME", home.path())
        .env("KAGGLEHUB_CACHE", cache)
        .env("MODELSCOPE_CACHE", cache)
        .env("MODELSCOPE_ENDPOINT", endpoint)
        .env("KERAS_BACKEND", "jax")
        .env_remove("KAGGLE_API_TOKEN")
        .env_remove("MODELSCOPE_API_TOKEN")
        .arg(script("clients.py"))
        .args(arguments);
    // The clients print lines of their own, too.
    let lines = printed(&mut command);
    lines.lines().filter_map(|line| Some(line.strip_prefix("= ")?.to_owned())).collect()
}

/// Finds files of `a/b` with the client of Hugging Face, and returns their paths. None without a
/// Python.
pub fn hugging_face(hub: &Hub, cache: &Path, offline: bool, files: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new(python("GPT2_KERAS_PYTHON")?);
    command
        .arg(script("download.py"))
        .arg("a/b")
        .args(files)
        .env("HF_ENDPOINT", hub.server.url())
        .env("HF_HUB_CACHE", cache)
        .env("HF_HUB_OFFLINE", if offline { "1" } else { "0" })
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        .env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
    Some(printed(&mut command).lines().map(str::to_owned).collect())
}

/// Uploads a folder with a client. False without a Python.
pub fn upload(client: &str, endpoint: &str, uri: &str, folder: &Path) -> bool {
    let Some(python) = python("GPT2_KERAS_PYTHON") else { return false };
    let mut command = Command::new(python);
    printed(command.arg(script("upload.py")).args([client, endpoint, uri]).arg(folder));
    true
}

/// POST and PUT requests, without consecutive repetitions.
pub fn kinds(requests: Vec<String>) -> Vec<String> {
    let mut kinds: Vec<_> =
        requests.into_iter().filter(|it| it.starts_with("POST") || it.starts_with("PUT")).collect();
    kinds.dedup();
    kinds
}

/// Path of a script. The tests of gpt2-presets find it too.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpt2-hub/tests/interop").join(name)
}

/// Standard output of a program, which must succeed.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
