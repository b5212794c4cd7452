//! Servers that play the hubs. The tests of gpt2-presets use them too.

pub mod clients;
pub mod faulty_server;
pub mod hugging_face;
pub mod kaggle;
pub mod model_scope;
pub mod server;
pub mod upload_hugging_face;
pub mod upload_kaggle;
pub mod with_storage;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Content of files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// All files below a folder.
pub fn files_of(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}
