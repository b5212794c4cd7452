//! Kaggle's model service as a server, and Google's storage with resumable uploads as another.
//!
//! It follows the protocol of `kagglehub` (which uploads to it in `upload/clients.rs`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use gpt2_hub::HubOptions;
use serde_json::{Value, json};

use super::Files;
use super::faulty_server::{FaultyServer, json_answer, json_of};
use super::server::{Request, Response, impatient};

pub const TOKEN: &str = "kaggle_secret";

/// File of an upload in the storage.
#[derive(Debug)]
pub struct Blob {
    name: String,
    size: usize,
    pub received: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct State {
    pub models: Vec<String>,
    /// Files of each version, by `owner/model/FRAMEWORK/variation`.
    pub versions: BTreeMap<String, Vec<Files>>,
    pub blobs: BTreeMap<String, Blob>,
}

pub struct FakeKaggle {
    pub hub: FaultyServer,
    pub storage: FaultyServer,
    state: Arc<Mutex<State>>,
}

impl FakeKaggle {
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let stored = state.clone();
        // The bytes that arrived before a broken connection are kept.
        let storage = FaultyServer::start(move |it| store(&mut stored.lock().unwrap(), it));
        let (kept, url) = (state.clone(), storage.url.clone());
        let hub = FaultyServer::start(move |it| answer(&mut kept.lock().unwrap(), it, &url));
        Self { hub, storage, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn options(&self) -> HubOptions {
        impatient().with_kaggle_endpoint(&self.endpoint()).with_kaggle_token(Some(TOKEN))
    }

    /// Address in place of `https://api.kaggle.com/v1`.
    pub fn endpoint(&self) -> String {
        format!("{}/v1", self.hub.url)
    }

    pub fn versions(&self, instance: &str) -> Vec<Files> {
        self.state().versions.get(instance).cloned().unwrap_or_default()
    }
}

fn store(state: &mut State, request: &Request) -> Response {
    if request.header("authorization").is_some() {
        return Response::new(400).with_body("two ways of authentication");
    }
    if request.method == "GET" {
        let path: Vec<_> = request.path.trim_start_matches('/').splitn(6, '/').collect();
        let (instance, version) = (path[..4].join("/"), path[4].parse::<usize>().unwrap());
        return Response::file(request, &state.versions[&instance][version - 1][path[5]], "\"1\"");
    }
    let token = request.path.trim_start_matches("/upload/");
    let Some(blob) = state.blobs.get_mut(token).filter(|_| request.method == "PUT") else {
        return Response::new(404).with_body("Not Found");
    };
    if let Some(range) = request.header("content-range") {
        let (range, total) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        assert_eq!(total.parse(), Ok(blob.size));
        if let Some((start, end)) = range.split_once('-') {
            let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
            assert!(start <= blob.received.len(), "bytes are missing before {start}");
            assert!(request.body.len() <= end + 1 - start);
            blob.received.truncate(start);
            blob.received.extend_from_slice(&request.body);
        }
    }
    match blob.received.len() {
        size if size == blob.size => Response::new(200).with_body("{}"),
        0 => Response::new(308),
        size => Response::new(308).with_header("Range", format!("bytes=0-{}", size - 1)),
    }
}

fn answer(state: &mut State, request: &Request, storage: &str) -> Response {
    let failure =
        |code: u16, message: &str| json_answer(code, &json!({"code": code, "message": message}));
    let basic = "Basic YW5uOmthZ2dsZV9zZWNyZXQ=";
    let known = [format!("Bearer {TOKEN}"), basic.to_owned()];
    if !request.header("authorization").is_some_and(|it| known.iter().any(|known| known == it)) {
        return failure(401, "Unauthenticated");
    }
    let json = json_of(request);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let model = |json: &Value| format!("{}/{}", text(&json["ownerSlug"]), text(&json["modelSlug"]));
    match request.path.trim_start_matches("/v1/") {
        "models.ModelApiService/GetModel" => match state.models.contains(&model(&json)) {
            true => json_answer(200, &json!({"id": 1, "ref": model(&json)})),
            false => failure(403, "Permission 'models.get' was denied"),
        },
        "models.ModelApiService/CreateModel" => {
            if json["ownerSlug"] != "ann" {
                return json_answer(200, &json!({"error": "Permission denied", "errorCode": 403}));
            }
            assert_eq!((&json["title"], &json["isPrivate"]), (&json["slug"], &json!(true)));
            state.models.push(format!("ann/{}", text(&json["slug"])));
            json_answer(200, &json!({"id": 1, "url": "https://www.kaggle.com/models/ann"}))
        }
        "models.ModelApiService/CreateModelInstance" => {
            let body = &json["body"];
            let (framework, name) = (text(&body["framework"]), text(&body["instanceSlug"]));
            let instance = format!("{}/{framework}/{name}", model(&json));
            if state.versions.contains_key(&instance) {
                let error = "A model instance with that framework and slug already exists";
                return json_answer(200, &json!({"error": error, "errorCode": 409}));
            }
            publish(state, instance, body)
        }
        "models.ModelApiService/CreateModelInstanceVersion" => {
            let (framework, name) = (text(&json["framework"]), text(&json["instanceSlug"]));
            let instance = format!("{}/{framework}/{name}", model(&json));
            assert!(state.versions.contains_key(&instance));
            assert_eq!(json["body"]["versionNotes"], "");
            publish(state, instance, &json["body"])
        }
        "models.ModelApiService/GetModelInstance" => {
            let instance = format!("{}/{}", model(&json), last(&json));
            json_answer(200, &json!({"versionNumber": state.versions[&instance].len()}))
        }
        "models.ModelApiService/DownloadModelInstanceVersion" => {
            let instance = format!("{}/{}", model(&json), last(&json));
            let (version, path) = (json["versionNumber"].as_u64().unwrap(), text(&json["path"]));
            match state.versions[&instance][version as usize - 1].contains_key(&path) {
                true => Response::new(302)
                    .with_header("Location", format!("{storage}/{instance}/{version}/{path}")),
                false => failure(404, "Not Found"),
            }
        }
        "blobs.BlobApiService/StartBlobUpload" => {
            assert_eq!(json["type"], "MODEL");
            assert!(json["lastModifiedEpochSeconds"].as_u64().unwrap() > 1_000_000_000);
            let token = format!("token{}", state.blobs.len());
            let (name, size) = (text(&json["name"]), json["contentLength"].as_u64().unwrap_or(0));
            let blob = Blob { name, size: size as usize, received: Vec::new() };
            state.blobs.insert(token.clone(), blob);
            let url = format!("{storage}/upload/{token}?upload_id=1");
            json_answer(200, &json!({"token": token, "createUrl": url}))
        }
        _ => failure(404, "Not Found"),
    }
}

/// `FRAMEWORK/variation`
fn last(json: &Value) -> String {
    let text = |key: &str| json[key].as_str().unwrap().to_owned();
    format!("{}/{}", text("framework"), text("instanceSlug"))
}

fn publish(state: &mut State, instance: String, body: &Value) -> Response {
    assert_eq!(body["sigstore"], false);
    let mut files = Files::new();
    collect(state, body, "", &mut files);
    state.versions.entry(instance).or_default().push(files);
    json_answer(200, &json!({"id": 1, "ref": "ann", "url": "https://www.kaggle.com/models/ann"}))
}

fn collect(state: &State, directory: &Value, prefix: &str, files: &mut Files) {
    for file in directory["files"].as_array().into_iter().flatten() {
        let blob = &state.blobs[file["token"].as_str().unwrap()];
        assert_eq!(blob.received.len(), blob.size, "{} is not whole", blob.name);
        files.insert(format!("{prefix}{}", blob.name), blob.received.clone());
    }
    for inner in directory["directories"].as_array().into_iter().flatten() {
        let prefix = format!("{prefix}{}/", inner["name"].as_str().unwrap());
        collect(state, inner, &prefix, files);
    }
}
