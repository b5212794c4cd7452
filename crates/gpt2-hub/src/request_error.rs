//! Failures of a request, and their remedies.

/// Failure of a request to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The hub requires a token, or does not accept the one that it got. Status 401.
    Unauthorized,
    /// The hub refuses access. Status 403.
    Forbidden,
    /// The hub does not have the file. Status 404.
    NotFound,
    /// The hub received too many requests. Status 429.
    RateLimited {
        /// Pause in seconds, if the hub names one.
        retry_after: Option<u64>,
    },
    /// The hub is out of order. Statuses 500 to 599.
    Unavailable {
        /// HTTP status.
        status: u16,
    },
    /// Any other status that is not success.
    Status {
        /// HTTP status.
        status: u16,
    },
    /// No connection could be made, or it broke or stalled.
    Connection {
        /// Description of the failure.
        cause: String,
        /// Whether a connection could be made at all: the name resolved, and the host accepted it.
        was_made: bool,
    },
    /// The redirect is not followed.
    Redirect {
        /// Reason why the address is refused.
        detail: &'static str,
    },
    /// The answer does not follow the hub's protocol.
    Unexpected {
        /// Answer.
        found: String,
    },
}

impl RequestErrorKind {
    /// Failure for an HTTP status.
    #[cfg(feature = "client")]
    pub(crate) fn of_status(status: u16, retry_after: Option<u64>) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            429 => Self::RateLimited { retry_after },
            500..=599 => Self::Unavailable { status },
            _ => Self::Status { status },
        }
    }

    /// Whether the hub gave no usable answer. The same request may succeed later.
    pub fn is_out_of_reach(&self) -> bool {
        use RequestErrorKind::{Connection, RateLimited, Unavailable};
        matches!(self, Connection { .. } | Unavailable { .. } | RateLimited { .. })
    }

    /// Whether another request may continue a download.
    ///
    /// An unexpected answer is included: another server of the hub may answer correctly.
    #[cfg(feature = "client")]
    pub(crate) fn is_transient(&self) -> bool {
        self.is_out_of_reach()
            || matches!(self, Self::Unexpected { .. } | Self::Status { status: 408 | 416 })
    }

    /// Whether a storage refuses a signed address, for example because it has expired.
    #[cfg(feature = "client")]
    pub(crate) fn is_refused_address(&self) -> bool {
        matches!(self, Self::Forbidden | Self::Unauthorized | Self::Status { status: 400 | 410 })
    }

    /// Message about a file on a host.
    pub(crate) fn message(&self, host: &str, file: &str) -> String {
        match self {
            Self::Unauthorized => format!(
                "`{host}` requires a valid token for `{file}` (status 401): pass one in \
                 `HubOptions` or in the environment, or correct the present one"
            ),
            Self::Forbidden => format!(
                "`{host}` refuses `{file}` (status 403): accept the terms on the model's page, if \
                 it has any, and check that the token gives access to the model"
            ),
            Self::NotFound => format!(
                "`{host}` does not have `{file}` (status 404): check its name and the endpoint"
            ),
            Self::RateLimited { retry_after } => {
                let time = retry_after.map(|seconds| format!("in {seconds} seconds"));
                let time = time.as_deref().unwrap_or("later");
                format!(
                    "`{host}` refuses `{file}` after too many requests (status 429); try again \
                     {time}"
                )
            }
            Self::Unavailable { status } => {
                format!("`{host}` is out of order for `{file}` (status {status}); try again later")
            }
            Self::Status { status } => format!(
                "`{host}` answers the request for `{file}` with status {status}; check the endpoint"
            ),
            Self::Connection { cause, .. } => format!(
                "cannot keep a connection to `{host}` for `{file}`: {cause}; check the network and \
                 try again: the bytes that have arrived are kept"
            ),
            Self::Redirect { detail } => {
                format!(
                    "cannot follow the redirect of `{host}` for `{file}`: {detail}; check the \
                     endpoint"
                )
            }
            Self::Unexpected { found } => format!(
                "`{host}` answers the request for `{file}` with {found}; check the endpoint, and \
                 try again later"
            ),
        }
    }
}
