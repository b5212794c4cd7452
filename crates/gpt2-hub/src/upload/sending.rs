//! Bytes of a file as the body of a request, and answers that refuse it.

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

/// No more of an answer that refuses is read, in bytes.
const MAX_REFUSAL: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(600);

/// A file and who is told how much of it has been sent.
pub(crate) struct Sending<'a> {
    pub(crate) file: &'a UploadFile,
    /// What messages call it.
    pub(crate) display: String,
    progress: Arc<Progress>,
}

/// Tells of the bytes that are read from it.
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

    /// Puts `length` bytes from `start` on there: with the client's retries, or once.
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

    /// Tells that all of it is there, if it is still the same.
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

/// A client for what makes a commit or a version, which a hub does while one waits. It cannot just be
/// asked for again, and to give up early would tell nothing.
pub(crate) fn patient(client: &Client) -> Client {
    let options = client.options().clone();
    let stall = options.stall_timeout.max(PATIENCE);
    Client::new(&options.with_stall_timeout(stall))
}

/// An answer that is success.
pub(crate) fn accepted(response: Response, display: &str) -> Result<Response, HubError> {
    if response.is_success() { Ok(response) } else { Err(refused(response, display)) }
}

/// What an answer that is no success means, with what the hub says about it.
pub(crate) fn refused(response: Response, display: &str) -> HubError {
    let status = response.status;
    if status == 429 || status >= 500 {
        return response.refusal(display);
    }
    let (place, host) = (display.to_owned(), response.url.host());
    let header = response.header("x-error-message").map(str::to_owned);
    let mut bytes = Vec::new();
    // What cannot be read is not told.
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

/// `{"error": "…"}`, `{"message": "…"}`, `{"errors": [{"message": "…"}]}`.
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
        403 => "upload to a name of your own, with a token that may write there",
        404 => "check owner, name and branch, and that the token may see them",
        409 => "something else is being changed there: upload again",
        _ => "correct what the hub says and upload again",
    }
}
