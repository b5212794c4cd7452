//! Folder of a model on ModelScope.
//!
//! As in ModelScope's client, one request lists the files with sizes and digests, and cached files
//! are compared with that list (`modelscope_hub/_download.py`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use ureq::http::{HeaderMap, Method};

use crate::client::agent::Client;
use crate::client::failure::unexpected;
use crate::client::request::{Header, Request};
use crate::client::url::encode_path;
use crate::environment::endpoint::Endpoint;
use crate::error::{HubError, ModelErrorKind};
use crate::file_names::check_place;
use crate::handle::{HubHandle, ModelHandle};
use crate::lookup::fetch;
use crate::model_scope::cache::ModelScopeCache;
use crate::model_scope::listing::{ListedFile, Listing};
use crate::pins::Pins;
use crate::remote_folder::RemoteFolder;
use crate::request_error::RequestErrorKind;
use crate::transfer::digest::{Digest, is_hex};
use crate::transfer::download::{Download, download};

/// Revision of a model.
#[derive(Debug)]
pub(crate) struct ModelScopeFolder {
    client: Client,
    handle: HubHandle,
    id: String,
    revision: String,
    cache: ModelScopeCache,
    pins: Pins,
    /// Source of the files, known after the first request.
    source: Mutex<Option<Arc<Source>>>,
    /// Cached files that equal those of the hub.
    checked: Mutex<BTreeSet<String>>,
}

/// Source of files.
#[derive(Debug)]
enum Source {
    /// The hub at this address, with its list of files.
    Hub { endpoint: Endpoint, listing: Listing },
    /// Only the cache, with the hub's last list of files.
    Cache { listing: Option<Listing>, reason: Reason },
}

/// Reason why the hub is not used.
#[derive(Debug, Clone)]
enum Reason {
    /// A variable or option forbids it.
    Offline { flag: &'static str },
    /// The hub has not answered.
    Unanswered { host: String, kind: RequestErrorKind },
}

impl ModelScopeFolder {
    pub(crate) fn new(handle: &ModelHandle, client: Client) -> Result<Self, HubError> {
        let cache = ModelScopeCache::of(client.options(), handle)?;
        let revision = cache.revision.clone();
        let (id, handle) = (handle.id.clone(), HubHandle::ModelScope(handle.clone()));
        let pins = Pins::new(client.options());
        let (source, checked) = (Mutex::default(), Mutex::default());
        Ok(Self { client, handle, id, revision, cache, pins, source, checked })
    }

    /// Finds a file, and downloads it if the cache lacks it. None if the hub does not have it.
    fn locate(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let cached = self.cache.find(name);
        // A commit never changes.
        if cached.is_some() && is_hex(&self.revision, 40) {
            return Ok(cached);
        }
        match &*self.source()? {
            Source::Hub { endpoint, listing } => match (listing.find(name), cached) {
                (Some(listed), cached) => self.bring(endpoint, name, listed, cached).map(Some),
                (None, _) if listing.is_whole => Ok(None),
                (None, Some(cached)) => Ok(Some(cached)),
                (None, None) => self.bring_unlisted(endpoint, name),
            },
            Source::Cache { listing, reason } => {
                // ModelScope's own client saves no list: the model's files are then unknown.
                let may_exist = listing
                    .as_ref()
                    .is_none_or(|listing| !listing.is_whole || listing.find(name).is_some());
                match cached {
                    None if may_exist => Err(reason.error(self.display(name))),
                    cached => Ok(cached),
                }
            }
        }
    }

    /// Returns a listed file from the cache, or downloads it.
    fn bring(
        &self,
        endpoint: &str,
        name: &str,
        listed: &ListedFile,
        cached: Option<PathBuf>,
    ) -> Result<PathBuf, HubError> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = cached.filter(|path| checked.contains(name) || is_same(path, listed)) {
            checked.insert(name.to_owned());
            return Ok(path);
        }
        let path = self.download(endpoint, name, listed)?;
        checked.insert(name.to_owned());
        Ok(path)
    }

    /// Downloads a file that may be missing from a truncated list.
    fn bring_unlisted(&self, endpoint: &str, name: &str) -> Result<Option<PathBuf>, HubError> {
        match self.download(endpoint, name, &ListedFile::default()) {
            Err(HubError::Request { kind: RequestErrorKind::NotFound, .. }) => Ok(None),
            result => result.map(Some),
        }
    }

    fn download(
        &self,
        endpoint: &str,
        name: &str,
        listed: &ListedFile,
    ) -> Result<PathBuf, HubError> {
        let target = self.cache.folder.join(name);
        let (id, revision) = (&self.id, encode_path(&self.revision));
        let path = encode_path(name);
        let url = format!("{endpoint}/api/v1/models/{id}/repo?Revision={revision}&FilePath={path}");
        let digests = listed.sha256.iter().cloned().chain(self.pins.digest(name));
        download(
            &self.client,
            &Download {
                url: &url,
                headers: &self.headers(endpoint),
                display: &self.display(name),
                target: &target,
                lock: &self.cache.lock(&self.id, name),
                size: listed.size,
                digests: &digests.collect::<Vec<_>>(),
                promised: sha256_of_storage,
                is_done: &|| is_same(&target, listed),
                finish: &|| Ok(()),
            },
        )?;
        Ok(target)
    }

    /// Source of the files. Only the first call makes a request.
    fn source(&self) -> Result<Arc<Source>, HubError> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &*source {
            return Ok(source.clone());
        }
        let from_cache = |reason| Source::Cache { listing: self.cache.listing(), reason };
        let found = match self.client.options().offline {
            Some(flag) => from_cache(Reason::Offline { flag }),
            None => match self.ask() {
                Ok((endpoint, listing)) => Source::Hub { endpoint, listing },
                Err(HubError::Request { host, kind, .. })
                    if kind.is_out_of_reach() && !self.cache.files().is_empty() =>
                {
                    from_cache(Reason::Unanswered { host, kind })
                }
                Err(error) => return Err(error),
            },
        };
        Ok(source.insert(Arc::new(found)).clone())
    }

    /// Requests the list of files, and returns the address that has the model, too.
    fn ask(&self) -> Result<(Endpoint, Listing), HubError> {
        let display = self.handle.to_string();
        let mut hosts = Vec::new();
        for endpoint in &self.client.options().model_scope.endpoints {
            let (id, revision) = (&self.id, encode_path(&self.revision));
            let query = format!("Revision={revision}&Recursive=True");
            let url = format!("{}/api/v1/models/{id}/repo/files?{query}", &**endpoint);
            let response = self.client.send(&Request {
                headers: &self.headers(endpoint),
                time_limit: Some(self.client.options().metadata_timeout),
                ..Request::new(Method::GET, &url, &display)
            })?;
            let from = response.url.clone();
            match response.status {
                404 => hosts.push(from.host()),
                200..=299 => {
                    let answer: Value = response.json(&display)?;
                    let listing = Listing::parse(&answer);
                    let listing = listing.ok_or_else(|| {
                        unexpected(&display, &from, "no list of files".to_owned())
                    })?;
                    self.cache.remember(&answer);
                    return Ok((endpoint.clone(), listing));
                }
                _ => return Err(response.refusal(&display)),
            }
        }
        let kind = ModelErrorKind::NotFound { host: hosts.join(", ") };
        Err(HubError::Model { model: display, kind })
    }

    /// Headers with the token in both forms: each of the hub's addresses accepts one of them.
    ///
    /// Only the first site receives the token: the other site has users of its own.
    fn headers(&self, endpoint: &str) -> Vec<Header> {
        let options = &self.client.options().model_scope;
        let is_first = options.endpoints.first().is_some_and(|first| **first == *endpoint);
        let token = options.token.as_ref().filter(|_| is_first);
        token.map_or(Vec::new(), |token| {
            vec![
                ("authorization", format!("Bearer {}", token.secret())),
                ("cookie", format!("m_session_id={}", token.secret())),
            ]
        })
    }
}

impl RemoteFolder for ModelScopeFolder {
    fn display(&self, name: &str) -> String {
        format!("{}/{name}", self.handle)
    }

    fn fetch(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let folders = [&self.cache.root, &self.cache.folder].map(PathBuf::as_path);
        let check_place = |path: &Path| check_place(path, name, &folders);
        fetch(&self.pins, name, &self.display(name), || self.locate(name), check_place)
    }

    fn cached_files(&self) -> Vec<PathBuf> {
        self.cache.files()
    }

    fn uses_cache_alone(&self) -> bool {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(source.as_deref(), Some(Source::Cache { .. }))
    }
}

impl Reason {
    /// Error for a file that the cache lacks.
    fn error(&self, file: String) -> HubError {
        match self.clone() {
            Self::Offline { flag } => HubError::Offline { file, flag },
            Self::Unanswered { host, kind } => HubError::Request { host, file, kind },
        }
    }
}

/// Whether a file equals the one that the hub has listed.
fn is_same(path: &Path, listed: &ListedFile) -> bool {
    let has_size = path
        .metadata()
        .is_ok_and(|found| found.is_file() && listed.size.is_none_or(|size| size == found.len()));
    has_size && listed.sha256.as_ref().is_none_or(|sha256| sha256.check(path, "").is_ok())
}

/// SHA-256 in a header of the storage.
fn sha256_of_storage(headers: &HeaderMap) -> Option<Digest> {
    let sha256 =
        headers.get("x-linked-etag")?.to_str().ok()?.trim_matches('"').to_ascii_lowercase();
    is_hex(&sha256, 64).then_some(Digest::Sha256(sha256))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::options::HubOptions;

    /// Address of a server that gives one answer to all requests.
    fn site(status: u16, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = BufReader::new(&stream).lines();
                head.map_while(Result::ok).find(String::is_empty);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\n");
                write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
            }
        });
        format!("http://{address}")
    }

    #[test]
    fn the_token_goes_to_the_first_site_only() {
        let cache = tempfile::tempdir().unwrap();
        let options = HubOptions::from_variables(&|_| None).with_model_scope_token(Some("secret"));
        let client = Client::new(&options.with_model_scope_cache(cache.path()));
        let handle = ModelHandle { id: "ann/gpt2".to_owned(), revision: None };
        let folder = ModelScopeFolder::new(&handle, client).unwrap();
        let [first, second] = &folder.client.options().model_scope.endpoints[..] else {
            panic!("another number of sites")
        };
        assert_eq!(folder.headers(first).len(), 2);
        assert_eq!(folder.headers(second), []);
    }

    #[test]
    fn a_model_that_is_not_on_the_first_site_is_looked_for_on_the_second() {
        let cache = tempfile::tempdir().unwrap();
        let ask = |endpoints: [&str; 2]| {
            let options = HubOptions::from_variables(&|_| None);
            let mut options = options.with_model_scope_cache(cache.path());
            options.model_scope.endpoints = endpoints.map(Endpoint::new).to_vec();
            let handle = ModelHandle { id: "ann/gpt2".to_owned(), revision: None };
            ModelScopeFolder::new(&handle, Client::new(&options)).unwrap().ask()
        };
        let empty = site(404, "{}");
        let full = site(200, r#"{"Data": {"Files": [{"Path": "config.json", "Size": 2}]}}"#);
        for endpoints in [[&empty[..], &full], [&full, &empty]] {
            let (endpoint, listing) = ask(endpoints).unwrap();
            assert_eq!((&*endpoint, listing.find("config.json").unwrap().size), (&*full, Some(2)));
        }
        let HubError::Model { model, kind: ModelErrorKind::NotFound { host } } =
            ask([&empty, &empty]).unwrap_err()
        else {
            panic!("another error")
        };
        let name = empty.strip_prefix("http://").unwrap();
        assert_eq!((&model[..], host), ("modelscope://ann/gpt2", format!("{name}, {name}")));
    }
}
