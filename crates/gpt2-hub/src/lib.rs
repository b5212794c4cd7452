#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod cache_folder;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod environment;
mod error;
#[cfg(feature = "client")]
mod file_names;
mod handle;
#[cfg(feature = "client")]
mod hugging_face;
#[cfg(feature = "client")]
mod kaggle;
#[cfg(feature = "client")]
mod lookup;
#[cfg(feature = "client")]
mod model_scope;
#[cfg(feature = "client")]
mod open;
#[cfg(feature = "client")]
mod options;
#[cfg(feature = "client")]
mod pins;
mod remote_folder;
mod request_error;
mod snapshot;
#[cfg(feature = "client")]
mod transfer;
#[cfg(feature = "client")]
mod upload;

pub use error::{HandlePurpose, HubError, ModelErrorKind};
pub use handle::{HubHandle, KaggleHandle, ModelHandle};
#[cfg(feature = "client")]
pub use open::{CachedFiles, cached_files, cached_models, open};
#[cfg(feature = "client")]
pub use options::{DownloadProgress, HubOptions};
pub use remote_folder::RemoteFolder;
pub use request_error::RequestErrorKind;
pub use snapshot::blobs_of_snapshot;
#[cfg(feature = "client")]
pub use upload::{UploadFile, files_to_upload, upload, upload_handle};
