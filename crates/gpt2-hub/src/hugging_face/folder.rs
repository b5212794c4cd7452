//! Folder of a model on Hugging Face.
//!
//! Names in the cache come from the crate `hf-hub`. Its download function is not used: it sends the
//! token to the host that a redirect names, and checks neither size nor content. It also appends a
//! complete answer to a partial file. Its `create_ref` is not used either: it writes in place.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hf_hub::{Repo, RepoType};
use ureq::http::Method;

use crate::client::agent::Client;
use crate::client::failure::unexpected;
use crate::client::request::{Header, Redirects, Request};
use crate::client::response::Response;
use crate::client::url::{encode_part, encode_path};
use crate::error::{HubError, ModelErrorKind};
use crate::file_names::check_file_name;
use crate::handle::{HubHandle, ModelHandle};
use crate::hugging_face::cache::{HuggingFaceCache, is_commit};
use crate::lookup::{Cached, fetch};
use crate::pins::Pins;
use crate::remote_folder::RemoteFolder;
use crate::transfer::digest::{Digest, is_hex};
use crate::transfer::download::{Download, download};

/// Message of the hub about an unknown token (`huggingface_hub/utils/_http.py`).
const INVALID_TOKEN: &str = "Invalid credentials in Authorization header";

/// Revision of a model.
#[derive(Debug)]
pub(crate) struct HuggingFaceFolder {
    client: Client,
    handle: HubHandle,
    /// `owner/model`.
    id: String,
    /// Revision, percent-encoded for an address.
    revision: String,
    cache: HuggingFaceCache,
    pins: Pins,
    /// Commit of all files, known after the first request.
    commit: Mutex<Option<String>>,
    /// Whether the commit comes from the cache, because the hub has not answered.
    unanswered: AtomicBool,
}

/// Metadata of a file on the hub.
enum Metadata {
    File {
        commit: String,
        etag: String,
        size: Option<u64>,
    },
    /// The commit does not have the file.
    Absent {
        commit: Option<String>,
    },
}

impl HuggingFaceFolder {
    pub(crate) fn new(handle: &ModelHandle, client: Client) -> Result<Self, HubError> {
        let revision = handle.revision.clone().unwrap_or("main".to_owned());
        let repo = Repo::with_revision(handle.id.clone(), RepoType::Model, revision.clone());
        let (id, in_url) = (handle.id.clone(), encode_part(&revision));
        let handle = HubHandle::HuggingFace(handle.clone());
        let Some(root) = &client.options().hugging_face.cache else {
            let variables = "HOME (USERPROFILE on Windows), HF_HOME or HF_HUB_CACHE";
            return Err(HubError::NoCacheFolder { model: handle.to_string(), variables });
        };
        let cache = HuggingFaceCache::new(root, &repo);
        let commit = Mutex::new(is_commit(&revision).then_some(revision));
        let (pins, unanswered) = (Pins::new(client.options()), AtomicBool::new(false));
        Ok(Self { client, handle, id, revision: in_url, cache, pins, commit, unanswered })
    }

    /// Finds a file, and downloads it if the cache lacks it. None if the hub does not have it.
    fn locate(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let mut commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        if commit.is_some() || self.offline().is_some() {
            *commit = commit.take().or_else(|| self.cache.commit());
            return self.locate_in(commit.as_deref(), name);
        }
        // If the hub does not answer, the last commit of the revision is used.
        let last = self.cache.commit();
        let known = last.as_deref().map(|last| self.cache.find(last, name));
        let fallback = match known {
            Some(Cached::File(path)) => Some(Some(path)),
            Some(Cached::Absent) => Some(None),
            Some(Cached::Unknown) | None => None,
        };
        match (self.ask(&self.revision, name, fallback.is_none()), fallback) {
            (Ok(metadata), _) => {
                let (path, found) = self.bring(metadata, name)?;
                if let Some(found) = found {
                    self.cache.remember_commit(&found);
                    *commit = Some(found);
                }
                Ok(path)
            }
            (Err(error), Some(path)) if may_use_last(&error) => {
                *commit = last;
                self.unanswered.store(error.is_out_of_reach(), Ordering::Relaxed);
                Ok(path)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Finds a file of a commit.
    fn locate_in(&self, commit: Option<&str>, name: &str) -> Result<Option<PathBuf>, HubError> {
        match commit.map(|commit| (commit, self.cache.find(commit, name))) {
            Some((_, Cached::File(path))) => return Ok(Some(path)),
            Some((_, Cached::Absent)) => return Ok(None),
            Some((commit, Cached::Unknown)) if self.offline().is_none() => {
                let metadata = self.ask(commit, name, !self.is_unanswered())?;
                return Ok(self.bring(metadata, name)?.0);
            }
            Some((_, Cached::Unknown)) | None => {}
        }
        let flag = self.offline().unwrap_or("an option");
        Err(HubError::Offline { file: self.display(name), flag })
    }

    /// Returns the file that the metadata describes, and its commit. Downloads the file if the
    /// cache lacks it.
    fn bring(
        &self,
        metadata: Metadata,
        name: &str,
    ) -> Result<(Option<PathBuf>, Option<String>), HubError> {
        let (commit, etag, size) = match metadata {
            Metadata::Absent { commit } => {
                if let Some(commit) = &commit {
                    self.cache.remember_absent(commit, name);
                }
                return Ok((None, commit));
            }
            Metadata::File { commit, etag, size } => (commit, etag, size),
        };
        if let Cached::File(path) = self.cache.find(&commit, name) {
            return Ok((Some(path), Some(commit)));
        }
        let target = self.cache.blob(&etag);
        let is_whole = || {
            let found = target.metadata().ok().filter(|found| found.is_file());
            found.is_some_and(|found| size.is_none_or(|size| found.len() == size))
        };
        if !is_whole() {
            self.download(&commit, &etag, size, name, &is_whole)?;
        }
        let path = self.cache.link(&etag, &commit, name)?;
        Ok((Some(path), Some(commit)))
    }

    fn download(
        &self,
        commit: &str,
        etag: &str,
        size: Option<u64>,
        name: &str,
        is_done: &dyn Fn() -> bool,
    ) -> Result<(), HubError> {
        let display = self.display(name);
        let promised = match etag.len() {
            64 if is_hex(etag, 64) => Some(Digest::Sha256(etag.to_owned())),
            40 if is_hex(etag, 40) => Some(Digest::GitSha1(etag.to_owned())),
            _ => None,
        };
        let pinned = self.pins.digest(name);
        if let (Some(Digest::Sha256(expected)), Some(Digest::Sha256(found))) = (&pinned, &promised)
            && expected != found
        {
            let (expected, found) = (expected.clone(), found.clone());
            let (file, algorithm) = (display, "SHA-256");
            return Err(HubError::ChecksumMismatch { file, algorithm, expected, found });
        }
        let mut digests: Vec<_> = promised.into_iter().chain(pinned).collect();
        digests.dedup();
        download(
            &self.client,
            &Download {
                url: &self.url(commit, name),
                headers: &self.headers(),
                display: &display,
                target: &self.cache.blob(etag),
                lock: &self.cache.lock(etag),
                size,
                digests: &digests,
                promised: |_| None,
                is_done,
                finish: &|| Ok(()),
            },
        )
    }

    /// Requests a file's metadata, with retries if `again`.
    fn ask(&self, revision: &str, name: &str, again: bool) -> Result<Metadata, HubError> {
        let (url, display, headers) =
            (self.url(revision, name), self.display(name), self.headers());
        let request = Request {
            headers: &headers,
            // A redirect to another host already carries the file's metadata.
            redirects: Redirects::SameOrigin,
            time_limit: Some(self.client.options().metadata_timeout),
            ..Request::new(Method::HEAD, &url, &display)
        };
        let response =
            if again { self.client.send(&request) } else { self.client.send_once(&request) }?;
        let commit = response.header("x-repo-commit").filter(|commit| is_commit(commit));
        let commit = commit.map(str::to_owned);
        match (response.status, response.header("x-error-code")) {
            (200..=399, _) => {}
            (_, Some("EntryNotFound")) => return Ok(Metadata::Absent { commit }),
            _ => return Err(self.refusal(&response, &display)),
        }
        let wrong = |what: &str| unexpected(&display, &response.url, format!("no {what}"));
        let commit = commit.ok_or_else(|| wrong("commit (header X-Repo-Commit)"))?;
        if is_commit(revision) && revision != commit {
            return Err(wrong("file of the requested commit"));
        }
        let etag = response.header("x-linked-etag").or(response.header("etag")).and_then(plain);
        let etag = etag.ok_or_else(|| wrong("ETag that can be a file name"))?;
        let size = match response.header("x-linked-size") {
            None if response.status < 300 => response.header("content-length"),
            linked => linked,
        };
        Ok(Metadata::File { commit, etag, size: size.and_then(|size| size.parse().ok()) })
    }

    /// Error for a status and the hub's own error code.
    fn refusal(&self, response: &Response, display: &str) -> HubError {
        let (model, host) = (self.handle.to_string(), response.url.host());
        let kind = match response.header("x-error-code") {
            Some("RepoNotFound") => ModelErrorKind::NotFound { host },
            // The hub hides models with this status.
            None if response.status == 401
                && response.header("x-error-message") != Some(INVALID_TOKEN) =>
            {
                ModelErrorKind::NotFound { host }
            }
            Some("RevisionNotFound") => ModelErrorKind::RevisionNotFound { host },
            Some("GatedRepo") => {
                let endpoint = self.client.options().hugging_face.endpoint.shown();
                ModelErrorKind::Gated { page: format!("{endpoint}/{}", self.id) }
            }
            _ => return response.refusal(display),
        };
        HubError::Model { model, kind }
    }

    fn url(&self, revision: &str, name: &str) -> String {
        let endpoint = &*self.client.options().hugging_face.endpoint;
        format!("{endpoint}/{}/resolve/{revision}/{}", self.id, encode_path(name))
    }

    fn headers(&self) -> Vec<Header> {
        let token = &self.client.options().hugging_face.token;
        let bearer = token.as_ref().map(|token| format!("Bearer {}", token.secret()));
        bearer.into_iter().map(|bearer| ("authorization", bearer)).collect()
    }

    fn is_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Variable or option that forbids requests to the hub.
    fn offline(&self) -> Option<&'static str> {
        let options = self.client.options();
        options.offline.or(options.hugging_face.offline)
    }
}

impl RemoteFolder for HuggingFaceFolder {
    fn display(&self, name: &str) -> String {
        format!("{}/{name}", self.handle)
    }

    fn fetch(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let check_place = |path: &Path| self.cache.check_place(path, name);
        fetch(&self.pins, name, &self.display(name), || self.locate(name), check_place)
    }

    fn cached_files(&self) -> Vec<PathBuf> {
        self.cache.files()
    }

    fn uses_cache_alone(&self) -> bool {
        self.offline().is_some() || self.is_unanswered()
    }
}

/// Whether the cache may be used after this error. As in Python's client, every failure of the hub
/// allows it except a missing revision.
fn may_use_last(error: &HubError) -> bool {
    let is_gone =
        matches!(error, HubError::Model { kind: ModelErrorKind::RevisionNotFound { .. }, .. });
    error.is_of_hub() && !is_gone
}

/// ETag without its quotes. None if it cannot be a file name.
fn plain(etag: &str) -> Option<String> {
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let valid =
        (1..=128).contains(&etag.len()) && !etag.starts_with('.') && etag.bytes().all(plain);
    (valid && check_file_name(etag).is_ok()).then(|| etag.to_owned())
}
