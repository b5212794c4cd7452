//! GGUF file whose header is checked when it is opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gpt2_files::read_error;

use crate::error::PresetError;
use crate::formats::gguf::header::Header;
use crate::source::blob::Blob;
use crate::source::preset_folder::PresetFolder;

/// A file and the header that it had when it was opened.
pub(crate) struct OpenedFile {
    folder: Arc<dyn PresetFolder>,
    name: &'static str,
    header: Arc<Header>,
}

impl OpenedFile {
    /// Reads and checks the header.
    pub(crate) fn open(
        folder: Arc<dyn PresetFolder>,
        name: &'static str,
    ) -> Result<Self, PresetError> {
        let (display, mut blob) = (folder.display(name), folder.open(name)?);
        let header = Arc::new(Header::read(&mut blob, &display)?);
        Ok(Self { folder, name, header })
    }

    /// The header.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Opens the file again to read its tensors. The header returned is that of the present file:
    /// it is checked again only if the header's bytes or the file's size have changed.
    pub(crate) fn reopen(&self) -> Result<(Arc<Header>, Blob), PresetError> {
        let mut blob = self.folder.open(self.name)?;
        let display = self.folder.display(self.name);
        let is_same = self.header.is_that_of(&mut blob);
        let header = if is_same.map_err(read_error(Path::new(&display)))? {
            self.header.clone()
        } else {
            Arc::new(Header::read(&mut blob, &display)?)
        };
        Ok((header, blob))
    }
}

impl fmt::Debug for OpenedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OpenedFile").field("folder", &self.folder).finish_non_exhaustive()
    }
}
