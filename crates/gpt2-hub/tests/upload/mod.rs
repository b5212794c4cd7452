//! What is uploaded is what is downloaded, and what fails leaves the hub as it was.
//!
//! The hubs are servers of this test that keep what they are given; their own Python clients upload
//! to them too, with `GPT2_KERAS_PYTHON`.

mod checks;
mod clients;
mod fake_hugging_face;
mod fake_kaggle;
mod faulty_server;
mod hugging_face;
mod kaggle;
mod model_card;

use std::fs;
use std::time::Duration;

use gpt2_presets::{HubOptions, PresetError, upload_preset_with};
use serde_json::json;
use tempfile::TempDir;

use self::fake_hugging_face::FakeHuggingFace;
use self::fake_kaggle::{FakeKaggle, Files};
use crate::support::*;

const HF: &str = "hf://ann/shakespeare";
const ID: &str = "ann/shakespeare";
const KAGGLE: &str = "kaggle://ann/gpt2/keras/shakespeare";
const INSTANCE: &str = "ann/gpt2/MODEL_FRAMEWORK_KERAS/shakespeare";

fn keras_preset() -> TempDir {
    let folder = keras_folder(&tiny());
    let tensors = keras_tensors(&tiny(), &tiny_model(&tiny()));
    write_hdf5(&folder.path().join("model.weights.h5"), &tensors, Stored::F32);
    write_json(folder.path(), "task.json", &json!({"class_name": "GPT2CausalLM"}));
    folder
}

fn transformers_preset() -> TempDir {
    let folder = transformers_folder(&tiny());
    let tensors = transformers_tensors(&tiny(), &tiny_model(&tiny()));
    fs::write(folder.path().join("model.safetensors"), safetensors(&tensors, Stored::F32)).unwrap();
    folder
}

fn impatient() -> HubOptions {
    HubOptions::new().with_retries(2).with_retry_delay(Duration::from_millis(1))
}

impl FakeHuggingFace {
    fn options(&self) -> HubOptions {
        impatient()
            .with_hugging_face_endpoint(&self.hub.url)
            .with_hugging_face_token(Some(fake_hugging_face::TOKEN))
    }

    fn upload(&self, folder: &TempDir) -> Result<String, PresetError> {
        upload_preset_with(HF, folder.path(), &self.options())
    }

    /// The files on the main branch, but the one that a new repository has.
    fn main(&self) -> Files {
        let mut files = self.files(ID, "main");
        files.remove(".gitattributes");
        files
    }

    fn card(&self) -> String {
        String::from_utf8(self.main()["README.md"].clone()).unwrap()
    }

    /// How often anything was put into the storage.
    fn puts(&self) -> usize {
        self.storage.requests().iter().filter(|it| it.method == "PUT").count()
    }
}

impl FakeKaggle {
    fn options(&self) -> HubOptions {
        impatient()
            .with_kaggle_endpoint(&self.endpoint())
            .with_kaggle_token(Some(fake_kaggle::TOKEN))
    }

    fn upload(&self, folder: &TempDir) -> Result<String, PresetError> {
        upload_preset_with(KAGGLE, folder.path(), &self.options())
    }
}
