//! Bytes of a file as the body of a request, and errors for refused uploads.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Method;

use crate::client::agent::Client;
use crate::client::request::{Body, Header, Redirects, Request};
use crate::client::response::Response;
use crate::error::HubError;
use crate::transfer::progress::Progress;
use crate::upload::upload_file::{Part, UploadFile};

/// Most bytes that are read of an error's body.
const MAX_REFUSAL: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(600);

/// File that is being sent, with its progress reports.
pub(crate) struct Sending<'a> {
    pub(crate) file: &'a UploadFile,
    /// Name in messages.
    pub(crate) display: String,
    progress: Arc<Progress>,
}

/// Reader that reports the bytes that are read from it.
struct Reported {
    part: Part,
    done: u64,
    total: Option<u64>,
    progress: Arc<Progress>,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(client: &Client, file: &'a UploadFile, place: &str) -> Self {
        let display = format!("{place}/{}", file.name);
        let progress = Arc::new(Progress::new(client.options(), &display));
        Self { file, display, progress }
    }

    /// Puts `length` bytes from `start` on to an address, once or with the client's retries.
    pub(crate) fn put(
        &self,
        client: &Client,
        url: &str,
        headers: &[Header],
        (start, length): (u64, u64),
        retry: bool,
    ) -> Result<Response, HubError> {
        let open = || -> io::Result<Box<dyn Read>> {
            let (part, progress) = (self.file.part(start, length)?, self.progress.clone());
            let total = Some(self.file.size);
            Ok(Box::new(Reported { part, done: start, total, progress }))
        };
        let mut request = Request::new(Method::PUT, url, &self.display);
        request.headers = headers;
        request.body = Body::Reader { length, open: &open };
        request.redirects = Redirects::Never;
        let answer = if retry { client.send(&request) } else { client.send_once(&request) };
        if answer.is_err() {
            self.file.check_unchanged()?;
        }
        answer
    }

    /// Reports the whole file as sent, if it has not changed.
    pub(crate) fn finish(&self) -> Result<(), HubError> {
        self.file.check_unchanged()?;
        self.progress.report(self.file.size, Some(self.file.size));
        Ok(())
    }
}

impl Read for Reported {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.part.read(buffer)?;
        self.done += count as u64;
        self.progress.tell(self.done, self.total);
        Ok(count)
    }
}

/// Client with longer time limits, for requests that make a commit or a version. Such a request
/// cannot be repeated, and giving up early would leave its result unknown.
pub(crate) fn patient(client: &Client) -> Client {
    let options = client.options().clone();
    let stall = options.stall_timeout.max(PATIENCE);
    Client::new(&options.with_stall_timeout(stall))
}

/// Returns an answer with success. Any other answer is an error.
pub(crate) fn accepted(response: Response, display: &str) -> Result<Response, HubError> {
    if response.is_success() { Ok(response) } else { Err(refused(response, display)) }
}

/// Error for an answer without success, with the hub's message.
pub(crate) fn refused(response: Response, display: &str) -> HubError {
    let status = response.status;
    if status == 429 || status >= 500 {
        return response.refusal(display);
    }
    let (place, host) = (display.to_owned(), response.url.host());
    let header = response.header("x-error-message").map(str::to_owned);
    let mut bytes = Vec::new();
    // A message that cannot be read is left out.
    let _ = response.into_reader().take(MAX_REFUSAL).read_to_end(&mut bytes);
    let detail = header.or_else(|| message(&serde_json::from_slice(&bytes).ok()?));
    HubError::UploadRefused {
        place,
        host,
        status,
        detail: detail.unwrap_or_else(|| "the hub does not say why".to_owned()),
        remedy: remedy(status),
    }
}

/// Message in `{"error": "…"}`, `{"message": "…"}` or `{"errors": [{"message": "…"}]}`.
fn message(json: &Value) -> Option<String> {
    let errors = json["errors"].as_array().into_iter().flatten();
    let errors: Vec<_> = errors.filter_map(|error| error["message"].as_str()).collect();
    let text = match (&json["error"], &json["message"]) {
        (Value::String(text), _) | (_, Value::String(text)) => text.clone(),
        _ => errors.join("; "),
    };
    (!text.is_empty()).then_some(text)
}

pub(crate) fn remedy(status: u16) -> &'static str {
    match status {
        401 => "make a new token and pass it in the options or the environment",
        403 => "upload under your own name, with a token that may write there",
        404 => "check owner, name and branch, and that the token has access to them",
        409 => "another change is in progress there: upload again",
        _ => "correct the reported fault and upload again",
    }
}
