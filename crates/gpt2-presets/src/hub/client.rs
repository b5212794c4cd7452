//! Stage 2b: one question to a hub, and its answer: time limits, retries, redirects.
//!
//! Redirects are followed here and not by the HTTP library, so that it is plain to see that what
//! is secret goes to the origin of the first address only, and never over a worse connection.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{self, HeaderMap, Method};
use ureq::{Agent, AsSendBody, BodyReader, SendBody};

use super::options::HubOptions;
use super::retry::{Retries, rate_limit, retry_after};
use super::url::Url;
use crate::PresetError;
use gpt2_files::read_error;

/// Size in bytes above which an answer in JSON is refused.
const MAX_JSON_SIZE: u64 = 8 * 1024 * 1024;
const MAX_REDIRECTS: usize = 10;
/// What is for the first origin only.
const SECRET_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// Name and value.
pub(crate) type Header = (&'static str, String);

/// What asks hubs. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    options: HubOptions,
}

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// `authorization` and `cookie` go to the origin of `url` only.
    pub(crate) headers: &'a [Header],
    pub(crate) body: Body<'a>,
    /// What messages call the thing asked for.
    pub(crate) display: &'a str,
    pub(crate) redirects: Redirects,
    /// From the call to the end of the body; none for bodies that may take any time.
    pub(crate) time_limit: Option<Duration>,
}

/// What is sent along.
pub(crate) enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// As many bytes as said of what is opened, for each attempt anew.
    Reader {
        length: u64,
        open: &'a dyn Fn() -> io::Result<Box<dyn Read>>,
    },
}

/// Which redirects are followed; the others are the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Always,
    /// Those that stay with the origin of the first address.
    SameOrigin,
    Never,
}

/// The answer, of whichever status. Its body has not been read yet.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Where it came from.
    pub(crate) url: Url,
    body: ureq::Body,
}

impl<'a> Request<'a> {
    /// A question, which follows redirects.
    pub(crate) fn new(method: Method, url: &'a str, display: &'a str) -> Self {
        let (headers, body, redirects) = (&[][..], Body::Empty, Redirects::Always);
        Self { method, url, headers, body, display, redirects, time_limit: None }
    }
}

impl Client {
    pub(crate) fn new(options: &HubOptions) -> Self {
        let connect = Some(options.connect_timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("gpt2-presets/", env!("CARGO_PKG_VERSION")))
            // A part of a compressed file is of no use, and its size says nothing.
            .accept_encoding("identity")
            .timeout_resolve(connect)
            .timeout_connect(connect)
            .timeout_recv_response(Some(options.stall_timeout.max(options.metadata_timeout)))
            .timeout_per_read(Some(options.stall_timeout))
            .timeout_per_write(Some(options.stall_timeout))
            .build();
        Self { agent: config.new_agent(), options: options.clone() }
    }

    pub(crate) fn options(&self) -> &HubOptions {
        &self.options
    }

    /// Asks, and again where that may help: where no answer came, and for the statuses 408, 429
    /// and 5xx. The last answer is returned, whatever it says; see [`refusal`].
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Response, PresetError> {
        let mut retries = Retries::new(&self.options);
        loop {
            let answer = self.send_once(request);
            let pause = match &answer {
                Ok(response) if response.is_temporary() => response.retry_after(),
                Err(PresetError::HubConnection { .. }) => None,
                _ => return answer,
            };
            if !retries.wait(pause) {
                return answer;
            }
        }
    }

    /// Asks once, and follows redirects.
    pub(crate) fn send_once(&self, request: &Request<'_>) -> Result<Response, PresetError> {
        let display = request.display;
        let mut url = Url::parse(request.url).ok_or_else(|| invalid_address(display))?;
        let first = url.clone();
        let mut visited = vec![url.clone()];
        let mut method = request.method.clone();
        loop {
            let response = self.exchange(request, &method, &first, &url)?;
            let Some(location) = response.location(display)? else { return Ok(response) };
            let follow = match request.redirects {
                Redirects::Always => true,
                Redirects::SameOrigin => first.has_origin_of(&location),
                Redirects::Never => false,
            };
            if !follow {
                return Ok(response);
            }
            let refuse = |detail| Err(response.bad_redirect(display, detail));
            if url.is_downgraded_by(&location) {
                return refuse("it leads from https to http");
            }
            if visited.contains(&location) {
                return refuse("it leads in a circle");
            }
            if visited.len() > MAX_REDIRECTS {
                return refuse("it is the eleventh in a row");
            }
            // As browsers do; 307 and 308 keep the method.
            if matches!(response.status, 301..=303) && method != Method::HEAD {
                method = Method::GET;
            }
            visited.push(location.clone());
            url = location;
        }
    }

    /// One request to one address.
    fn exchange(
        &self,
        request: &Request<'_>,
        method: &Method,
        first: &Url,
        url: &Url,
    ) -> Result<Response, PresetError> {
        let display = request.display;
        let mut builder = http::Request::builder().method(method).uri(url.uri());
        for (name, value) in request.headers {
            if first.has_origin_of(url) || !SECRET_HEADERS.contains(name) {
                builder = builder.header(*name, value);
            }
        }
        let limit = request.time_limit;
        // What was sent with a POST is not sent again with the GET that its redirect became.
        let answer = match &request.body {
            Body::Bytes(bytes) if *method == request.method => self.run(builder, *bytes, limit),
            Body::Reader { length, open } if *method == request.method => {
                let reader = open().map_err(read_error(Path::new(display)))?;
                let builder = builder.header("content-length", *length);
                self.run(builder, SendBody::from_owned_reader(reader), limit)
            }
            _ => self.run(builder, (), limit),
        };
        let (parts, body) =
            answer.map_err(|error| connection_error(display, url, &error))?.into_parts();
        Ok(Response {
            status: parts.status.as_u16(),
            headers: parts.headers,
            url: url.clone(),
            body,
        })
    }

    fn run(
        &self,
        builder: http::request::Builder,
        body: impl AsSendBody,
        limit: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let message = self.agent.configure_request(builder.body(body)?);
        self.agent.run(message.timeout_global(limit).build())
    }
}

impl Response {
    /// The text of a header; none if there is no such text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is what was asked for.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether to ask again may help.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// How long the hub wants a pause to be. Hugging Face says it in a header of its own.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let limit = self.header("ratelimit").filter(|_| self.status == 429).and_then(rate_limit);
        limit.or_else(|| self.header("retry-after").and_then(retry_after))
    }

    /// Reads the body as JSON, of at most 8 MiB.
    pub(crate) fn json<T: DeserializeOwned>(self, display: &str) -> Result<T, PresetError> {
        let url = self.url.clone();
        let mut bytes = Vec::new();
        let read = self.into_reader().take(MAX_JSON_SIZE + 1).read_to_end(&mut bytes);
        read.map_err(|error| connection_error(display, &url, &error.into()))?;
        if bytes.len() as u64 > MAX_JSON_SIZE {
            return Err(unexpected(display, &url, "an answer of more than 8 MiB".to_owned()));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            unexpected(display, &url, format!("an answer that is not the JSON expected ({error})"))
        })
    }

    /// The body, without limit: the caller has one.
    pub(crate) fn into_reader(self) -> BodyReader<'static> {
        self.body.into_with_config().limit(u64::MAX).reader()
    }

    /// Where a redirect leads; none if this is not one. (308 without an address is how a resumable
    /// upload says that it expects more.)
    fn location(&self, display: &str) -> Result<Option<Url>, PresetError> {
        let location = self.headers.get("location");
        let Some(location) =
            location.filter(|_| matches!(self.status, 301 | 302 | 303 | 307 | 308))
        else {
            return Ok(None);
        };
        let target = location.to_str().ok().and_then(|location| self.url.join(location));
        target.map(Some).ok_or_else(|| self.bad_redirect(display, "it leads to no address of HTTP"))
    }

    /// A redirect that is not followed.
    pub(crate) fn bad_redirect(&self, display: &str, detail: &'static str) -> PresetError {
        PresetError::HubRedirect { file: display.to_owned(), host: self.url.host(), detail }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What an answer with a status that means failure means. `display` is what was asked for.
pub(crate) fn refusal(response: &Response, display: &str) -> PresetError {
    failure(response.status, display, response.url.host(), response.retry_after())
}

/// What a status that means failure means.
pub(crate) fn failure(
    status: u16,
    display: &str,
    host: String,
    retry_after: Option<Duration>,
) -> PresetError {
    let file = display.to_owned();
    match status {
        401 => PresetError::HubUnauthorized { file, host },
        403 => PresetError::HubForbidden { file, host },
        404 => PresetError::HubNotFound { file, host },
        429 => {
            let retry_after = retry_after.map(|pause| pause.as_secs());
            PresetError::HubRateLimited { file, host, retry_after }
        }
        500..=599 => PresetError::HubUnavailable { file, host, status },
        _ => PresetError::HubStatus { file, host, status },
    }
}

/// The hub has answered something that its protocol does not know.
pub(crate) fn unexpected(display: &str, url: &Url, found: String) -> PresetError {
    PresetError::UnexpectedHubAnswer { file: display.to_owned(), host: url.host(), found }
}

/// No answer, or not the whole of it.
pub(crate) fn connection_error(display: &str, url: &Url, error: &ureq::Error) -> PresetError {
    let cause = match error {
        // Some of the other texts hold the address.
        ureq::Error::BadUri(_) => return invalid_address(display),
        // A token with characters that no header may have, say.
        ureq::Error::Http(_) => {
            return PresetError::InvalidHubOption {
                option: "a token",
                expected: "one line of ASCII",
                found: format!("other characters, for `{display}`"),
            };
        }
        ureq::Error::Timeout(timeout) => format!("no answer within the time limit ({timeout})"),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    PresetError::HubConnection { file: display.to_owned(), host: url.host(), cause }
}

fn invalid_address(display: &str) -> PresetError {
    PresetError::InvalidHubOption {
        option: "the endpoint",
        expected: "an address that begins with http:// or https://",
        found: format!("none, for `{display}`"),
    }
}
