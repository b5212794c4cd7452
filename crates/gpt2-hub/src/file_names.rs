//! Checks of file names from hubs and users, before they become paths.

use std::path::Path;

use gpt2_files::read_error;

use crate::error::HubError;

/// Names that Windows reserves for devices, with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Checks that the name of a model's file leads to one path below a folder on every system.
pub(crate) fn check_file_name(name: &str) -> Result<(), HubError> {
    let why = if name.is_empty() || name.len() > 1024 || name.starts_with('/') {
        "it is empty, absolute or too long"
    } else if name.contains(['\\', ':', '<', '>', '"', '|', '?', '*']) {
        "it has characters that are special on Windows"
    } else if name.chars().any(char::is_control) {
        "it has control characters"
    } else if name.split('/').any(|part| part.is_empty() || part.ends_with(['.', ' '])) {
        "a part of it is empty, `.`, `..`, or ends in a dot or space"
    } else if name.split('/').any(|part| part.len() > 200) {
        "a part of it is too long"
    } else if name.split('/').any(is_device) {
        "a part of it is the name of a device on Windows"
    } else {
        return Ok(());
    };
    Err(HubError::UnsafeFileName { name: name.to_owned(), why })
}

/// Checks that a file of a cache is in one of these folders, and not a link that leads out of them.
/// The folders themselves may be links, for example to another disk.
pub(crate) fn check_place(path: &Path, name: &str, folders: &[&Path]) -> Result<(), HubError> {
    let place = path.canonicalize().map_err(read_error(path))?;
    let inside = |folder: &&Path| folder.canonicalize().is_ok_and(|to| place.starts_with(to));
    if folders.iter().any(inside) {
        return Ok(());
    }
    let why = "it is a link that leads out of the cache";
    Err(HubError::UnsafeFileName { name: name.to_owned(), why })
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    DEVICES.contains(&stem.as_str())
        || port.is_some_and(|number| {
            number.chars().count() == 1
                && number.chars().all(|digit| "0123456789¹²³".contains(digit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_folder() {
        for name in [
            "config.json",
            "assets/tokenizer/vocabulary.json",
            "model-00001-of-00002.safetensors",
            "console.json",
            "com10",
            "ключ.json",
            ".gitattributes",
        ] {
            check_file_name(name).unwrap();
        }
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a/..",
            ".",
            "a//b",
            "a/",
            "a\\b",
            "c:x",
            "C:\\x",
            "a\0b",
            "a\nb",
            "nul",
            "NUL.json",
            "a/con",
            "aux .txt",
            "COM1",
            "lpt9.h5",
            "COM¹",
            "x.",
            "x ",
            "a?b",
            "*",
        ] {
            let error = check_file_name(name).unwrap_err();
            assert!(matches!(error, HubError::UnsafeFileName { .. }), "{name:?}");
        }
        assert!(check_file_name(&"a".repeat(201)).is_err());
        assert!(check_file_name(&"a/".repeat(600)).is_err());
    }
}
