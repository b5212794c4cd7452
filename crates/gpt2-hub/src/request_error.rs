//! Failures of a request, and what each one leaves to do.

/// Failure of a request to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The hub wants a token, or does not know the one that it got. Status 401.
    Unauthorized,
    /// The hub refuses. Status 403.
    Forbidden,
    /// The hub does not have the file. Status 404.
    NotFound,
    /// The hub was asked too often. Status 429.
    RateLimited {
        /// Pause in seconds, if the hub names one.
        retry_after: Option<u64>,
    },
    /// The hub is out of order. Statuses from 500 on.
    Unavailable {
        /// HTTP status.
        status: u16,
    },
    /// The status has no meaning here.
    Status {
        /// HTTP status.
        status: u16,
    },
    /// There is no connection, or it broke or stood still.
    Connection {
        /// Last thing that happened.
        cause: String,
        /// Whether there was a connection at all: the name resolved, and the host took the call.
        was_made: bool,
    },
    /// The redirect is not followed.
    Redirect {
        /// Fault of the address that it leads to.
        detail: &'static str,
    },
    /// The answer does not keep to the hub's protocol.
    Unexpected {
        /// Answer.
        found: String,
    },
}

impl RequestErrorKind {
    /// Failure that an HTTP status stands for.
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

    /// Whether no answer came from the hub. The same request may succeed later.
    pub fn is_out_of_reach(&self) -> bool {
        use RequestErrorKind::{Connection, RateLimited, Unavailable};
        matches!(self, Connection { .. } | Unavailable { .. } | RateLimited { .. })
    }

    /// Whether a download may go on after another request.
    ///
    /// An unexpected answer is included: another server of the hub may do better.
    #[cfg(feature = "client")]
    pub(crate) fn is_transient(&self) -> bool {
        self.is_out_of_reach()
            || matches!(self, Self::Unexpected { .. } | Self::Status { status: 408 | 416 })
    }

    /// Whether a storage does not accept a signed address, or no longer accepts it.
    #[cfg(feature = "client")]
    pub(crate) fn is_refused_address(&self) -> bool {
        matches!(self, Self::Forbidden | Self::Unauthorized | Self::Status { status: 400 | 410 })
    }

    /// Message about a file of a host.
    pub(crate) fn message(&self, host: &str, file: &str) -> String {
        match self {
            Self::Unauthorized => format!(
                "`{host}` wants a valid token for `{file}` (status 401): pass one in `HubOptions` \
                 or in the environment, or correct the one that is there"
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
                    "`{host}` was asked too often and refuses `{file}` for now (status 429); try \
                     again {time}"
                )
            }
            Self::Unavailable { status } => {
                format!("`{host}` fails to answer for `{file}` (status {status}); try again later")
            }
            Self::Status { status } => format!(
                "`{host}` answers for `{file}` with the status {status}; check the endpoint"
            ),
            Self::Connection { cause, .. } => format!(
                "no connection to `{host}` that lasts, for `{file}`: {cause}; check the network \
                 and try again. What has arrived is kept"
            ),
            Self::Redirect { detail } => {
                format!("`{host}` redirects `{file}`, and {detail}; check the endpoint")
            }
            Self::Unexpected { found } => format!(
                "`{host}` gives for `{file}` {found}; check the endpoint, and try again later"
            ),
        }
    }
}
