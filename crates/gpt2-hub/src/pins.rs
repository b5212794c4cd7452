//! SHA-256 digests that the user pins files to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::HubError;
use crate::options::HubOptions;
use crate::transfer::digest::{Digest, is_hex};

/// Pins of a model's files, and the names of the files that passed.
#[derive(Debug)]
pub(crate) struct Pins {
    /// Digests by file name.
    sha256: BTreeMap<String, String>,
    checked: Mutex<BTreeSet<String>>,
}

impl Pins {
    pub(crate) fn new(options: &HubOptions) -> Self {
        Self { sha256: options.sha256.clone(), checked: Mutex::default() }
    }

    /// Digest that the user pins a file to.
    pub(crate) fn digest(&self, name: &str) -> Option<Digest> {
        self.sha256.get(name).cloned().map(Digest::Sha256)
    }

    /// Checks a file of a cache on its first use. `display` is its name in messages.
    pub(crate) fn check(&self, name: &str, path: &Path, display: &str) -> Result<(), HubError> {
        let Some(digest) = self.digest(name) else { return Ok(()) };
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !checked.contains(name) {
            digest.check(path, display)?;
            checked.insert(name.to_owned());
        }
        Ok(())
    }
}

/// Refuses pins that are not SHA-256 digests.
pub(crate) fn check_pins(options: &HubOptions) -> Result<(), HubError> {
    match options.sha256.iter().find(|(_, sha256)| !is_hex(sha256, 64)) {
        None => Ok(()),
        Some((file, sha256)) => Err(HubError::InvalidOption {
            option: "the SHA-256 of a file",
            expected: "64 hexadecimal digits",
            found: format!("{sha256:?} for `{file}`"),
        }),
    }
}
