//! Processes that download the same model into the same cache, at once or one after another that
//! was killed. Each is this test's own program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{FileError, FromPresetOnDevice, Preset, PresetError};
use gpt2_test_support::{is_long, needs, test_process};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::hub_hugging_face::*;
use crate::hub_server::*;
use crate::support::*;

/// Names the result that is expected of a process that downloads.
const EXPECTED: &str = "GPT2_TEST_HUB_EXPECTED";
const WEIGHTS: &str = "model.safetensors";

/// Downloads as the environment says, in a process of this test.
fn download(expected: &str) {
    let loaded = Gpt2Backbone::from_preset("hf://a/b", &device());
    match (expected, loaded) {
        ("model", Ok(backbone)) => assert_eq!(parameters(&backbone), large_preset().1),
        ("disk full", Err(PresetError::File(FileError::Write { .. }))) => {}
        ("homeless", Err(PresetError::NoCacheFolder { variables, .. })) => {
            assert!(variables.contains("HOME"));
        }
        ("offline", Err(PresetError::Offline { flag: "HF_HUB_OFFLINE", .. })) => {}
        (_, result) => panic!("expected {expected}, found {:?}", result.err()),
    }
}

/// A preset with weights of half a megabyte.
fn large_preset() -> (BTreeMap<String, Vec<u8>>, Tensors) {
    let config = Gpt2BackboneConfig { vocabulary_size: 30_000, ..tiny() };
    let model = tiny_model(&config);
    let folder = transformers_folder(&config);
    let bytes = safetensors(&transformers_tensors(&config, &model), Stored::F32);
    fs::write(folder.path().join(WEIGHTS), bytes).unwrap();
    (files_of(folder.path()), model)
}

/// A hub that takes a while to send the weights.
fn slow_hub(pause: Duration) -> Hub {
    Hub::with_faults(large_preset().0, move |request, response, _| {
        match request.path.ends_with(WEIGHTS) {
            true => response.with_fault(Fault::Slow(16_000, pause)),
            false => response,
        }
    })
}

/// A process that downloads, of whose environment only the hub is left.
fn program(hub: &Hub, mut command: Command, expected: &str) -> Command {
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["HF_", "HUGGING", "TRANSFORMERS_", "XDG_", "GPT2_"]
            .iter()
            .any(|it| name.starts_with(it))
        {
            command.env_remove(variable);
        }
    }
    command
        .env("HF_ENDPOINT", hub.server.url())
        .env("HF_HUB_CACHE", hub.cache.path())
        .env(EXPECTED, expected)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A process of the test below, which downloads there.
fn this_program() -> Command {
    test_process("hub_processes::two_and_sixteen_processes_at_once_download_once")
}

#[track_caller]
fn assert_succeeds(process: Child) {
    let output = process.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// How often the weights were sent, in part or whole.
fn sent(hub: &Hub) -> usize {
    let requests = hub.server.requests();
    requests.iter().filter(|it| it.method == "GET" && it.path.ends_with(WEIGHTS)).count()
}

/// All files of the cache are whole, and none that is not is left.
fn assert_tidy(hub: &Hub) {
    let files = large_preset().0;
    let blobs: BTreeMap<_, _> =
        ["config.json", WEIGHTS].map(|name| (etag(name, &files[name]), files[name].clone())).into();
    assert!(files_of(&hub.folder().join("blobs")) == blobs);
}

#[test]
fn two_and_sixteen_processes_at_once_download_once() {
    if let Ok(expected) = std::env::var(EXPECTED) {
        return download(&expected);
    }
    for count in [2, 16] {
        let hub = slow_hub(Duration::from_millis(1));
        let start = || program(&hub, this_program(), "model").spawn().unwrap();
        let processes: Vec<_> = (0..count).map(|_| start()).collect();
        processes.into_iter().for_each(|process| assert_succeeds(process));
        assert_eq!(sent(&hub), 1);
        assert_tidy(&hub);
    }
}

#[test]
fn without_locks_sixteen_processes_make_one_good_file() {
    let hub = slow_hub(Duration::from_millis(3));
    // No lock can be made in a file.
    fs::write(hub.cache.path().join(".locks"), "").unwrap();
    let start = || program(&hub, this_program(), "model").spawn().unwrap();
    let processes: Vec<_> = (0..16).map(|_| start()).collect();
    processes.into_iter().for_each(|process| assert_succeeds(process));
    assert!(sent(&hub) > 1, "they did work at once");
    assert_tidy(&hub);
}

#[test]
fn processes_that_are_killed_leave_good_files_or_none() {
    let kills = if is_long() { 200 } else { 10 };
    let hub = slow_hub(Duration::from_millis(1));
    let (files, model) = large_preset();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let (mut downloads, mut largest) = (0, 0);
    for kill in 0..kills {
        // Every other time while the weights arrive, else at any moment.
        let (awaited, longest) = if kill % 2 == 0 { (WEIGHTS, 25_000) } else { ("", 120_000) };
        let asked = hub.server.requests().len();
        let mut process = program(&hub, this_program(), "model").spawn().unwrap();
        let is_asked = || {
            let requests = hub.server.requests();
            let mut new = requests[asked..].iter();
            new.any(|it| it.path.ends_with(awaited) && (it.method == "GET" || awaited.is_empty()))
        };
        while !is_asked() && process.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(random.random_range(0..longest)));
        process.kill().unwrap();
        process.wait().unwrap();
        let left = check_cache(&hub.folder(), &files);
        largest = largest.max(left);
        assert!(left <= 4, "of one file at most two beginnings, and their ETags: {left}");
        if hub.folder().join("snapshots").join(COMMIT).join(WEIGHTS).exists() {
            downloads += 1;
            fs::remove_dir_all(hub.folder()).unwrap();
        }
    }
    assert_eq!(load_from("hf://a/b", hub.options()).unwrap(), model);
    assert_tidy(&hub);
    let requests = hub.server.requests();
    let continued = requests.iter().filter(|request| request.range_start().is_some()).count();
    assert!(continued > 0);
    println!(
        "{kills} kills: {downloads} downloads were complete, {continued} went on where another had \
         ended, at most {largest} files were left over"
    );
}

/// Checks that what has a name is whole; returns how many files are not.
fn check_cache(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> usize {
    if !folder.exists() {
        return 0;
    }
    let named: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| (etag(name, bytes), bytes)).collect();
    let mut left = 0;
    for (path, bytes) in files_of(folder) {
        let path = PathBuf::from(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') {
            left += 1;
            continue;
        }
        match path.iter().next().unwrap().to_str().unwrap() {
            "blobs" => assert!(*named[name] == bytes, "{name}"),
            "snapshots" => assert!(files[name] == bytes, "{name}"),
            "refs" => assert_eq!(bytes, COMMIT.as_bytes()),
            ".no_exist" => assert!(bytes.is_empty() && !files.contains_key(name)),
            other => panic!("{other}"),
        }
    }
    left
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_an_error_and_leaves_nothing() {
    let hub = slow_hub(Duration::ZERO);
    let mut shell = Command::new("sh");
    // No file of more than some hundred kilobytes.
    let script = r#"trap "" XFSZ; ulimit -f 200; exec "$0" "$@""#;
    let process = this_program();
    shell.args(["-c", script]).arg(process.get_program()).args(process.get_args());
    assert_succeeds(program(&hub, shell, "disk full").spawn().unwrap());
    let blobs = files_of(&hub.folder().join("blobs"));
    assert_eq!(blobs.len(), 1, "the config only: {:?}", blobs.keys());
    assert_succeeds(program(&hub, this_program(), "model").spawn().unwrap());
    assert_tidy(&hub);
}

#[test]
fn flags_and_homes_are_those_of_the_environment() {
    let hub = slow_hub(Duration::ZERO);
    let mut offline = program(&hub, this_program(), "offline");
    assert_succeeds(offline.env("HF_HUB_OFFLINE", "1").spawn().unwrap());
    assert!(hub.server.requests().is_empty());
    let mut homeless = program(&hub, this_program(), "homeless");
    homeless.env_remove("HF_HUB_CACHE").env_remove("HOME").env_remove("USERPROFILE");
    assert_succeeds(homeless.spawn().unwrap());
    let mut at_home = program(&hub, this_program(), "model");
    let home = hub.cache.path().join("home");
    at_home.env_remove("HF_HUB_CACHE").env("HOME", &home).env("USERPROFILE", &home);
    assert_succeeds(at_home.spawn().unwrap());
    assert!(home.join(".cache/huggingface/hub/models--a--b/refs/main").exists());
}

/// Lets the client of Python that `GPT2_KERAS_PYTHON` names find files, and returns their paths.
/// None without a Python.
pub fn python(hub: &Hub, cache: &Path, offline: bool, files: &[&str]) -> Option<Vec<String>> {
    let python = needs("GPT2_KERAS_PYTHON", "Python with KerasHub")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/hub_download.py");
    let output = Command::new(python)
        .arg(script)
        .arg("a/b")
        .args(files)
        .env("HF_ENDPOINT", hub.server.url())
        .env("HF_HUB_CACHE", cache)
        .env("HF_HUB_OFFLINE", if offline { "1" } else { "0" })
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        .env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Some(text(&output.stdout).lines().map(str::to_owned).collect())
}

/// Content of each file below a folder, or where it leads if it is a link.
#[cfg(unix)]
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tree = files_of(folder);
    for (name, content) in &mut tree {
        if let Ok(target) = fs::read_link(folder.join(name)) {
            *content = target.to_str().unwrap().as_bytes().to_vec();
        }
    }
    tree
}

#[cfg(unix)]
#[test]
fn hugging_faces_own_client_and_ours_share_a_cache() {
    let (files, model) = keras_preset();
    let bytes = files["model.weights.h5"].clone();
    let cdn = HubServer::start(move |request| Response::file(request, &bytes, "\"cdn\""));
    let hub = Hub::new(files.clone());
    hub.model.lock().unwrap().cdn = Some(cdn.url());
    // All that we ask for, so that both sides know the same.
    Preset::open_with("hf://a/b", &hub.options()).unwrap().causal_lm(&device()).unwrap();
    let ours = tree(&hub.folder());
    let absent = format!(".no_exist/{COMMIT}/");
    let absent = ours.keys().filter_map(|name| Some(format!("!{}", name.strip_prefix(&absent)?)));
    let names: Vec<_> = files.keys().cloned().chain(absent).collect();
    let names: Vec<_> = names.iter().map(|name| &name[..]).collect();
    assert!(names.iter().any(|name| name.starts_with('!')));

    let cache = tempfile::tempdir().unwrap();
    let Some(paths) = python(&hub, cache.path(), false, &names) else { return };
    let theirs = cache.path().join("models--a--b");
    assert_eq!(tree(&theirs), ours, "the same files, the same links");
    assert_eq!(paths.len(), names.len());
    hub.server.take_log();
    cdn.take_log();
    // What they have, we find.
    let offline = hub.options().with_hugging_face_cache(cache.path()).with_offline(true);
    let preset = Preset::open_with("hf://a/b", &offline).unwrap();
    let found = preset.causal_lm(&device()).unwrap();
    assert_eq!(parameters(found.backbone()), model);
    // What we have, they find.
    let paths = python(&hub, hub.cache.path(), true, &names).unwrap();
    for (name, path) in names.iter().zip(paths) {
        match name.strip_prefix('!') {
            Some(_) => assert_eq!(path, "absent"),
            None => assert!(fs::read(path).unwrap() == files[*name]),
        }
    }
    assert!(hub.server.requests().is_empty() && cdn.requests().is_empty());
    // And with the hub at hand they ask, and download nothing.
    python(&hub, hub.cache.path(), false, &names).unwrap();
    assert!(hub.server.take_log().iter().all(|line| line.starts_with("HEAD ")));
    assert!(cdn.requests().is_empty());
    println!("huggingface_hub and this library have the same {} files in the cache", ours.len());
}
