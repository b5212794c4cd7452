//! Errors for failed requests, with an answer or without one.

use std::io;
use std::time::Duration;

use crate::client::url::Url;
use crate::error::HubError;
use crate::request_error::RequestErrorKind;

/// Failure of the request for `display`.
pub(crate) fn request_error(display: &str, host: String, kind: RequestErrorKind) -> HubError {
    HubError::Request { host, file: display.to_owned(), kind }
}

/// Failure for a status other than success.
pub(crate) fn failure(
    status: u16,
    display: &str,
    host: String,
    retry_after: Option<Duration>,
) -> HubError {
    let retry_after = retry_after.map(|pause| pause.as_secs());
    request_error(display, host, RequestErrorKind::of_status(status, retry_after))
}

/// Failure for an answer that does not follow the hub's protocol.
pub(crate) fn unexpected(display: &str, url: &Url, found: String) -> HubError {
    request_error(display, url.host(), RequestErrorKind::Unexpected { found })
}

/// Failure for a missing or incomplete answer.
pub(crate) fn connection_error(display: &str, url: &Url, error: &ureq::Error) -> HubError {
    let cause = match error {
        // The error's text holds the address.
        ureq::Error::BadUri(_) => return invalid_address(display),
        // For example a token with characters that no header may have.
        ureq::Error::Http(_) => {
            return HubError::InvalidOption {
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
    let was_made = !matches!(error, ureq::Error::HostNotFound | ureq::Error::ConnectionFailed)
        && !matches!(error, ureq::Error::Io(error) if is_unreachable(error));
    request_error(display, url.host(), RequestErrorKind::Connection { cause, was_made })
}

/// Whether no host accepted the connection: its name does not resolve, or nothing listens there.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    // The standard library has no kind for names that do not resolve.
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
        || error.to_string().contains("failed to lookup address")
}

/// Error for an endpoint that is not a valid address.
pub(crate) fn invalid_address(display: &str) -> HubError {
    HubError::InvalidOption {
        option: "the endpoint",
        expected: "an address that begins with http:// or https://",
        found: format!("none, for `{display}`"),
    }
}
