//! Answer of a hub.

use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::BodyReader;
use ureq::http::HeaderMap;

use crate::client::failure::{connection_error, failure, request_error, unexpected};
use crate::client::retry::{rate_limit, retry_after};
use crate::client::url::Url;
use crate::error::HubError;
use crate::request_error::RequestErrorKind;

/// Largest accepted JSON answer in bytes.
const MAX_JSON_SIZE: u64 = 8 * 1024 * 1024;

/// Answer with any status. Its body has not been read.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Address that answered.
    pub(crate) url: Url,
    pub(super) body: ureq::Body,
}

impl Response {
    /// Value of a header. None if it is missing or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the status means success.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether a retry may help.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// Pause that the hub asks for. Hugging Face uses a header of its own.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let limit = self.header("ratelimit").filter(|_| self.status == 429).and_then(rate_limit);
        limit.or_else(|| self.header("retry-after").and_then(retry_after))
    }

    /// Reads a JSON body of at most 8 MiB.
    pub(crate) fn json<T: DeserializeOwned>(self, display: &str) -> Result<T, HubError> {
        let url = self.url.clone();
        let mut bytes = Vec::new();
        let read = self.into_reader().take(MAX_JSON_SIZE + 1).read_to_end(&mut bytes);
        read.map_err(|error| connection_error(display, &url, &error.into()))?;
        if bytes.len() as u64 > MAX_JSON_SIZE {
            return Err(unexpected(display, &url, "more than 8 MiB".to_owned()));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            unexpected(display, &url, format!("something other than the expected JSON ({error})"))
        })
    }

    /// Body without a size limit: the caller has one.
    pub(crate) fn into_reader(self) -> BodyReader<'static> {
        self.body.into_with_config().limit(u64::MAX).reader()
    }

    /// Address that a redirect leads to. None if the answer is not a redirect: a resumable upload,
    /// for example, uses 308 without an address to ask for more.
    pub(super) fn location(&self, display: &str) -> Result<Option<Url>, HubError> {
        let location = self.headers.get("location");
        let Some(location) =
            location.filter(|_| matches!(self.status, 301 | 302 | 303 | 307 | 308))
        else {
            return Ok(None);
        };
        let target = location.to_str().ok().and_then(|location| self.url.join(location));
        target.map(Some).ok_or_else(|| self.bad_redirect(display, "it leads to no HTTP address"))
    }

    /// Failure for a status other than success. `display` names the requested file or model.
    pub(crate) fn refusal(&self, display: &str) -> HubError {
        failure(self.status, display, self.url.host(), self.retry_after())
    }

    /// Failure for a refused redirect.
    pub(crate) fn bad_redirect(&self, display: &str, detail: &'static str) -> HubError {
        request_error(display, self.url.host(), RequestErrorKind::Redirect { detail })
    }
}
