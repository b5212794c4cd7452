//! `cargo xtask verify-preset` as a command: passes, failures and errors.

use std::fmt::Display;
use std::path::PathBuf;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};
use serde_json::Value;

use crate::support::{golden, refusal, success, xtask};

fn verify(preset: &str, reference: &PathBuf, more: &[&str]) -> std::process::Output {
    let mut command = xtask("verify-preset");
    command.arg(golden(preset)).arg("--reference").arg(reference);
    command.args(more).output().unwrap()
}

/// A copy of a golden reference with one changed tensor.
fn changed(name: &str, change: impl Fn(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let bytes = std::fs::read(golden("air_small/expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
        })
        .collect();
    let (_, _, _, data) = tensors.iter_mut().find(|(found, ..)| found == name).unwrap();
    change(data);
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    reference_of(views)
}

/// A reference with these tensors, in a folder of its own.
fn reference_of<S: AsRef<str> + Ord + Display, V: View>(
    tensors: impl IntoIterator<Item = (S, V)>,
) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reference.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    (folder, path)
}

#[test]
fn both_formats_of_a_golden_case_pass() {
    let reference = golden("air_small/expected.safetensors");
    for preset in ["air_small/keras", "air_small/transformers"] {
        let report = success(verify(preset, &reference, &["--json"]));
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["passed"], true);
        let names: Vec<&str> = report["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["hidden", "logits", "score_loss"]);
        for result in report["results"].as_array().unwrap() {
            assert!(result["max_abs_difference"].as_f64().unwrap() < 1e-4);
        }
    }
    let table = success(verify("air_small/keras", &reference, &[]));
    assert!(table.contains("logits") && table.contains("ok"), "{table}");
}

#[test]
fn a_difference_beyond_the_tolerance_exits_1() {
    // The first position is not padding, so that its value counts.
    let (_folder, path) =
        changed("hidden", |data| data[..4].copy_from_slice(&100f32.to_le_bytes()));
    let output = verify("air_small/keras", &path, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["passed"], &report["results"][0]["passed"]),
        (&false.into(), &false.into())
    );
    assert_eq!(report["results"][1]["passed"], true);
    assert_eq!(verify("air_small/keras", &path, &["--tolerance", "1000"]).status.code(), Some(0));

    let (_folder, path) =
        changed("logits", |data| data[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    let output = verify("air_small/keras", &path, &["--tolerance", "1e30"]);
    assert_eq!(output.status.code(), Some(1), "NaN never passes");

    // The last position of the last row is padding.
    let (_folder, path) = changed("hidden", |data| {
        let end = data.len();
        data[end - 4..].copy_from_slice(&100f32.to_le_bytes());
    });
    assert_eq!(verify("air_small/keras", &path, &[]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_compared_exits_2() {
    let missing = golden("no.safetensors");
    let not_safetensors = golden("air_small/expected.json");
    let other_model = golden("air_wide/expected.safetensors");
    let (_a, negative) =
        changed("token_ids", |data| data[..4].copy_from_slice(&(-1i32).to_le_bytes()));
    let (_b, too_large) =
        changed("token_ids", |data| data[..4].copy_from_slice(&46i32.to_le_bytes()));
    let (_c, not_a_mask) =
        changed("padding_mask", |data| data[..4].copy_from_slice(&2i32.to_le_bytes()));
    for (reference, expected) in [
        (missing, "no.safetensors"),
        (not_safetensors, "is not a safetensors file"),
        (other_model, "32 is past"),
        (negative, "negative or too large"),
        (too_large, "token id 46"),
        (not_a_mask, "must hold 0 and 1 only"),
    ] {
        let message = refusal(verify("air_small/keras", &reference, &[]));
        assert!(message.contains(expected), "{message}");
    }
}

/// KerasHub's ten steps of Adam as a reference file, with an error in the last loss.
fn training_reference(error: f32) -> (tempfile::TempDir, PathBuf) {
    let bytes = std::fs::read(golden("training/expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let json = std::fs::read(golden("training/expected.json")).unwrap();
    let case = serde_json::from_slice::<Value>(&json).unwrap()["steps"]["adam"].clone();
    let losses = case["losses"].as_array().unwrap().iter();
    let mut losses: Vec<f32> = losses.map(|loss| loss.as_f64().unwrap() as f32).collect();
    *losses.last_mut().unwrap() += error;
    let losses: Vec<u8> = losses.into_iter().flat_map(f32::to_le_bytes).collect();
    let rate = 1e-3f32.to_le_bytes();
    let views = ["token_ids", "padding_mask", "targets", "sample_weight"]
        .into_iter()
        .map(|name| (format!("train.{name}"), file.tensor(name).unwrap()))
        .chain([
            ("train.losses".to_owned(), TensorView::new(Dtype::F32, vec![10], &losses).unwrap()),
            (
                "train.learning_rate".to_owned(),
                TensorView::new(Dtype::F32, vec![1], &rate).unwrap(),
            ),
        ]);
    reference_of(views)
}

#[test]
fn training_losses_are_compared_without_dropout() {
    let (_folder, path) = training_reference(0.0);
    let output = verify("air_small/keras", &path, &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"][0]["name"], "train.losses");
    assert!(report["results"][0]["max_abs_difference"].as_f64().unwrap() < 2e-5, "{report}");
    assert_eq!(report["not_checked"].as_array().unwrap().len(), 0);
    assert_eq!(output.status.code(), Some(0));

    let (_folder, path) = training_reference(1e-3);
    assert_eq!(verify("air_small/keras", &path, &[]).status.code(), Some(1));
}
