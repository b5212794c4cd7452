//! Hugging Face as a server with repositories, and its storage on another port.
//!
//! It follows the protocol of `huggingface_hub` (which uploads to it in `upload/clients.rs`), makes
//! the checks of the real hub, and keeps the uploaded files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use gpt2_hub::HubOptions;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::faulty_server::{FaultyServer, is_whole, json_answer, json_of};
use super::server::{Request, Response, impatient};

pub const TOKEN: &str = "hf_secret";
pub const USER: &str = "ann";
/// Repository that most tests write to.
pub const ID: &str = "ann/shakespeare";

/// A file of a repository.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Regular(Vec<u8>),
    /// SHA-256 of a file in the storage.
    Lfs(String),
}

pub type Tree = BTreeMap<String, Entry>;

#[derive(Debug, Default)]
pub struct State {
    /// Commits by branch, the newest last, by repository.
    pub repositories: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    pub commits: BTreeMap<String, Tree>,
    /// Stored files by SHA-256.
    pub storage: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<(String, usize), Vec<u8>>,
    /// Size in bytes above which a file is stored in parts.
    pub part_size: Option<usize>,
    /// Address that the hub returns. None: the address of the request.
    pub address: Option<String>,
    /// Files that the repository's `.gitignore` names.
    pub ignored: Vec<String>,
}

pub struct FakeHuggingFace {
    pub hub: FaultyServer,
    pub storage: FaultyServer,
    state: Arc<Mutex<State>>,
}

impl FakeHuggingFace {
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let stored = state.clone();
        let storage = FaultyServer::start(move |it| store(&mut stored.lock().unwrap(), it));
        let url = storage.url.clone();
        let kept = state.clone();
        let hub = FaultyServer::start(move |it| answer(&mut kept.lock().unwrap(), it, &url));
        Self { hub, storage, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn options(&self) -> HubOptions {
        impatient().with_hugging_face_endpoint(&self.hub.url).with_hugging_face_token(Some(TOKEN))
    }

    /// Complete files of a repository's branch.
    pub fn files(&self, id: &str, branch: &str) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let commit = state.repositories[id][branch].last();
        let tree = commit.map(|commit| state.commits[commit].clone()).unwrap_or_default();
        let content = |entry| match entry {
            Entry::Regular(bytes) => bytes,
            Entry::Lfs(oid) => state.storage[&oid].clone(),
        };
        tree.into_iter().map(|(name, entry)| (name, content(entry))).collect()
    }

    /// Files on the main branch of `ID`, except the one that a new repository has.
    pub fn main(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files(ID, "main");
        files.remove(".gitattributes");
        files
    }

    pub fn card(&self) -> String {
        String::from_utf8(self.main()["README.md"].clone()).unwrap()
    }

    /// Number of uploads to the storage.
    pub fn puts(&self) -> usize {
        self.storage.requests().iter().filter(|it| it.method == "PUT").count()
    }

    /// Number of commits of a branch.
    pub fn commits(&self, id: &str, branch: &str) -> usize {
        self.state().repositories.get(id).and_then(|it| it.get(branch)).map_or(0, Vec::len)
    }
}

/// The storage accepts only signed URLs: a second kind of authentication is an error.
fn store(state: &mut State, request: &Request) -> Response {
    if !is_whole(request) {
        return Response::new(400);
    }
    if request.header("authorization").is_some() {
        return Response::new(400).with_body("<Error><Code>InvalidArgument</Code></Error>");
    }
    let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
    let etag = format!("\"{}\"", hex(&Sha1::digest(&request.body)));
    match (request.method.as_str(), path.as_slice()) {
        ("PUT", ["objects", oid]) => {
            state.storage.insert((*oid).to_owned(), request.body.clone());
            Response::new(200).with_header("ETag", etag)
        }
        ("PUT", ["parts", oid, number]) => {
            let key = ((*oid).to_owned(), number.parse().unwrap());
            state.parts.insert(key, request.body.clone());
            Response::new(200).with_header("ETag", etag)
        }
        ("POST", ["complete", oid]) => complete(state, oid, &json_of(request)),
        ("POST", [.., "info", "lfs", "verify"]) => verify(state, &json_of(request)),
        ("GET", ["objects", oid]) => Response::file(request, &state.storage[*oid], &etag),
        _ => Response::new(404).with_body("<Error><Code>NoSuchKey</Code></Error>"),
    }
}

fn answer(state: &mut State, request: &Request, storage: &str) -> Response {
    if !is_whole(request) {
        return Response::new(400);
    }
    let endpoint = format!("http://{}", request.header("host").unwrap());
    let path = request.path.trim_start_matches('/').to_owned();
    let path: Vec<_> = path.split('/').collect();
    let authorized = request.header("authorization") == Some(&format!("Bearer {TOKEN}"));
    let open = request.method != "POST" || path.first() == Some(&"complete");
    if !authorized && !open {
        return json_answer(401, &json!({"error": "Invalid username or password."}));
    }
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["api", "whoami-v2"]) if authorized => {
            json_answer(200, &json!({"type": "user", "name": USER}))
        }
        ("POST", ["api", "repos", "create"]) => create(state, &json_of(request), &endpoint),
        ("POST", ["api", "validate-yaml"]) => validate_yaml(&json_of(request)),
        ("POST", ["complete", oid]) => complete(state, oid, &json_of(request)),
        ("GET" | "HEAD", ["api", "models", owner, model, ..]) => {
            let id = format!("{owner}/{model}");
            let Some(repository) = state.repositories.get(&id) else { return no_repository() };
            let files = repository["main"].last().map(|commit| &state.commits[commit]);
            let files: Vec<_> =
                files.into_iter().flatten().map(|(name, _)| json!({"rfilename": name})).collect();
            let sha = repository["main"].last();
            json_answer(200, &json!({"id": id, "modelId": id, "sha": sha, "siblings": files}))
        }
        ("POST", ["api", "models", owner, model, action, revision]) => {
            let (id, revision) = (format!("{owner}/{model}"), revision.replace("%2F", "/"));
            if !state.repositories.contains_key(&id) {
                return no_repository();
            }
            match *action {
                "branch" => branch(state, &id, &revision),
                _ if !state.repositories[&id].contains_key(&revision) => {
                    json_answer(404, &json!({"error": "Invalid rev id"}))
                        .with_header("X-Error-Code", "RevisionNotFound")
                }
                "preupload" => preupload(state, &id, &revision, &json_of(request)),
                _ => commit(state, &id, &revision, request, &endpoint),
            }
        }
        ("POST", [_, model, "info", "lfs", "objects", "batch"]) if model.ends_with(".git") => {
            batch(state, &json_of(request), &endpoint, storage)
        }
        ("POST", [_, model, "info", "lfs", "verify"]) if model.ends_with(".git") => {
            verify(state, &json_of(request))
        }
        ("GET" | "HEAD", [owner, model, "resolve", revision, name @ ..]) => {
            let id = format!("{owner}/{model}");
            resolve(state, request, &id, revision, &name.join("/"), storage)
        }
        _ => json_answer(404, &json!({"error": "Sorry, we can't find the page"})),
    }
}

fn create(state: &mut State, json: &Value, endpoint: &str) -> Response {
    let owner = json["organization"].as_str().unwrap_or(USER);
    let id = format!("{owner}/{}", json["name"].as_str().unwrap());
    let url = format!("{endpoint}/{id}");
    if owner != USER {
        let error = "You don't have the rights to create a model under this namespace";
        return json_answer(403, &json!({ "error": error }));
    }
    if state.repositories.contains_key(&id) {
        let error = "You already created this model repo";
        return json_answer(409, &json!({"error": error, "url": url}));
    }
    let branches = BTreeMap::from([("main".to_owned(), Vec::new())]);
    state.repositories.insert(id.clone(), branches);
    // A new repository has the rules that tell large files from others.
    push(state, &id, "main", |tree| {
        tree.insert(".gitattributes".into(), Entry::Regular(b"*.h5 filter=lfs".to_vec()));
    });
    json_answer(200, &json!({"url": url, "name": id}))
}

fn validate_yaml(json: &Value) -> Response {
    let text = json["content"].as_str().unwrap();
    let head = text.strip_prefix("---\n").and_then(|text| text.split("---\n").next());
    let wrong = |line: &&str| !line.contains(": ");
    match head.unwrap_or_default().lines().find(wrong) {
        Some(line) => {
            let message = format!("bad indentation of a mapping entry: {line}");
            json_answer(400, &json!({"errors": [{"message": message}], "warnings": []}))
        }
        None => json_answer(200, &json!({"errors": [], "warnings": []})),
    }
}

fn branch(state: &mut State, id: &str, branch: &str) -> Response {
    let branches = state.repositories.get_mut(id).unwrap();
    if branches.contains_key(branch) {
        return json_answer(409, &json!({"error": "Reference already exists"}));
    }
    branches.insert(branch.to_owned(), branches["main"].clone());
    json_answer(201, &json!({}))
}

fn preupload(state: &State, id: &str, revision: &str, json: &Value) -> Response {
    let commit = state.repositories[id][revision].last();
    let tree = commit.map(|commit| &state.commits[commit]);
    let files = json["files"].as_array().unwrap().iter().map(|file| {
        let path = file["path"].as_str().unwrap();
        assert!(decode(file["sample"].as_str().unwrap()).len() <= 512);
        let lfs = path.ends_with(".h5") || path.ends_with(".safetensors");
        let oid = tree.and_then(|tree| tree.get(path)).map(|entry| match entry {
            Entry::Regular(bytes) => git_hash(bytes),
            Entry::Lfs(oid) => oid.clone(),
        });
        json!({
            "path": path,
            "uploadMode": if lfs { "lfs" } else { "regular" },
            "shouldIgnore": state.ignored.iter().any(|name| name == path),
            "oid": oid,
        })
    });
    let files: Vec<_> = files.collect();
    json_answer(200, &json!({"files": files, "commitOid": commit}))
}

fn batch(state: &State, json: &Value, endpoint: &str, storage: &str) -> Response {
    let endpoint = state.address.as_deref().unwrap_or(endpoint);
    assert_eq!(json["operation"], "upload");
    assert_eq!(json["hash_algo"], "sha256");
    let objects = json["objects"].as_array().unwrap().iter().map(|object| {
        let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap());
        assert!(size > 0, "the storage takes no empty objects");
        if state.storage.contains_key(oid) {
            return json!({"oid": oid, "size": size});
        }
        let upload = match state.part_size {
            Some(part_size) if size as usize > part_size => {
                let mut header = json!({"chunk_size": part_size.to_string()});
                for part in 1..=(size as usize).div_ceil(part_size) {
                    header[format!("{part:05}")] =
                        format!("{storage}/parts/{oid}/{part}?X-Amz-Signature=1").into();
                }
                json!({"href": format!("{endpoint}/complete/{oid}?uploadId=1"), "header": header})
            }
            _ => json!({"href": format!("{storage}/objects/{oid}?X-Amz-Signature=1")}),
        };
        let verify = json!({"href": format!("{endpoint}/{USER}/any.git/info/lfs/verify")});
        json!({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
    });
    let objects: Vec<_> = objects.collect();
    let mut answer = json_answer(200, &json!({"transfer": "basic", "objects": objects}));
    answer.headers[0].1 = "application/vnd.git-lfs+json".into();
    answer
}

fn verify(state: &State, json: &Value) -> Response {
    let blob = state.storage.get(json["oid"].as_str().unwrap());
    let whole = blob.is_some_and(|blob| {
        json["size"] == blob.len() && json["oid"] == hex(&Sha256::digest(blob))
    });
    json_answer(if whole { 200 } else { 422 }, &json!({"success": whole}))
}

fn complete(state: &mut State, oid: &str, json: &Value) -> Response {
    let mut whole = Vec::new();
    for (index, part) in json["parts"].as_array().unwrap().iter().enumerate() {
        let bytes = &state.parts[&(oid.to_owned(), index + 1)];
        assert_eq!(part["partNumber"], index + 1);
        assert_eq!(part["etag"], format!("\"{}\"", hex(&Sha1::digest(bytes))));
        whole.extend_from_slice(bytes);
    }
    assert_eq!(json["oid"], oid);
    state.storage.insert(oid.to_owned(), whole);
    json_answer(200, &json!({}))
}

fn commit(
    state: &mut State,
    id: &str,
    branch: &str,
    request: &Request,
    endpoint: &str,
) -> Response {
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(request.body.clone()).unwrap();
    let mut files = Tree::new();
    for (index, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let value = &line["value"];
        assert_eq!(line["key"] == "header", index == 0);
        let path = || value["path"].as_str().unwrap().to_owned();
        match line["key"].as_str().unwrap() {
            "header" => assert!(!value["summary"].as_str().unwrap().is_empty()),
            "file" => {
                assert_eq!(value["encoding"], "base64");
                let content = decode(value["content"].as_str().unwrap());
                files.insert(path(), Entry::Regular(content));
            }
            "lfsFile" => {
                let oid = value["oid"].as_str().unwrap();
                let stored = state.storage.get(oid).is_some_and(|it| value["size"] == it.len());
                if !stored {
                    let error = "The LFS object was not found in the storage";
                    return json_answer(400, &json!({ "error": error }));
                }
                files.insert(path(), Entry::Lfs(oid.to_owned()));
            }
            key => panic!("{key}"),
        }
    }
    let oid = push(state, id, branch, |tree| tree.extend(files));
    let url = format!("{endpoint}/{id}/commit/{oid}");
    json_answer(200, &json!({"success": true, "commitOid": oid, "commitUrl": url}))
}

fn push(state: &mut State, id: &str, branch: &str, change: impl FnOnce(&mut Tree)) -> String {
    let commits = state.repositories.get_mut(id).unwrap().get_mut(branch).unwrap();
    let mut tree = commits.last().map(|oid| state.commits[oid].clone()).unwrap_or_default();
    change(&mut tree);
    let oid = hex(&Sha1::digest(format!("{id}{branch}{}", state.commits.len())));
    commits.push(oid.clone());
    state.commits.insert(oid.clone(), tree);
    oid
}

fn resolve(
    state: &State,
    request: &Request,
    id: &str,
    revision: &str,
    name: &str,
    storage: &str,
) -> Response {
    let Some(repository) = state.repositories.get(id) else { return no_repository() };
    let revision = revision.replace("%2F", "/");
    let newest = repository.get(&revision).and_then(|commits| commits.last());
    let Some(commit) = newest.or(state.commits.get_key_value(&revision).map(|(key, _)| key)) else {
        return Response::new(404)
            .with_body("Invalid rev id")
            .with_header("X-Error-Code", "RevisionNotFound");
    };
    let common = ("X-Repo-Commit", commit.clone());
    match state.commits[commit].get(name) {
        None => Response::new(404)
            .with_body("Entry not found")
            .with_header("X-Error-Code", "EntryNotFound")
            .with_header(common.0, common.1),
        Some(Entry::Regular(bytes)) => {
            let etag = format!("\"{}\"", git_hash(bytes));
            Response::file(request, bytes, &etag).with_header(common.0, common.1)
        }
        Some(Entry::Lfs(oid)) => Response::new(302)
            .with_body("Found. Redirecting")
            .with_header("Location", format!("{storage}/objects/{oid}?X-Amz-Signature=1"))
            .with_header("X-Linked-ETag", format!("\"{oid}\""))
            .with_header("X-Linked-Size", state.storage[oid].len().to_string())
            .with_header(common.0, common.1),
    }
}

fn no_repository() -> Response {
    json_answer(404, &json!({"error": "Repository not found"}))
        .with_header("X-Error-Code", "RepoNotFound")
}

fn git_hash(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 to bytes.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte).expect("base64");
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
