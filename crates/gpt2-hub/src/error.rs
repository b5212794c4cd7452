//! Errors of downloads and uploads.

use std::path::PathBuf;

use gpt2_files::FileError;

use crate::request_error::RequestErrorKind;

/// Reason why a file cannot be downloaded from a hub, or uploaded to one.
///
/// Every message names the thing, the expected and found values, and a remedy. No message holds a
/// token or a signed address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    // Handles.
    //
    /// The handle begins like a hub's, but names no model on it.
    #[error("{expected}. Received: {}", purpose.received(handle))]
    InvalidHandle {
        /// Handle.
        handle: String,
        /// Use that the handle was meant for.
        purpose: HandlePurpose,
        /// Form of a valid handle.
        expected: &'static str,
    },

    /// The destination of an upload is not a handle of a hub that takes uploads.
    #[error(
        "Unknown URI. An URI must be a one of:\n1) a Kaggle Model handle like \
         `'kaggle://<KAGGLE_USERNAME>/<MODEL>/<FRAMEWORK>/<VARIATION>'`\n2) a Hugging Face handle \
         like `'hf://[<HF_USERNAME>/]<MODEL>'`\nReceived: uri='{uri}'."
    )]
    UnknownUri {
        /// Destination.
        uri: String,
    },

    // Settings.
    //
    /// No folder for downloads is known.
    #[error(
        "no cache folder for the files of `{model}`: set {variables}, or pass a folder in `HubOptions`"
    )]
    NoCacheFolder {
        /// Handle of the model.
        model: String,
        /// Variables of the environment; any one of them is enough.
        variables: &'static str,
    },

    /// An option or a variable of the environment has an invalid value.
    #[error("{option} must be {expected}, found {found}; see `HubOptions`")]
    InvalidOption {
        /// Option.
        option: &'static str,
        /// Accepted values.
        expected: &'static str,
        /// Value that was given. Never a secret.
        found: String,
    },

    /// The file is not in the cache, and an option forbids requests to the hub.
    #[error(
        "`{file}` is not in the cache, and {flag} forbids requests to the hub: allow them, or \
         download the file first"
    )]
    Offline {
        /// File.
        file: String,
        /// Variable or option that forbids requests.
        flag: &'static str,
    },

    /// An upload was requested, but an option forbids requests to hubs.
    #[error("cannot upload to `{uri}`: {flag} forbids requests to hubs; allow them")]
    UploadOffline {
        /// Destination.
        uri: String,
        /// Variable or option that forbids requests.
        flag: &'static str,
    },

    /// An upload needs a token, and none was found.
    #[error(
        "cannot upload to {hub} without a token: found none in any of {looked_for}; set one of them"
    )]
    MissingCredentials {
        /// Hub.
        hub: &'static str,
        /// Places that were searched for a token.
        looked_for: &'static str,
    },

    // Answers.
    //
    /// A request failed.
    #[error("{}", kind.message(host, file))]
    Request {
        /// Host of the request.
        host: String,
        /// File or model that was requested.
        file: String,
        /// Failure.
        kind: RequestErrorKind,
    },

    /// A hub does not provide a model to this user.
    #[error("{}", kind.message(model))]
    Model {
        /// Handle of the model.
        model: String,
        /// Reason.
        kind: ModelErrorKind,
    },

    /// None of several hubs provides the model.
    #[error("cannot load the preset `{name}` from any of its sources:{}", each(failures))]
    NoSource {
        /// Name of the model.
        name: String,
        /// Reasons, one for each handle, in the order of the handles.
        failures: Vec<HubError>,
    },

    // Files.
    //
    /// The folder on the hub lacks the file that every model has.
    #[error("`{file}` doesn't exist in preset directory `{folder}`; it is not a preset")]
    NoMarkerFile {
        /// Folder on the hub.
        folder: String,
        /// Name of the file.
        file: String,
    },

    /// A file's digest differs from the one that the hub promised or the user pinned.
    #[error(
        "`{file}` has the {algorithm} {found}, expected {expected}, and is not used; try again, or \
         check the pin if you have set one"
    )]
    ChecksumMismatch {
        /// File.
        file: String,
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Digest that was promised or pinned.
        expected: String,
        /// Digest of the content.
        found: String,
    },

    /// A file name could lead out of its folder on some system.
    #[error("cannot use the file name {name:?} in a preset: {why}; use another source")]
    UnsafeFileName {
        /// Name.
        name: String,
        /// Reason why the name is unsafe.
        why: &'static str,
    },

    /// A file or folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    // Uploads.
    //
    /// A file of the folder cannot be uploaded.
    #[error("cannot upload `{}`: {why}", path.display())]
    NotUploadable {
        /// File.
        path: PathBuf,
        /// Reason and remedy.
        why: &'static str,
    },

    /// A file was modified during its upload.
    #[error(
        "`{}` changed during its upload, and nothing was published; upload again when the folder is \
         complete",
        path.display()
    )]
    ChangedDuringUpload {
        /// File.
        path: PathBuf,
    },

    /// The hub refuses an upload.
    #[error("{host} refuses the upload to `{place}` (status {status}): {detail}; {remedy}")]
    UploadRefused {
        /// Model, or file of the model.
        place: String,
        /// Host that refuses.
        host: String,
        /// HTTP status, or the code in the hub's answer.
        status: u16,
        /// The hub's message.
        detail: String,
        /// Remedy.
        remedy: &'static str,
    },
}

/// Purpose of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlePurpose {
    /// Source of a download.
    Download,
    /// Destination of an upload.
    Upload,
}

/// Reason why a hub does not provide a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The hub has no such model, or hides it from this user.
    NotFound {
        /// Host that was asked.
        host: String,
    },
    /// The model has no such branch, tag or commit.
    RevisionNotFound {
        /// Host that was asked.
        host: String,
    },
    /// The model is open only to users who have accepted its terms.
    Gated {
        /// Page with the terms.
        page: String,
    },
    /// Kaggle refuses a file of the model, or hides it. Status 403.
    Inaccessible {
        /// File.
        file: String,
    },
}

impl HubError {
    /// Whether the failure is the hub's or the network's, so that another hub may do better.
    #[cfg(feature = "client")]
    pub(crate) fn is_of_hub(&self) -> bool {
        use HubError::{Model, NoCacheFolder, Offline, Request};
        matches!(self, Offline { .. } | NoCacheFolder { .. } | Request { .. } | Model { .. })
    }

    /// Whether no answer came from the hub, so that only its cache can be used.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Offline { .. })
            || self.request_kind().is_some_and(RequestErrorKind::is_out_of_reach)
    }

    /// Failure of the request, if this is one.
    pub fn request_kind(&self) -> Option<&RequestErrorKind> {
        match self {
            Self::Request { kind, .. } => Some(kind),
            _ => None,
        }
    }
}

impl HandlePurpose {
    /// End of a message, in the words of KerasHub's functions for each purpose.
    fn received(self, handle: &str) -> String {
        match self {
            Self::Download => format!("preset={handle}"),
            Self::Upload => format!("URI={handle}."),
        }
    }
}

impl ModelErrorKind {
    fn message(&self, model: &str) -> String {
        match self {
            Self::NotFound { host } => format!(
                "`{host}` has no model `{model}`: check its name, and if it is private, pass a \
                 token that gives access to it, in `HubOptions` or in the environment"
            ),
            Self::RevisionNotFound { host } => format!(
                "`{host}` has no such revision of the model: `{model}`; check the part after the \
                 `@`"
            ),
            Self::Gated { page } => format!(
                "access to `{model}` is restricted: accept the terms at {page}, and pass the token \
                 of the account that did, in `HubOptions` or in HF_TOKEN"
            ),
            Self::Inaccessible { file } => format!(
                "`{file}` is not accessible in preset directory `{model}`. If this model is gated, \
                 accept its terms on kaggle.com and retry; if it is private, pass a token that \
                 gives access to it, in `HubOptions` or in KAGGLE_API_TOKEN"
            ),
        }
    }
}

fn each(failures: &[HubError]) -> String {
    failures.iter().map(|failure| format!("\n- {failure}")).collect()
}
