//! Checkpoints of a training: a save loads again, and a failed save changes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, LoraConfig};
use gpt2_presets::{CheckpointFolder, FileError, PresetError, PresetFormat};
use gpt2_task::callbacks::LambdaCallback;
use gpt2_task::optimizers::{Adam, Optimizer};
use gpt2_task::{
    BoxError, CheckpointStore, CompileOptions, FitOptions, Gpt2CausalLm, TaskError,
    TrainingCheckpoint,
};
use gpt2_test_support::{assert_passed, test_process};
use serde_json::json;
use tempfile::TempDir;

use crate::saving::{files, older, save, saved};
use crate::support::*;

pub const FILE: &str = "training.checkpoint.safetensors";

fn tensor(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device())
}

/// A checkpoint whose numbers are all `step`.
pub fn checkpoint(step: u32, elements: usize) -> TrainingCheckpoint {
    let names = ["weights/a.kernel", "optimizer/m/a.kernel", "optimizer/v/a.kernel"];
    let tensors = names.map(|name| (name.to_owned(), tensor(&vec![step as f32; elements])));
    TrainingCheckpoint { state: json!({"step": step}), tensors: tensors.into() }
}

fn bits(checkpoint: &TrainingCheckpoint) -> BTreeMap<String, Vec<u32>> {
    let bits = |tensor: &Tensor<1>| {
        let values: Vec<f32> = tensor.to_data().try_into_vec().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    checkpoint.tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}

fn load(folder: &Path) -> Result<Option<TrainingCheckpoint>, BoxError> {
    CheckpointFolder::new(folder).load(&device())
}

/// A folder with the checkpoint of step 1.
fn with_checkpoint() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    CheckpointFolder::new(folder.path()).save(&checkpoint(1, 5)).unwrap();
    folder
}

#[test]
fn every_bit_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = CheckpointFolder::new(folder.path().join("new/folder"));
    assert!(store.load(&device()).unwrap().is_none());
    let odd = f32::from_bits(0x7fc0_1234);
    let saved = TrainingCheckpoint {
        state: json!({
            "text": "quote \" and é",
            "sum": 0.1 + 0.2,
            "third": 1.0 / 3.0,
            "largest": u64::MAX,
            "list": vec![2.5e-308; 300],
        }),
        tensors: [
            ("weights/odd", tensor(&[odd, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0])),
            ("weights/one", tensor(&[0.1])),
            ("optimizer/long", tensor(&(0..100_000).map(|i| i as f32).collect::<Vec<_>>())),
        ]
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .into(),
    };
    for _ in 0..2 {
        store.save(&saved).unwrap();
        let again = store.load(&device()).unwrap().unwrap();
        assert_eq!(again.state, saved.state);
        assert!(bits(&again) == bits(&saved));
    }
    assert_eq!(fs::read_dir(folder.path().join("new/folder")).unwrap().count(), 1);
    for _ in 0..2 {
        store.clear().unwrap();
        assert!(store.load(&device()).unwrap().is_none());
    }
    CheckpointFolder::new(folder.path().join("none")).clear().unwrap();
}

#[test]
fn a_damaged_file_is_named_and_may_be_removed() {
    let folder = with_checkpoint();
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let header = |json: &str| with_header(json, b"");
    let format = r#""__metadata__": {"format": "gpt2_training_checkpoint_1"}"#;
    let matrix = r#""state.json": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, "a": {"dtype": "F32", "shape": [1, 0], "data_offsets": [2, 2]}"#;
    let integer = r#""a": {"dtype": "I32", "shape": [0], "data_offsets": [2, 2]}"#;
    let state = r#""state.json": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}"#;
    for (bytes, detail) in [
        (Vec::new(), "header length"),
        (whole[..whole.len() / 2].to_vec(), "header"),
        (whole[..whole.len() - 1].to_vec(), "length of the file"),
        ([&whole[..], b"."].concat(), "length of the file"),
        (header(r#"{"__metadata__": {"format": "pt"}}"#), "found pt"),
        (header(&format!("{{{format}}}")), "no `state.json`"),
        (with_header(&format!("{{{format}, {state}}}"), b"{["), "`state.json`"),
        (with_header(&format!("{{{format}, {matrix}}}"), b"{}"), "`a` must be flat"),
        (with_header(&format!("{{{format}, {state}, {integer}}}"), b"{}"), "`a`"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = load(folder.path()).unwrap_err();
        let damaged = error.downcast_ref::<PresetError>();
        let Some(PresetError::Malformed { format: "training checkpoint", file, .. }) = damaged
        else {
            panic!("{error}")
        };
        assert_eq!(Path::new(file), path);
        let text = error.to_string();
        assert!(text.contains(detail) && text.contains("remove it to begin"), "{detail}: {text}");
    }
    CheckpointFolder::new(folder.path()).save(&checkpoint(2, 5)).unwrap();
    assert_eq!(load(folder.path()).unwrap().unwrap().state["step"], 2);
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let abandoned = [format!(".{FILE}.123-0.tmp"), format!(".{FILE}.4-56.tmp")];
    let others = [
        ".model.safetensors.123-0.tmp".to_owned(),
        format!(".{FILE}.mine-0.tmp"),
        format!(".{FILE}.123.tmp"),
        format!("{FILE}.123-0.tmp"),
    ];
    let left = |folder: &TempDir, names: &[String]| {
        names.iter().filter(|name| folder.path().join(name).exists()).count()
    };
    type Step = fn(&Path);
    let steps: [Step; 3] = [
        |folder| drop(load(folder).unwrap().unwrap()),
        |folder| CheckpointFolder::new(folder).save(&checkpoint(2, 5)).unwrap(),
        |folder| CheckpointFolder::new(folder).clear().unwrap(),
    ];
    for step in steps {
        let folder = with_checkpoint();
        for name in abandoned.iter().chain(&others) {
            fs::write(folder.path().join(name), "part").unwrap();
        }
        if cfg!(unix) {
            // Another process may be saving: one of the files could be its own.
            let saving = File::open(folder.path()).unwrap();
            saving.try_lock().unwrap();
            load(folder.path()).unwrap().unwrap();
            assert_eq!(left(&folder, &abandoned), 2);
            drop(saving);
            step(folder.path());
            assert_eq!(left(&folder, &abandoned), 0);
        }
        assert_eq!(left(&folder, &others), 4);
    }
}

#[test]
fn something_in_the_way_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for place in [file.clone(), file.join("in")] {
        let error = CheckpointFolder::new(&place).save(&checkpoint(1, 5)).unwrap_err();
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let inner = folder.path().join(FILE);
    fs::create_dir(&inner).unwrap();
    let mut store = CheckpointFolder::new(folder.path());
    for error in [
        store.save(&checkpoint(1, 5)).unwrap_err(),
        store.load(&device()).map(|_| ()).unwrap_err(),
        store.clear().unwrap_err(),
    ] {
        assert!(error.to_string().contains(inner.to_str().unwrap()), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_is_an_error() {
    let folder = with_checkpoint();
    let before = files(folder.path());
    let name = "checkpoints::a_folder_that_may_not_be_written_is_an_error";
    while_read_only(folder.path(), name, || {
        let error = CheckpointFolder::new(folder.path()).save(&checkpoint(2, 5)).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
        assert!(files(folder.path()) == before);
    });
}

/// Trains for two epochs of four batches, or until it is stopped after the third batch.
fn train(
    lora: bool,
    store: Option<&mut CheckpointFolder>,
    stop: bool,
) -> (Tensors, Option<TaskError>) {
    let mut model = gpt2_task::testing::model();
    if lora {
        model.enable_lora(LoraConfig::new(2).with_seed(1)).unwrap();
    }
    let adam = Optimizer::new(Adam::default(), 1e-2);
    model.compile(CompileOptions::new().with_optimizer(adam)).unwrap();
    let texts = [" airplane", " at", " airport", " plane", " a", " port"];
    let mut options = FitOptions::new().with_epochs(2).with_batch_size(2).with_steps_per_epoch(4);
    options = options.with_seed(1);
    if let Some(store) = store {
        options = options.with_backup(store, Some(2));
    }
    let mut stop = LambdaCallback::new().with_on_train_batch_end(|batch, _, _| {
        if stop && batch == 2 { Err("stopped".into()) } else { Ok(()) }
    });
    let options = options.with_callback(&mut stop);
    let error = model.fit(texts, options).err();
    (parameters(model.backbone()), error)
}

#[test]
fn a_training_goes_on_as_if_it_had_not_been_stopped() {
    for lora in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = CheckpointFolder::new(folder.path());
        let (expected, error) = train(lora, None, false);
        assert!(error.is_none());
        let (stopped, error) = train(lora, Some(&mut store), true);
        assert!(error.is_some() && stopped != expected && store.path().exists());
        let (resumed, error) = train(lora, Some(&mut store), false);
        assert!(error.is_none(), "{error:?}");
        let differs = |path: &&String| resumed[*path] != expected[*path];
        assert_eq!(expected.keys().find(differs), None);
        assert!(!store.path().exists(), "the training is over");
    }
}

/// Variable that names the folder to which a process saves until the disk is full.
const FULL: &str = "GPT2_TEST_FULL_DISK";

/// Saves in a child process of the test below, whose files are limited in size.
fn save_without_space(folder: &Path) {
    let mut store = CheckpointFolder::new(folder.join("checkpoint"));
    let large = store.save(&checkpoint(2, 100_000)).unwrap_err();
    assert!(chain(&*large).contains("too large"), "{large}");
    // Not from a file, which would be too large too.
    let config = tiny().with_max_sequence_length(2000);
    let backbone = Gpt2Backbone::new(&config, 7, &device()).unwrap();
    let model = Gpt2CausalLm::new(backbone, None).unwrap();
    for (name, format) in FORMATS {
        let error = save(&model, format, &folder.join(name)).unwrap_err();
        assert!(matches!(&error, PresetError::File(FileError::Write { .. })), "{error}");
    }
    store.save(&checkpoint(3, 100)).expect("a small one fits");
}

const FORMATS: [(&str, PresetFormat); 2] =
    [("keras", PresetFormat::Keras), ("transformers", PresetFormat::Transformers)];

#[cfg(unix)]
#[test]
fn without_space_the_old_files_stay() {
    if let Some(folder) = std::env::var_os(FULL) {
        return save_without_space(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut store = CheckpointFolder::new(folder.path().join("checkpoint"));
    store.save(&checkpoint(1, 5)).unwrap();
    let presets = FORMATS.map(|(name, format)| {
        let preset = saved(&older(), format);
        fs::rename(preset.path(), folder.path().join(name)).unwrap();
        (name, files(&folder.path().join(name)))
    });
    // Limits files to a few kilobytes, as on a full disk.
    let limited = r#"trap "" XFSZ; ulimit -f 16; exec "$@""#;
    let process = test_process("checkpoints::without_space_the_old_files_stay");
    let output = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(process.get_program())
        .args(process.get_args())
        .env(FULL, folder.path())
        .output()
        .unwrap();
    assert_passed(&output);
    for (name, before) in presets {
        assert!(files(&folder.path().join(name)) == before, "{name}");
    }
    assert_eq!(store.load(&device()).unwrap().unwrap().state["step"], 3);
    assert_eq!(files(&folder.path().join("checkpoint")).len(), 1);
}
