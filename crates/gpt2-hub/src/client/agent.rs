//! HTTP client for hubs.
//!
//! Redirects are followed here, not by the HTTP library. Secrets go only to the origin of the first
//! address. A redirect from https to http is refused.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use gpt2_files::read_error;
use ureq::http::{self, Method};
use ureq::{Agent, AsSendBody, SendBody};

use crate::client::failure::{connection_error, invalid_address};
use crate::client::request::{Body, Redirects, Request};
use crate::client::response::Response;
use crate::client::retry::Retries;
use crate::client::url::Url;
use crate::error::HubError;
use crate::options::HubOptions;
use crate::request_error::RequestErrorKind;

const MAX_REDIRECTS: usize = 10;
/// Headers that only the first origin receives.
const SECRET_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// HTTP client for hubs. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    options: HubOptions,
}

impl Client {
    pub(crate) fn new(options: &HubOptions) -> Self {
        let connect = Some(options.connect_timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("gpt2-presets/", env!("CARGO_PKG_VERSION")))
            // A partial compressed body cannot be continued, and its length is not that of the
            // file.
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

    /// Sends a request, with retries if there is no answer or the status is 408, 429 or 5xx.
    ///
    /// Returns the last answer, with any status; see [`Response::refusal`].
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Response, HubError> {
        let mut retries = Retries::new(&self.options);
        loop {
            let answer = self.send_once(request);
            let (pause, why) = match &answer {
                Ok(response) if response.is_temporary() => {
                    (response.retry_after(), format!("status {}", response.status))
                }
                Err(HubError::Request {
                    kind: RequestErrorKind::Connection { cause, was_made },
                    ..
                }) => {
                    if !was_made {
                        retries.allow_one();
                    }
                    (None, cause.clone())
                }
                _ => return answer,
            };
            let Some(pause) = retries.next_pause(pause) else { return answer };
            self.options.tell_wait(request.display, &why);
            thread::sleep(pause);
        }
    }

    /// Sends a request once, and follows redirects.
    pub(crate) fn send_once(&self, request: &Request<'_>) -> Result<Response, HubError> {
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
            // Browsers do the same; 307 and 308 keep the method.
            if matches!(response.status, 301..=303) && method != Method::HEAD {
                method = Method::GET;
            }
            visited.push(location.clone());
            url = location;
        }
    }

    /// Sends one request to one address.
    fn exchange(
        &self,
        request: &Request<'_>,
        method: &Method,
        first: &Url,
        url: &Url,
    ) -> Result<Response, HubError> {
        let display = request.display;
        let mut builder = http::Request::builder().method(method).uri(url.uri());
        for (name, value) in request.headers {
            if first.has_origin_of(url) || !SECRET_HEADERS.contains(name) {
                builder = builder.header(*name, value);
            }
        }
        let limit = request.time_limit;
        // A redirected POST becomes a GET without the body.
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

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
