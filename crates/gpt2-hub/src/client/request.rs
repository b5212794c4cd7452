//! Request to a hub.

use std::io::{self, Read};
use std::time::Duration;

use ureq::http::Method;

/// Name and value of a header.
pub(crate) type Header = (&'static str, String);

/// Request to a hub.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// `authorization` and `cookie` go to the origin of `url` only.
    pub(crate) headers: &'a [Header],
    pub(crate) body: Body<'a>,
    /// Name of the requested file or model in messages.
    pub(crate) display: &'a str,
    pub(crate) redirects: Redirects,
    /// Time limit from the call to the end of the body. None for bodies that may take any time.
    pub(crate) time_limit: Option<Duration>,
}

/// Body of a request.
pub(crate) enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// `length` bytes of a reader, which is opened again for each attempt.
    Reader {
        length: u64,
        open: &'a dyn Fn() -> io::Result<Box<dyn Read>>,
    },
}

/// Redirects that are followed. Any other redirect is returned as the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Always,
    /// Redirects to the origin of the first address.
    SameOrigin,
    Never,
}

impl<'a> Request<'a> {
    /// Request without headers and body that follows redirects.
    pub(crate) fn new(method: Method, url: &'a str, display: &'a str) -> Self {
        let (headers, body, redirects) = (&[][..], Body::Empty, Redirects::Always);
        Self { method, url, headers, body, display, redirects, time_limit: None }
    }
}
