#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod destination;
mod error;
mod progress;
mod read;
mod staged;
mod staging;
mod temporary;

pub use destination::{Destination, StagedPath};
pub use error::{FileError, read_error, write_error};
pub use progress::{Listener, OnProgress};
pub use read::{exists, read_bounded, read_text, read_text_or_pipe, regular_file, utf8};
pub use staged::end_early;
pub use staging::Staging;
pub use temporary::{
    is_temporary, remove_abandoned, sync_folder, temporary_name, temporary_prefix,
};
