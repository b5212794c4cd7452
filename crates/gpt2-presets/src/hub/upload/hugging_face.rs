//! Upload stage 3: a preset to a repository of Hugging Face, in one commit.
//!
//! `huggingface_hub/hf_api.py` (`create_repo`, `create_commit`) and `_commit_api.py`.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use super::lfs;
use super::model_card::{README_FILE, model_card};
use super::preset_checks::CheckedPreset;
use super::sending::{accepted, patient, refused};
use super::upload_file::UploadFile;
use crate::PresetError;
use crate::handle::ModelHandle;
use crate::hub::client::{Body, Client, Header, Redirects, Request, Response};
use crate::hub::retry::Retries;
use crate::hub::url::Url;

/// Where Hugging Face is, in the addresses of a mirror too.
const HUGGING_FACE: &str = "https://huggingface.co";
const MAIN: &str = "main";
const JSON: &str = "application/json";
/// Files of one question, and bytes of each in it, as in `_commit_api.py`.
const PREUPLOAD: usize = 256;
const SAMPLE: u64 = 512;
/// Bytes of files that are not large ones, in one commit. A preset's are texts of some megabytes.
const MAX_REGULAR: u64 = 64 * 1024 * 1024;

/// A repository that is written to.
pub(crate) struct Repository<'a> {
    pub(crate) client: &'a Client,
    patient: Client,
    /// Without a slash at its end.
    pub(crate) endpoint: &'a str,
    token: &'a str,
    /// `owner/model`
    pub(crate) id: String,
    pub(crate) revision: String,
    /// `hf://owner/model`
    pub(crate) display: String,
}

/// How a file goes into a commit.
struct Change<'a> {
    file: &'a UploadFile,
    large: bool,
}

#[derive(Deserialize)]
struct Preupload {
    files: Vec<PreuploadFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreuploadFile {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
    /// SHA-256 or git's SHA-1 of the file that is there now.
    oid: Option<String>,
}

#[derive(Deserialize)]
struct User {
    name: String,
}

/// Uploads all files, and a card where there is none. Returns the address of the model's page.
pub(crate) fn upload(
    client: &Client,
    mut preset: CheckedPreset,
    handle: &ModelHandle,
) -> Result<String, PresetError> {
    let repository = Repository::open(client, handle)?;
    repository.create()?;
    match preset.file(README_FILE) {
        Some(card) => repository.validate_card(card)?,
        None if repository.has(README_FILE)? => {}
        None => {
            let card = model_card(&preset, &repository.display, &repository.id);
            preset.files.push(card);
        }
    }
    repository.publish(&preset.files)?;
    let page = format!("{}/{}", client.options().hugging_face.endpoint.shown(), repository.id);
    Ok(handle.revision.as_ref().map_or(page.clone(), |name| format!("{page}/tree/{name}")))
}

impl<'a> Repository<'a> {
    fn open(client: &'a Client, handle: &ModelHandle) -> Result<Self, PresetError> {
        let options = &client.options().hugging_face;
        let Some(token) = &options.token else {
            return Err(PresetError::MissingCredentials {
                hub: "Hugging Face",
                looked_for: "`HubOptions::with_hugging_face_token`, the variables HF_TOKEN and \
                    HUGGING_FACE_HUB_TOKEN, the file that HF_TOKEN_PATH names, or `token` in \
                    HF_HOME (`~/.cache/huggingface`)",
            });
        };
        let mut repository = Self {
            client,
            patient: patient(client),
            endpoint: &options.endpoint,
            token: token.secret(),
            id: handle.id.clone(),
            revision: handle.revision.clone().unwrap_or_else(|| MAIN.to_owned()),
            display: format!("hf://{}", handle.id),
        };
        if !repository.id.contains('/') {
            repository.id = format!("{}/{}", repository.user()?, repository.id);
            repository.display = format!("hf://{}", repository.id);
        }
        Ok(repository)
    }

    /// Who the token belongs to.
    fn user(&self) -> Result<String, PresetError> {
        let url = format!("{}/api/whoami-v2", self.endpoint);
        let response =
            accepted(self.ask(Method::GET, &url, Redirects::SameOrigin)?, &self.display)?;
        Ok(response.json::<User>(&self.display)?.name)
    }

    /// Creates the repository and the branch, if they are not there.
    fn create(&self) -> Result<(), PresetError> {
        let (owner, name) = self.id.split_once('/').unwrap_or(("", &self.id));
        let json = json!({"name": name, "organization": owner}).to_string();
        let url = format!("{}/api/repos/create", self.endpoint);
        let response = self.send(&url, JSON, json.as_bytes())?;
        match response.status {
            200..=299 => {}
            // It may exist, also for a token that may not create any.
            401..=403 | 409 if self.exists()? => {}
            _ => return Err(refused(response, &self.display)),
        }
        if self.revision == MAIN || self.revision.starts_with("refs/") {
            return Ok(());
        }
        let response = self.send(&self.api("branch"), JSON, b"{}")?;
        // Whether it may be written to, the next request says.
        match response.status {
            200..=299 | 403 | 409 => Ok(()),
            _ => Err(refused(response, &self.display)),
        }
    }

    fn exists(&self) -> Result<bool, PresetError> {
        let url = format!("{}/api/models/{}", self.endpoint, self.id);
        Ok(self.ask(Method::GET, &url, Redirects::SameOrigin)?.status == 200)
    }

    fn has(&self, file: &str) -> Result<bool, PresetError> {
        let url =
            format!("{}/{}/resolve/{}/{file}", self.endpoint, self.id, self.quoted_revision());
        let response = self.ask(Method::HEAD, &url, Redirects::Never)?;
        match response.status {
            200..=399 => Ok(true),
            404 => Ok(false),
            _ => Err(refused(response, &self.display)),
        }
    }

    /// Lets the hub check the head of the user's card before anything large is sent.
    fn validate_card(&self, card: &UploadFile) -> Result<(), PresetError> {
        let content = card.read(MAX_REGULAR)?;
        let content = String::from_utf8_lossy(&content);
        let json = json!({"content": content, "repoType": "model"}).to_string();
        self.post(&format!("{}/api/validate-yaml", self.endpoint), JSON, json.as_bytes())?;
        Ok(())
    }

    /// Commits until the hub has every file as it is here: usually once. Where an answer is lost,
    /// this finds out whether the commit was made, and does not make it twice.
    fn publish(&self, files: &[UploadFile]) -> Result<(), PresetError> {
        let mut retries = Retries::new(self.client.options());
        loop {
            let changes = self.changes(files)?;
            if changes.is_empty() {
                return Ok(());
            }
            let large: Vec<_> =
                changes.iter().filter(|change| change.large).map(|change| change.file).collect();
            lfs::upload(self, &large)?;
            let answer = self.commit(&changes);
            let pause = match &answer {
                Ok(response) if response.is_temporary() => response.retry_after(),
                Err(PresetError::HubConnection { .. }) => None,
                _ => return accepted(answer?, &self.display).map(drop),
            };
            if !retries.wait(pause) {
                return accepted(answer?, &self.display).map(drop);
            }
        }
    }

    /// The files that the hub has not, or has otherwise.
    fn changes<'files>(
        &self,
        files: &'files [UploadFile],
    ) -> Result<Vec<Change<'files>>, PresetError> {
        let mut changes = Vec::new();
        for files in files.chunks(PREUPLOAD) {
            let mut asked = Vec::with_capacity(files.len());
            for file in files {
                let sample = BASE64_STANDARD.encode(file.read(SAMPLE)?);
                asked.push(json!({"path": file.name, "sample": sample, "size": file.size}));
            }
            let json = json!({ "files": asked }).to_string();
            let response = self.post(&self.api("preupload"), JSON, json.as_bytes())?;
            let answer: Preupload = response.json(&self.display)?;
            for file in files {
                let Some(mode) = answer.files.iter().find(|mode| mode.path == file.name) else {
                    return Err(self.unexpected("an answer that leaves files out"));
                };
                changes.extend(self.change(file, mode)?);
            }
        }
        let regular = changes.iter().filter(|change| !change.large);
        if regular.map(|change| change.file.size).sum::<u64>() > MAX_REGULAR {
            return Err(self.unexpected("large files that are to be sent as small ones"));
        }
        Ok(changes)
    }

    /// None if the file is there.
    fn change<'files>(
        &self,
        file: &'files UploadFile,
        mode: &PreuploadFile,
    ) -> Result<Option<Change<'files>>, PresetError> {
        if mode.should_ignore {
            let why = "the repository's .gitignore names it; remove it there, or from the folder";
            return Err(PresetError::NotUploadable { path: file.path().into(), why });
        }
        // The storage takes no empty files.
        let large = match mode.upload_mode.as_str() {
            "lfs" => file.size > 0,
            "regular" => false,
            _ => return Err(self.unexpected("an unknown way to send a file")),
        };
        let unchanged = match &mode.oid {
            Some(oid) if large => oid == file.sha256()?,
            Some(oid) => *oid == file.git_sha1()?,
            None => false,
        };
        Ok((!unchanged).then_some(Change { file, large }))
    }

    fn commit(&self, changes: &[Change<'_>]) -> Result<Response, PresetError> {
        let summary = concat!("Upload preset with gpt2-presets ", env!("CARGO_PKG_VERSION"));
        let header = json!({"summary": summary, "description": ""});
        let mut lines = format!("{}\n", json!({"key": "header", "value": header}));
        for Change { file, large } in changes {
            let line = if *large {
                let (oid, size) = (file.sha256()?, file.size);
                let value = json!({"path": file.name, "algo": "sha256", "oid": oid, "size": size});
                json!({"key": "lfsFile", "value": value})
            } else {
                let content = BASE64_STANDARD.encode(file.read(file.size)?);
                let value = json!({"content": content, "path": file.name, "encoding": "base64"});
                json!({"key": "file", "value": value})
            };
            let _ = writeln!(lines, "{line}");
        }
        let headers = self.headers("application/x-ndjson");
        let url = self.api("commit");
        let mut request = Request::new(Method::POST, &url, &self.display);
        request.headers = &headers;
        request.body = Body::Bytes(lines.as_bytes());
        request.redirects = Redirects::SameOrigin;
        self.patient.send_once(&request)
    }

    /// Posts, with the token if the address is the hub's own, and takes success only.
    pub(crate) fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, PresetError> {
        accepted(self.send(url, content_type, body)?, &self.display)
    }

    fn send(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response, PresetError> {
        let mut headers = self.headers(content_type);
        if !lfs::is_at(url, self.endpoint) {
            headers.retain(|(name, _)| *name != "authorization");
        }
        let mut request = Request::new(Method::POST, url, &self.display);
        request.headers = &headers;
        request.body = Body::Bytes(body);
        request.redirects = Redirects::SameOrigin;
        self.client.send(&request)
    }

    fn ask(
        &self,
        method: Method,
        url: &str,
        redirects: Redirects,
    ) -> Result<Response, PresetError> {
        let headers = self.headers(JSON);
        let mut request = Request::new(method, url, &self.display);
        request.headers = &headers[..1];
        request.redirects = redirects;
        self.client.send(&request)
    }

    fn headers(&self, content_type: &str) -> Vec<Header> {
        vec![
            ("authorization", format!("Bearer {}", self.token)),
            ("content-type", content_type.to_owned()),
            ("accept", content_type.replace("x-ndjson", "json")),
        ]
    }

    fn api(&self, action: &str) -> String {
        let Self { endpoint, id, .. } = self;
        format!("{endpoint}/api/models/{id}/{action}/{}", self.quoted_revision())
    }

    /// As one part of a path; a handle's revision has no other characters that mean something.
    fn quoted_revision(&self) -> String {
        self.revision.replace('/', "%2F").replace('+', "%2B")
    }

    /// A mirror may hand out addresses of the hub itself.
    pub(crate) fn at_endpoint(&self, url: &str) -> String {
        match url.strip_prefix(HUGGING_FACE) {
            Some(path) if path.starts_with('/') => format!("{}{path}", self.endpoint),
            _ => url.to_owned(),
        }
    }

    pub(crate) fn host(&self) -> String {
        Url::parse(self.endpoint).map_or_else(String::new, |url| url.host())
    }

    pub(crate) fn unexpected(&self, found: &str) -> PresetError {
        PresetError::UnexpectedHubAnswer {
            file: self.display.clone(),
            host: self.host(),
            found: found.to_owned(),
        }
    }
}
