//! Upload of files to Hugging Face, in one commit.
//!
//! Follows `huggingface_hub/hf_api.py` (`create_commit`) and `_commit_api.py`.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use crate::client::agent::Client;
use crate::client::request::{Body, Redirects, Request};
use crate::client::response::Response;
use crate::client::retry::Retries;
use crate::error::HubError;
use crate::handle::ModelHandle;
use crate::hugging_face::lfs;
use crate::hugging_face::repository::{JSON, Repository};
use crate::request_error::RequestErrorKind;
use crate::upload::sending::accepted;
use crate::upload::upload_file::UploadFile;

/// Name of the file that holds a model's card.
const README_FILE: &str = "README.md";
/// Files of one request, and bytes of each in it, as in `_commit_api.py`.
const PREUPLOAD: usize = 256;
const SAMPLE: u64 = 512;
/// Most bytes of small files in one commit. A preset's small files are texts of a few megabytes.
const MAX_REGULAR: u64 = 64 * 1024 * 1024;

/// File that a commit changes.
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
    /// SHA-256 or git SHA-1 of the file in the repository.
    oid: Option<String>,
}

/// Uploads all files, and a card if the model has none. Returns the address of the model's page.
pub(crate) fn upload(
    client: &Client,
    handle: &ModelHandle,
    mut files: Vec<UploadFile>,
    card: impl FnOnce(&str) -> String,
) -> Result<String, HubError> {
    let repository = Repository::open(client, handle)?;
    repository.create()?;
    match files.iter().find(|file| file.name == README_FILE) {
        Some(card) => repository.validate_card(card)?,
        None if repository.has(README_FILE)? => {}
        None => {
            let text = card(&repository.id);
            files.push(UploadFile::in_memory(README_FILE, text));
        }
    }
    repository.publish(&files)?;
    let page = format!("{}/{}", client.options().hugging_face.endpoint.shown(), repository.id);
    Ok(handle.revision.as_ref().map_or(page.clone(), |name| format!("{page}/tree/{name}")))
}

impl Repository<'_> {
    /// Asks the hub to check the head of the user's card, before anything large is sent.
    fn validate_card(&self, card: &UploadFile) -> Result<(), HubError> {
        let content = card.read(MAX_REGULAR)?;
        let content = String::from_utf8_lossy(&content);
        let json = json!({"content": content, "repoType": "model"}).to_string();
        self.post(&format!("{}/api/validate-yaml", self.endpoint), JSON, json.as_bytes())?;
        Ok(())
    }

    /// Commits until the hub has all files with their local content, usually once. After a lost
    /// answer, the list of changes shows whether the commit was made, so that it is not repeated.
    fn publish(&self, files: &[UploadFile]) -> Result<(), HubError> {
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
                Err(HubError::Request { kind: RequestErrorKind::Connection { .. }, .. }) => None,
                _ => return accepted(answer?, &self.display).map(drop),
            };
            if !retries.wait(pause) {
                return accepted(answer?, &self.display).map(drop);
            }
        }
    }

    /// Lists the files that the hub lacks or has with different content.
    fn changes<'files>(
        &self,
        files: &'files [UploadFile],
    ) -> Result<Vec<Change<'files>>, HubError> {
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
                    return Err(self.unexpected("an incomplete list of files"));
                };
                changes.extend(self.change(file, mode)?);
            }
        }
        let regular = changes.iter().filter(|change| !change.large);
        if regular.map(|change| change.file.size).sum::<u64>() > MAX_REGULAR {
            return Err(self.unexpected("the request to send large files inside the commit"));
        }
        Ok(changes)
    }

    /// Change for a file. None if the hub has the file.
    fn change<'files>(
        &self,
        file: &'files UploadFile,
        mode: &PreuploadFile,
    ) -> Result<Option<Change<'files>>, HubError> {
        if mode.should_ignore {
            let why = "the repository's .gitignore names it; remove it there, or from the folder";
            return Err(HubError::NotUploadable { path: file.path().into(), why });
        }
        // The storage does not accept empty files.
        let large = match mode.upload_mode.as_str() {
            "lfs" => file.size > 0,
            "regular" => false,
            _ => return Err(self.unexpected("an unknown upload mode")),
        };
        let unchanged = match &mode.oid {
            Some(oid) if large => oid == file.sha256()?,
            Some(oid) => *oid == file.git_sha1()?,
            None => false,
        };
        Ok((!unchanged).then_some(Change { file, large }))
    }

    fn commit(&self, changes: &[Change<'_>]) -> Result<Response, HubError> {
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
}
