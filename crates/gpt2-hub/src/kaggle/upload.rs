//! Upload of files to Kaggle, as a new version of a variation.
//!
//! As `kagglehub/models.py` (`model_upload`), `models_helpers.py`, `gcs_upload.py`. Files go to
//! Google's storage, each to an address of its own, which needs no token.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::client::agent::Client;
use crate::client::failure::{request_error, unexpected};
use crate::client::request::{Body, Header, Redirects, Request};
use crate::client::response::Response;
use crate::client::retry::Retries;
use crate::client::url::Url;
use crate::environment::endpoint::Endpoint;
use crate::error::HubError;
use crate::handle::{HubHandle, KaggleHandle};
use crate::kaggle::framework::framework_name;
use crate::request_error::RequestErrorKind;
use crate::upload::sending::{Sending, accepted, patient, refused, remedy};
use crate::upload::upload_file::UploadFile;

const MODELS: &str = "models.ModelApiService";
/// Most files of a version. kagglehub packs larger numbers into an archive.
const MAX_FILES: usize = 50;
/// Bytes of one request. The storage requires multiples of 256 KiB.
const CHUNK: u64 = 32 * 1024 * 1024;

struct Kaggle<'a> {
    client: &'a Client,
    patient: Client,
    endpoint: Endpoint,
    authorization: String,
    /// `kaggle://owner/model/framework/variation`
    display: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    token: String,
    create_url: String,
}

/// Tokens of a folder's files, and its subfolders.
#[derive(Default)]
struct Directory {
    tokens: Vec<String>,
    directories: BTreeMap<String, Directory>,
}

/// Uploads all files and makes a version of them. Returns the address of the model's page.
pub(crate) fn upload(
    client: &Client,
    handle: &KaggleHandle,
    files: &[UploadFile],
) -> Result<String, HubError> {
    let KaggleHandle { owner, model, framework, variation, .. } = handle;
    if files.len() > MAX_FILES {
        let path = files[MAX_FILES].path().to_owned();
        let why = "Kaggle takes at most 50 files; save the preset in larger shards";
        return Err(HubError::NotUploadable { path, why });
    }
    let kaggle = Kaggle::open(client, handle)?;
    let framework_name = format!("MODEL_FRAMEWORK_{}", framework_name(framework));
    kaggle.create_model(owner, model)?;
    let mut root = Directory::default();
    for file in files {
        let token = kaggle.send_file(file)?;
        root.insert(&file.name, token);
    }
    let mut body = root.to_json();
    body.insert("instanceSlug".into(), json!(variation));
    body.insert("framework".into(), json!(framework_name));
    body.insert("sigstore".into(), json!(false));
    let json = json!({"ownerSlug": owner, "modelSlug": model, "body": body});
    match kaggle.call_once(&format!("{MODELS}/CreateModelInstance"), &json) {
        Err(HubError::UploadRefused { status: 409, .. }) => {}
        answer => return answer.map(|_| page(handle)),
    }
    let mut body = root.to_json();
    body.insert("versionNotes".into(), json!(""));
    body.insert("sigstore".into(), json!(false));
    let json = json!({
        "ownerSlug": owner,
        "modelSlug": model,
        "framework": framework_name,
        "instanceSlug": variation,
        "body": body,
    });
    kaggle.call_once(&format!("{MODELS}/CreateModelInstanceVersion"), &json)?;
    Ok(page(handle))
}

fn page(handle: &KaggleHandle) -> String {
    let KaggleHandle { owner, model, framework, variation, .. } = handle;
    format!("https://www.kaggle.com/models/{owner}/{model}/{framework}/{variation}")
}

impl<'a> Kaggle<'a> {
    fn open(client: &'a Client, handle: &KaggleHandle) -> Result<Self, HubError> {
        let options = &client.options().kaggle;
        let Some(authorization) = options.authorization.clone()? else {
            return Err(HubError::MissingCredentials {
                hub: "Kaggle",
                looked_for: "`HubOptions::with_kaggle_token`, the variable KAGGLE_API_TOKEN, the \
                    files `access_token` and `access_token.txt` in `~/.kaggle`, the variables \
                    KAGGLE_USERNAME and KAGGLE_KEY, and `kaggle.json` in KAGGLE_CONFIG_DIR \
                    (`~/.kaggle`)",
            });
        };
        Ok(Self {
            client,
            patient: patient(client),
            endpoint: options.endpoint.clone()?,
            authorization: authorization.secret().to_owned(),
            display: HubHandle::Kaggle(handle.clone()).to_string(),
        })
    }

    fn create_model(&self, owner: &str, model: &str) -> Result<(), HubError> {
        let json = json!({"ownerSlug": owner, "modelSlug": model});
        match self.call(&format!("{MODELS}/GetModel"), &json) {
            // Kaggle answers alike for a hidden model and a missing one.
            Err(HubError::UploadRefused { status: 403 | 404, .. }) => {}
            answer => return answer.map(drop),
        }
        let json = json!({"ownerSlug": owner, "slug": model, "title": model, "isPrivate": true});
        self.call_once(&format!("{MODELS}/CreateModel"), &json).map(drop)
    }

    /// Uploads a file and returns its token.
    fn send_file(&self, file: &UploadFile) -> Result<String, HubError> {
        let name = file.name.rsplit('/').next().unwrap_or_default();
        let mut json = json!({"type": "MODEL", "name": name, "contentLength": file.size});
        if let Some(modified) = file.modified() {
            json["lastModifiedEpochSeconds"] = modified.into();
        }
        let answer = self.call("blobs.BlobApiService/StartBlobUpload", &json)?;
        let sending = Sending::new(self.client, file, &self.display);
        let blob: Blob = serde_json::from_value(answer)
            .map_err(|_| self.unexpected("an answer without `token` and `createUrl`"))?;
        self.send_content(&sending, &blob.create_url)?;
        sending.finish()?;
        Ok(blob.token)
    }

    /// Sends the bytes that the storage lacks, until it has the whole file.
    fn send_content(&self, sending: &Sending<'_>, url: &str) -> Result<(), HubError> {
        let mut retries = Retries::new(self.client.options());
        let mut start = 0;
        loop {
            let sent = self.send_chunk(sending, url, start);
            let position = match sent {
                Ok(Some(position)) if position > start => Some(position),
                Err(error) if !is_passing(&error) => return Err(error),
                Ok(None) => None,
                stuck => {
                    if !retries.wait(None) {
                        let nothing = || self.unexpected("no progress of the transfer");
                        return Err(stuck.err().unwrap_or_else(nothing));
                    }
                    self.received(sending, url)?
                }
            };
            match position {
                Some(position) => {
                    if position > start {
                        retries.reset();
                    }
                    start = position;
                }
                None => return Ok(()),
            }
        }
    }

    /// Sends a chunk, and returns the number of bytes that have arrived. None when the storage has
    /// the whole file.
    fn send_chunk(
        &self,
        sending: &Sending<'_>,
        url: &str,
        start: u64,
    ) -> Result<Option<u64>, HubError> {
        let size = sending.file.size;
        let length = CHUNK.min(size - start);
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        if size > 0 {
            let last = start + length - 1;
            headers.push(("content-range", format!("bytes {start}-{last}/{size}")));
        }
        let response = sending.put(self.client, url, &headers, (start, length), false)?;
        received(response, sending)
    }

    /// Requests the number of bytes that have arrived. None when the storage has the whole file.
    fn received(&self, sending: &Sending<'_>, url: &str) -> Result<Option<u64>, HubError> {
        let headers: [Header; 1] = [("content-range", format!("bytes */{}", sending.file.size))];
        let mut request = Request::new(Method::PUT, url, &sending.display);
        request.headers = &headers;
        request.body = Body::Bytes(&[]);
        request.redirects = Redirects::Never;
        received(self.client.send(&request)?, sending)
    }

    /// Calls a method, with retries.
    fn call(&self, method: &str, json: &Value) -> Result<Value, HubError> {
        self.asked(method, json, |request| self.client.send(request))
    }

    /// Calls a method once, because a second request would make a second version. The call is
    /// retried only if the hub says that it did nothing.
    fn call_once(&self, method: &str, json: &Value) -> Result<Value, HubError> {
        let mut retries = Retries::new(self.client.options());
        self.asked(method, json, |request| {
            loop {
                let response = self.patient.send_once(request)?;
                if response.status != 429 || !retries.wait(response.retry_after()) {
                    return Ok(response);
                }
            }
        })
    }

    fn unexpected(&self, found: &str) -> HubError {
        let host = Url::parse(&self.endpoint).map_or_else(String::new, |url| url.host());
        let kind = RequestErrorKind::Unexpected { found: found.to_owned() };
        request_error(&self.display, host, kind)
    }

    fn asked(
        &self,
        method: &str,
        json: &Value,
        send: impl FnOnce(&Request<'_>) -> Result<Response, HubError>,
    ) -> Result<Value, HubError> {
        let (url, body) = (format!("{}/{method}", &*self.endpoint), json.to_string());
        let headers: [Header; 2] = [
            ("authorization", self.authorization.clone()),
            ("content-type", "application/json".to_owned()),
        ];
        let mut request = Request::new(Method::POST, &url, &self.display);
        request.headers = &headers;
        request.body = Body::Bytes(body.as_bytes());
        request.redirects = Redirects::SameOrigin;
        let response = accepted(send(&request)?, &self.display)?;
        let host = response.url.host();
        let answer: Value = response.json(&self.display)?;
        let Some((status, detail)) = failure(&answer) else { return Ok(answer) };
        let (place, remedy) = (self.display.clone(), remedy(status));
        Err(HubError::UploadRefused { place, host, status, detail, remedy })
    }
}

/// Status and text of a failure with status 200.
fn failure(answer: &Value) -> Option<(u16, String)> {
    let status = |key: &str| answer[key].as_u64().and_then(|code| u16::try_from(code).ok());
    if let Some(code) = status("code").filter(|code| *code >= 400) {
        return Some((code, answer["message"].as_str().unwrap_or_default().to_owned()));
    }
    let error = answer["error"].as_str().filter(|error| !error.is_empty())?;
    Some((status("errorCode").unwrap_or(400), error.to_owned()))
}

/// Number of bytes that have arrived, from an answer. None when the storage has the whole file.
fn received(response: Response, sending: &Sending<'_>) -> Result<Option<u64>, HubError> {
    match response.status {
        200..=299 => return Ok(None),
        308 => {}
        _ => return Err(refused(response, &sending.display)),
    }
    let Some(range) = response.header("range") else { return Ok(Some(0)) };
    let last = range.rsplit('-').next().and_then(|last| last.parse::<u64>().ok());
    match last.and_then(|last| last.checked_add(1)) {
        // Status 200 would mean the whole file.
        Some(next) if next < sending.file.size => Ok(Some(next)),
        _ => {
            let found = format!("the range `{range}` of a file of {} bytes", sending.file.size);
            Err(unexpected(&sending.display, &response.url, found))
        }
    }
}

/// Whether the same request may succeed later.
fn is_passing(error: &HubError) -> bool {
    error.request_kind().is_some_and(RequestErrorKind::is_out_of_reach)
}

impl Directory {
    fn insert(&mut self, name: &str, token: String) {
        match name.split_once('/') {
            Some((folder, rest)) => {
                self.directories.entry(folder.to_owned()).or_default().insert(rest, token);
            }
            None => self.tokens.push(token),
        }
    }

    /// JSON without empty lists: kagglesdk omits defaults too.
    fn to_json(&self) -> Map<String, Value> {
        let mut json = Map::new();
        if !self.tokens.is_empty() {
            let files = self.tokens.iter().map(|token| json!({ "token": token })).collect();
            json.insert("files".into(), files);
        }
        if !self.directories.is_empty() {
            let directories = self.directories.iter().map(|(name, directory)| {
                let mut json = directory.to_json();
                json.insert("name".into(), json!(name));
                Value::Object(json)
            });
            json.insert("directories".into(), directories.collect());
        }
        json
    }
}
