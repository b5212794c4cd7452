//! Processes that download the same model into the same cache: at the same time, or one after
//! another that was killed. Each runs `fetch.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::fakes::hugging_face::{COMMIT, Hub, etag};
use crate::fakes::server::*;
use crate::fakes::{clients, files_of};
use crate::support::*;

const WEIGHTS: &str = "model.safetensors";

/// A model with weights of half a megabyte.
fn large_preset() -> Files {
    let mut files = transformers_preset().0;
    files.insert(WEIGHTS.to_owned(), noise(485_003));
    files
}

/// A hub that takes a while to send the weights.
fn slow_hub(pause: Duration) -> Hub {
    Hub::with_faults(large_preset(), move |request, response, _| {
        match request.path.ends_with(WEIGHTS) {
            true => response.with_fault(Fault::Slow(16_000, pause)),
            false => response,
        }
    })
}

/// Program with an environment that holds only the hub's settings.
fn with_hub(hub: &Hub, mut program: Command) -> Command {
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["HF_", "HUGGING", "TRANSFORMERS_", "XDG_", "GPT2_"]
            .iter()
            .any(|it| name.starts_with(it))
        {
            program.env_remove(variable);
        }
    }
    program
        .args(["hf://a/b", CONFIG, WEIGHTS])
        .env("HF_ENDPOINT", hub.server.url())
        .env("HF_HUB_CACHE", hub.cache.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    program
}

/// A process that downloads the model.
fn fetching(hub: &Hub) -> Command {
    with_hub(hub, Command::new(env!("CARGO_BIN_EXE_gpt2-hub-fetch")))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts that the process finds the whole model.
#[track_caller]
fn assert_succeeds(process: Child) {
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files = large_preset();
    let paths = String::from_utf8(output.stdout).unwrap();
    let found: Vec<_> = paths.lines().map(|path| fs::read(path).unwrap()).collect();
    assert!(found == [&files[CONFIG][..], &files[WEIGHTS]], "{paths}");
}

/// Asserts that the process ends with this error, in its `Debug` form.
#[track_caller]
fn assert_fails(process: Child, error: &str) {
    let output = process.wait_with_output().unwrap();
    let text = text(&output.stderr);
    assert!(output.status.code() == Some(1) && text.starts_with(error), "{text}");
}

/// Number of answers with the weights, in part or whole.
fn sent(hub: &Hub) -> usize {
    let requests = hub.server.requests();
    requests.iter().filter(|it| it.method == "GET" && it.path.ends_with(WEIGHTS)).count()
}

/// Asserts that all files of the cache are complete, and that no partial files are left.
fn assert_tidy(hub: &Hub) {
    let files = large_preset();
    let blobs: BTreeMap<_, _> =
        ["config.json", WEIGHTS].map(|name| (etag(name, &files[name]), files[name].clone())).into();
    assert!(files_of(&hub.folder().join("blobs")) == blobs);
}

#[test]
fn two_and_sixteen_processes_at_once_download_once() {
    for count in [2, 16] {
        let hub = slow_hub(Duration::from_millis(1));
        let start = || fetching(&hub).spawn().unwrap();
        let processes: Vec<_> = (0..count).map(|_| start()).collect();
        processes.into_iter().for_each(|process| assert_succeeds(process));
        assert_eq!(sent(&hub), 1);
        assert_tidy(&hub);
    }
}

#[test]
fn without_locks_sixteen_processes_make_one_good_file() {
    let hub = slow_hub(Duration::from_millis(3));
    // A file in place of the folder of locks: no lock can be made.
    fs::write(hub.cache.path().join(".locks"), "").unwrap();
    let start = || fetching(&hub).spawn().unwrap();
    let processes: Vec<_> = (0..16).map(|_| start()).collect();
    processes.into_iter().for_each(|process| assert_succeeds(process));
    assert!(sent(&hub) > 1, "they did work at once");
    assert_tidy(&hub);
}

#[test]
fn processes_that_are_killed_leave_good_files_or_none() {
    let kills = if gpt2_test_support::is_long() { 200 } else { 10 };
    let hub = slow_hub(Duration::from_millis(1));
    let files = large_preset();
    let (mut downloads, mut largest) = (0, 0);
    for kill in 0..kills {
        // Every other kill comes while the weights arrive, the rest at any time.
        let (awaited, longest) = if kill % 2 == 0 { (WEIGHTS, 25.0) } else { ("", 120.0) };
        // The golden ratio spreads the moments evenly.
        let moment = longest * (0.618_034 * f64::from(kill)).fract();
        let asked = hub.server.requests().len();
        let mut process = fetching(&hub).spawn().unwrap();
        let is_asked = || {
            let requests = hub.server.requests();
            let mut new = requests[asked..].iter();
            new.any(|it| it.path.ends_with(awaited) && (it.method == "GET" || awaited.is_empty()))
        };
        while !is_asked() && process.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_secs_f64(moment / 1000.0));
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
    let loaded = load_from("hf://a/b", hub.options()).unwrap();
    assert!(loaded.iter().all(|(name, bytes)| files[name] == *bytes));
    assert_tidy(&hub);
    let requests = hub.server.requests();
    let continued = requests.iter().filter(|request| request.range_start().is_some()).count();
    assert!(continued > 0);
    println!(
        "{kills} kills: {downloads} downloads were complete, {continued} went on where another had \
         ended, at most {largest} files were left over"
    );
}

/// Checks that files with their final names are complete. Returns the number of partial files.
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
    // The process may write no file larger than some hundred kilobytes.
    let script = r#"trap "" XFSZ; ulimit -f 200; exec "$0" "$@""#;
    shell.args(["-c", script]).arg(env!("CARGO_BIN_EXE_gpt2-hub-fetch"));
    assert_fails(with_hub(&hub, shell).spawn().unwrap(), "File(Write {");
    let blobs = files_of(&hub.folder().join("blobs"));
    assert_eq!(blobs.len(), 1, "the config only: {:?}", blobs.keys());
    assert_succeeds(fetching(&hub).spawn().unwrap());
    assert_tidy(&hub);
}

#[test]
fn flags_and_homes_are_those_of_the_environment() {
    let hub = slow_hub(Duration::ZERO);
    let mut offline = fetching(&hub);
    let error = r#"Offline { file: "hf://a/b/config.json", flag: "HF_HUB_OFFLINE" }"#;
    assert_fails(offline.env("HF_HUB_OFFLINE", "1").spawn().unwrap(), error);
    assert!(hub.server.requests().is_empty());
    let mut homeless = fetching(&hub);
    homeless.env_remove("HF_HUB_CACHE").env_remove("HOME").env_remove("USERPROFILE");
    assert_fails(
        homeless.spawn().unwrap(),
        r#"NoCacheFolder { model: "hf://a/b", variables: "HOME "#,
    );
    let mut at_home = fetching(&hub);
    let home = hub.cache.path().join("home");
    at_home.env_remove("HF_HUB_CACHE").env("HOME", &home).env("USERPROFILE", &home);
    assert_succeeds(at_home.spawn().unwrap());
    assert!(home.join(".cache/huggingface/hub/models--a--b/refs/main").exists());
}

/// Content of each file below a folder, or the target if the file is a link.
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
    // Requests all files, so that both sides know the same.
    load_with("hf://a/b", &hub.options());
    let ours = tree(&hub.folder());
    let absent = format!(".no_exist/{COMMIT}/");
    let absent = ours.keys().filter_map(|name| Some(format!("!{}", name.strip_prefix(&absent)?)));
    let names: Vec<_> = files.keys().cloned().chain(absent).collect();
    let names: Vec<_> = names.iter().map(|name| &name[..]).collect();
    assert!(names.iter().any(|name| name.starts_with('!')));

    let cache = tempfile::tempdir().unwrap();
    let Some(paths) = clients::hugging_face(&hub, cache.path(), false, &names) else { return };
    let theirs = cache.path().join("models--a--b");
    assert_eq!(tree(&theirs), ours, "the same files, the same links");
    assert_eq!(paths.len(), names.len());
    hub.server.take_log();
    cdn.take_log();
    // This library finds their files.
    let offline = hub.options().with_hugging_face_cache(cache.path()).with_offline(true);
    assert_eq!(load_with("hf://a/b", &offline), model);
    // They find the files of this library.
    let paths = clients::hugging_face(&hub, hub.cache.path(), true, &names).unwrap();
    for (name, path) in names.iter().zip(paths) {
        match name.strip_prefix('!') {
            Some(_) => assert_eq!(path, "absent"),
            None => assert!(fs::read(path).unwrap() == files[*name]),
        }
    }
    assert!(hub.server.requests().is_empty() && cdn.requests().is_empty());
    // Online, they make requests but download nothing.
    clients::hugging_face(&hub, hub.cache.path(), false, &names).unwrap();
    assert!(hub.server.take_log().iter().all(|line| line.starts_with("HEAD ")));
    assert!(cdn.requests().is_empty());
    println!("huggingface_hub and this library have the same {} files in the cache", ours.len());
}
