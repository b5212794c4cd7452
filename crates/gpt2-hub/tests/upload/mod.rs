//! Uploads: a download returns the same files, and a failure leaves the hub unchanged.
//!
//! The hubs are servers of this test that keep the uploaded files. With `GPT2_KERAS_PYTHON`, the
//! hubs' own Python clients upload to them too.

mod checks;
mod clients;
mod hugging_face;
mod kaggle;
mod model_card;

use std::path::Path;

use gpt2_hub::{HubError, HubOptions, files_to_upload, upload, upload_handle};
use tempfile::TempDir;

use crate::fakes::upload_hugging_face::FakeHuggingFace;
use crate::fakes::upload_kaggle::FakeKaggle;
use crate::support;

const HF: &str = "hf://ann/shakespeare";
const KAGGLE: &str = "kaggle://ann/gpt2/keras/shakespeare";
const INSTANCE: &str = "ann/gpt2/MODEL_FRAMEWORK_KERAS/shakespeare";

fn keras_preset() -> TempDir {
    let mut files = support::keras_preset().0;
    files.insert("task.json".to_owned(), br#"{"class_name": "Task"}"#.to_vec());
    support::folder_of(&files)
}

fn transformers_preset() -> TempDir {
    support::folder_of(&support::transformers_preset().0)
}

/// Uploads all files of a folder, with a card for a model without one.
fn upload_folder(uri: &str, folder: &Path, options: &HubOptions) -> Result<String, HubError> {
    let (files, handle) = (files_to_upload(folder)?, upload_handle(uri)?);
    upload(&handle, files, |id| format!("---\nlicense: mit\n---\n{id}\n"), options)
}

impl FakeHuggingFace {
    fn upload(&self, folder: &TempDir) -> Result<String, HubError> {
        upload_folder(HF, folder.path(), &self.options())
    }
}

impl FakeKaggle {
    fn upload(&self, folder: &TempDir) -> Result<String, HubError> {
        upload_folder(KAGGLE, folder.path(), &self.options())
    }
}
