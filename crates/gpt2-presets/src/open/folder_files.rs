//! Names of the files in a folder that has a preset.

use std::fs;
use std::path::Path;

use gpt2_files::{FileError, read_error};

use crate::formats::is_folder_of_parts;

/// Names of the files in a folder and in its folders that have a preset's files, relative to it and
/// sorted. Any other folder within counts as one file.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    add(folder, "", &mut names)?;
    names.sort();
    Ok(names)
}

fn add(folder: &Path, within: &str, names: &mut Vec<String>) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        if is_folder_of_parts(&name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
