//! Uploads of files to a hub.

mod files;
mod publish;
pub(crate) mod sending;
pub(crate) mod upload_file;

pub use files::files_to_upload;
pub use publish::{upload, upload_handle};
pub use upload_file::UploadFile;
