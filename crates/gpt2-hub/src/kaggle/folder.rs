//! Folder of a model on Kaggle.
//!
//! Requests follow `kagglesdk`: a POST of JSON to `models.ModelApiService/<method>`. The answer for
//! a file is a redirect to a signed address, which receives no token. An error may have status 200
//! and a `code` of its own (`kagglesdk/kaggle_http_client.py`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Method};

use crate::client::agent::Client;
use crate::client::failure::{failure, unexpected};
use crate::client::request::{Body, Header, Redirects, Request};
use crate::client::response::Response;
use crate::client::url::Url;
use crate::error::{HubError, ModelErrorKind};
use crate::file_names::check_place;
use crate::handle::{HubHandle, KaggleHandle};
use crate::kaggle::cache::KaggleCache;
use crate::kaggle::framework::framework_name;
use crate::lookup::{Cached, fetch};
use crate::pins::Pins;
use crate::remote_folder::RemoteFolder;
use crate::request_error::RequestErrorKind;
use crate::transfer::digest::{Digest, hex};
use crate::transfer::download::{Download, download};

/// Largest number of signed addresses that are requested for one file: addresses expire.
const MAX_ADDRESSES: u32 = 5;

/// Variation of a model, in one version.
#[derive(Debug)]
pub(crate) struct KaggleFolder {
    client: Client,
    handle: KaggleHandle,
    cache: KaggleCache,
    pins: Pins,
    /// Version of the handle. Without one, the newest version at the first request.
    version: OnceLock<u64>,
    /// Whether Kaggle has given this user a file of the model.
    admitted: AtomicBool,
}

/// Answer of Kaggle.
enum Answer {
    /// Address of the file.
    Address(Url),
    Json {
        json: Value,
        url: Url,
    },
    /// Kaggle does not have the file, or hides it from this user.
    Absent {
        host: String,
    },
}

impl KaggleFolder {
    pub(crate) fn new(handle: &KaggleHandle, client: Client) -> Result<Self, HubError> {
        let cache = KaggleCache::of(client.options(), handle)?;
        let version = handle.version.map_or_else(OnceLock::new, OnceLock::from);
        let (pins, admitted) = (Pins::new(client.options()), AtomicBool::new(false));
        Ok(Self { client, handle: handle.clone(), cache, pins, version, admitted })
    }

    /// Handle as text.
    fn model(&self) -> String {
        HubHandle::Kaggle(self.handle.clone()).to_string()
    }

    fn version(&self) -> Result<u64, HubError> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let version = match self.newest_version() {
            Ok(version) => version,
            Err(error) => match self.cache.newest_version().filter(|_| error.is_out_of_reach()) {
                Some(version) => version,
                None => return Err(error),
            },
        };
        Ok(*self.version.get_or_init(|| version))
    }

    /// Requests the newest version.
    fn newest_version(&self) -> Result<u64, HubError> {
        let model = self.model();
        match self.ask("GetModelInstance", &self.question(), &model)? {
            Answer::Absent { host } => {
                let kind = ModelErrorKind::NotFound { host };
                Err(HubError::Model { model, kind })
            }
            Answer::Address(address) => {
                Err(unexpected(&model, &address, "a redirect in place of a version".to_owned()))
            }
            Answer::Json { json, url } => {
                let version = json.get("versionNumber").and_then(Value::as_u64);
                let version = version.filter(|version| *version > 0);
                self.admitted.store(version.is_some(), Ordering::Relaxed);
                version.ok_or_else(|| unexpected(&model, &url, "no version".to_owned()))
            }
        }
    }

    /// Requests the signed address of a file. None if the version does not have it.
    fn address(&self, version: u64, name: &str) -> Result<Option<String>, HubError> {
        let display = self.display(name);
        let mut question = self.question();
        question["versionNumber"] = version.into();
        question["path"] = name.into();
        match self.ask("DownloadModelInstanceVersion", &question, &display) {
            Ok(Answer::Absent { .. }) => Ok(None),
            Ok(Answer::Address(address)) => {
                self.admitted.store(true, Ordering::Relaxed);
                Ok(Some(address.uri().to_string()))
            }
            Ok(Answer::Json { url, .. }) => {
                Err(unexpected(&display, &url, "no redirect to the file".to_owned()))
            }
            Err(HubError::Request { kind: RequestErrorKind::Forbidden, .. }) => {
                let kind = ModelErrorKind::Inaccessible { file: name.to_owned() };
                Err(HubError::Model { model: self.model(), kind })
            }
            Err(error) => Err(error),
        }
    }

    fn question(&self) -> Value {
        let KaggleHandle { owner, model, framework, variation, .. } = &self.handle;
        json!({
            "ownerSlug": owner,
            "modelSlug": model,
            "framework": format!("MODEL_FRAMEWORK_{}", framework_name(framework)),
            "instanceSlug": variation,
        })
    }

    fn ask(&self, method: &str, question: &Value, display: &str) -> Result<Answer, HubError> {
        let options = self.client.options();
        if let Some(flag) = options.offline {
            return Err(HubError::Offline { file: display.to_owned(), flag });
        }
        let endpoint = options.kaggle.endpoint.clone()?;
        let address = format!("{}/models.ModelApiService/{method}", &*endpoint);
        let authorization = options.kaggle.authorization.clone()?;
        let authorization = authorization.map(|it| ("authorization", it.secret().to_owned()));
        let mut headers: Vec<Header> = vec![("content-type", "application/json".to_owned())];
        headers.extend(authorization);
        let response = self.client.send(&Request {
            headers: &headers,
            body: Body::Bytes(question.to_string().as_bytes()),
            redirects: Redirects::Never,
            time_limit: Some(options.metadata_timeout),
            ..Request::new(Method::POST, &address, display)
        })?;
        Answer::new(response, display)
    }

    /// Finds a file, and downloads it if the cache lacks it. None if the version does not have it.
    fn locate(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let version = self.version()?;
        match self.cache.find(version, name) {
            Cached::File(path) => Ok(Some(path)),
            Cached::Absent => Ok(None),
            Cached::Unknown => self.download(version, name),
        }
    }

    /// Downloads a file that the cache lacks. None if the version does not have it.
    fn download(&self, version: u64, name: &str) -> Result<Option<PathBuf>, HubError> {
        let target = self.cache.version_folder(version).join(name);
        let display = self.display(name);
        let digests: Vec<_> = self.pins.digest(name).into_iter().collect();
        let mut attempt = 1;
        loop {
            let Some(address) = self.address(version, name)? else {
                self.remember_absent(version, name);
                return Ok(None);
            };
            let result = download(
                &self.client,
                &Download {
                    url: &address,
                    headers: &[],
                    display: &display,
                    target: &target,
                    lock: &self.cache.lock(version, name),
                    size: None,
                    digests: &digests,
                    promised: hash_of_google,
                    is_done: &|| matches!(self.cache.find(version, name), Cached::File(_)),
                    finish: &|| self.cache.mark_complete(version, name),
                },
            );
            match result {
                Ok(()) => return Ok(Some(target)),
                // The address may have expired. The bytes that have arrived are kept.
                Err(error) if attempt < MAX_ADDRESSES && is_refused(&error) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Records that a file is absent, to save the next request. Only for a version that this user
    /// may read: Kaggle hides other versions, and another user may have filled the cache.
    fn remember_absent(&self, version: u64, name: &str) {
        let is_admitted = || self.admitted.load(Ordering::Relaxed) || self.newest_version().is_ok();
        if !self.cache.files(version).is_empty() && is_admitted() {
            // If this fails, the request is made again.
            let _ = self.cache.mark_absent(version, name);
        }
    }
}

impl RemoteFolder for KaggleFolder {
    fn display(&self, name: &str) -> String {
        format!("{}/{name}", self.model())
    }

    fn fetch(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let check_place = |path: &Path| {
            let folder = self.cache.version_folder(self.version()?);
            check_place(path, name, &[&self.cache.root, &folder])
        };
        fetch(&self.pins, name, &self.display(name), || self.locate(name), check_place)
    }

    fn cached_files(&self) -> Vec<PathBuf> {
        let version = self.handle.version.or_else(|| self.cache.newest_version());
        version.map_or(Vec::new(), |version| self.cache.files(version))
    }

    fn uses_cache_alone(&self) -> bool {
        self.client.options().offline.is_some()
    }
}

impl Answer {
    fn new(response: Response, display: &str) -> Result<Self, HubError> {
        let url = response.url.clone();
        let host = url.host();
        match response.status {
            300..=399 => Self::address(&response, display).map(Self::Address),
            404 => Ok(Self::Absent { host }),
            200..=299 | 400 => {
                let status = u64::from(response.status);
                let json: Value = response.json(display)?;
                let code = json.get("code").and_then(Value::as_u64).unwrap_or(status);
                match code {
                    404 => Ok(Self::Absent { host }),
                    400.. => {
                        let status = u16::try_from(code).unwrap_or(u16::MAX);
                        Err(failure(status, display, host, None))
                    }
                    _ => Ok(Self::Json { json, url }),
                }
            }
            _ => Err(response.refusal(display)),
        }
    }

    fn address(response: &Response, display: &str) -> Result<Url, HubError> {
        let refuse = |detail| response.bad_redirect(display, detail);
        let location = response.header("location");
        let address = location.and_then(|location| response.url.join(location));
        let address = address.ok_or_else(|| refuse("it leads to no HTTP address"))?;
        match response.url.is_downgraded_by(&address) {
            true => Err(refuse("it leads from https to http")),
            false => Ok(address),
        }
    }
}

/// Whether the storage refuses an address, for example because it has expired.
fn is_refused(error: &HubError) -> bool {
    error.request_kind().is_some_and(RequestErrorKind::is_refused_address)
}

/// MD5 in headers like `x-goog-hash: crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==`, or the CRC if
/// there is no MD5.
fn hash_of_google(headers: &HeaderMap) -> Option<Digest> {
    let values = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let hashes: Vec<_> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let find = |name: &str, size| {
        let mut values = hashes.iter().filter_map(|hash| hash.strip_prefix(name));
        let bytes = values.find_map(|text| BASE64_STANDARD.decode(text).ok());
        bytes.filter(|bytes| bytes.len() == size).map(|bytes| hex(&bytes))
    };
    find("md5=", 16).map(Digest::Md5).or_else(|| find("crc32c=", 4).map(Digest::Crc32c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_google_are_read() {
        let hash = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-hash", value.parse().unwrap());
            hash_of_google(&headers)
        };
        // Values of Google's documentation, decoded by Python.
        let md5 = Digest::Md5("3a393d7377617f182829554763015b1d".to_owned());
        assert_eq!(hash("crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ=="), Some(md5));
        assert_eq!(hash("crc32c=n03x6A=="), Some(Digest::Crc32c("9f4df1e8".to_owned())));
        // Truncated; bits after the last byte; no padding; wrong lengths.
        for text in ["n03x6", "n03x6B==", "n03x6A", "n03x6A=", "n03x6AA=", "n03 x6A=="] {
            assert_eq!(hash(&format!("crc32c={text}")), None, "{text}");
        }
    }
}
