//! Malicious HDF5 files, which refer to other files or declare more than they contain.

use std::fs;
use std::path::Path;

use gpt2_presets::PresetError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_hdf5::{H5File, LibverBound, Selection};
use tempfile::TempDir;

use crate::support::*;

const WEIGHTS: &str = "model.weights.h5";
const POSITIONS: &str = "layers/position_embedding/vars/0";

/// A preset with valid tensors, except for the positions, which `write` writes.
fn spoiled(write: impl FnOnce(&H5File, &Path)) -> TempDir {
    let folder = keras_folder(&tiny());
    let mut tensors = keras_tensors(&tiny(), &tiny_model(&tiny()));
    let positions = tensors.remove(POSITIONS).unwrap();
    // Target of the links below: the right tensor, in another file.
    let other = Tensors::from([(POSITIONS.to_owned(), positions)]);
    write_hdf5(&folder.path().join("other.h5"), &other, Stored::F32);
    let path = folder.path().join(WEIGHTS);
    let file = H5File::options().libver(LibverBound::Earliest).create(path).unwrap();
    write_datasets(&file, &tensors, Stored::F32);
    write(&file, folder.path());
    file.close().unwrap();
    folder
}

/// The error of a load, and the object at fault.
fn refusal(folder: &TempDir) -> String {
    let error = load(folder).unwrap_err();
    match &error {
        PresetError::Malformed { format: KERAS_WEIGHTS, object, .. } => {
            assert!(POSITIONS.starts_with(object.as_str()))
        }
        PresetError::IncompleteWeights { missing, .. } => {
            assert_eq!(missing, &[POSITIONS.trim_start_matches("layers/")]);
        }
        PresetError::UnsupportedElementType { tensor, .. } => assert_eq!(tensor, POSITIONS),
        _ => panic!("{error}"),
    }
    error.to_string()
}

#[test]
fn the_positions_may_also_be_right() {
    let positions = &keras_tensors(&tiny(), &tiny_model(&tiny()))[POSITIONS];
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        write_dataset(&group, name, &positions.0, &positions.1, Stored::F32);
    });
    assert_eq!(load(&folder).unwrap().0, tiny_model(&tiny()));
}

#[test]
fn links_are_not_followed() {
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        group.create_external_link(name, "other.h5", POSITIONS).unwrap();
    });
    refusal(&folder);
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        group.create_soft_link(name, "/layers/reversible_embedding/vars/0").unwrap();
    });
    refusal(&folder);
    // A whole layer in another file, and a link to itself.
    let folder = spoiled(|file, _| {
        let layers = file.root_group().group("layers").unwrap();
        layers
            .create_external_link("position_embedding", "other.h5", "layers/position_embedding")
            .unwrap();
        layers.create_soft_link("loop", "/layers/loop").unwrap();
    });
    refusal(&folder);
}

#[test]
fn data_outside_the_file_is_not_read() {
    let folder = spoiled(|file, folder| {
        let raw = folder.join("raw");
        fs::write(&raw, [0; 80]).unwrap();
        let (group, name) = group_of(file, POSITIONS);
        let raw = raw.to_str().unwrap();
        group.new_dataset::<f32>().shape([5, 4]).external(&[(raw, 0, 80)]).create(name).unwrap();
    });
    assert!(refusal(&folder).contains("another file"));
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        let dataset = group.new_dataset::<f32>().shape([5, 4]);
        dataset
            .virtual_mapping(Selection::All, "other.h5", POSITIONS, Selection::All)
            .create(name)
            .unwrap();
    });
    assert!(refusal(&folder).contains("Virtual"));
}

#[test]
fn storage_that_keras_does_not_use_is_refused() {
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        group.new_dataset::<f32>().shape([5, 4]).chunk(&[5, 4]).create(name).unwrap();
    });
    assert!(refusal(&folder).contains("Chunked"));
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        let dataset = group.new_dataset::<f32>().shape([5, 4]).compact().create(name).unwrap();
        dataset.write_raw(&[0f32; 20]).unwrap();
    });
    assert!(refusal(&folder).contains("Compact"));
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        let dataset = group.new_dataset::<i32>().shape([5, 4]).create(name).unwrap();
        dataset.write_raw(&[0i32; 20]).unwrap();
    });
    refusal(&folder);
    // Two opaque bytes are a bfloat16 only with the attribute.
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        let opaque = rust_hdf5::DatatypeMessage::Opaque { size: 2, tag: "bfloat16".into() };
        let dataset =
            group.new_dataset::<u16>().datatype(opaque).shape([5, 4]).create(name).unwrap();
        dataset.write_raw(&[0u16; 20]).unwrap();
    });
    refusal(&folder);
}

#[test]
fn hard_links_in_a_circle_end() {
    let positions = &keras_tensors(&tiny(), &tiny_model(&tiny()))[POSITIONS];
    let folder = spoiled(|file, _| {
        let (group, name) = group_of(file, POSITIONS);
        write_dataset(&group, name, &positions.0, &positions.1, Stored::F32);
        group.link("around", "/layers").unwrap();
    });
    // Each object counts once, even with several names.
    assert_eq!(load(&folder).unwrap().0, tiny_model(&tiny()));
}

#[test]
fn very_deep_groups_are_refused() {
    for depth in [40, 400] {
        let folder = spoiled(|file, _| {
            let path = format!("{}0", "g/".repeat(depth));
            let (group, name) = group_of(file, &path);
            write_dataset(&group, name, &[1], &[0.0], Stored::F32);
        });
        load(&folder).unwrap_err();
    }
}

/// Offset of `pattern` in the file.
fn find(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    bytes
        .windows(pattern.len())
        .enumerate()
        .filter(|(_, w)| *w == pattern)
        .map(|(i, _)| i)
        .collect()
}

#[test]
fn declared_shapes_are_not_believed() {
    let folder = keras_folder(&tiny());
    let path = folder.path().join(WEIGHTS);
    write_hdf5(&path, &keras_tensors(&tiny(), &tiny_model(&tiny())), Stored::F32);
    let bytes = fs::read(&path).unwrap();
    let positions = [5u64.to_le_bytes(), 4u64.to_le_bytes()].concat();
    let places = find(&bytes, &positions);
    assert!(!places.is_empty());
    for rows in [1u64 << 20, 1 << 50, 1 << 61, u64::MAX] {
        let mut bytes = bytes.clone();
        for place in &places {
            bytes[*place..*place + 8].copy_from_slice(&rows.to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        let error = load(&folder).unwrap_err();
        assert!(matches!(error, PresetError::Malformed { format: KERAS_WEIGHTS, .. }), "{error}");
    }
}

fn small_file() -> (TempDir, Vec<u8>) {
    let folder = keras_folder(&tiny());
    let path = folder.path().join(WEIGHTS);
    write_hdf5(&path, &keras_tensors(&tiny(), &tiny_model(&tiny())), Stored::Bf16);
    let bytes = fs::read(path).unwrap();
    (folder, bytes)
}

#[test]
fn truncation_anywhere_is_an_error() {
    let (folder, bytes) = small_file();
    for length in (0..bytes.len()).step_by(64) {
        fs::write(folder.path().join(WEIGHTS), &bytes[..length]).unwrap();
        if let Ok((loaded, _)) = load(&folder) {
            // The end of a file may be unused.
            let model = tiny_model(&tiny());
            assert!(length + 4096 > bytes.len() && loaded.keys().eq(model.keys()));
        }
    }
}

#[test]
fn flipped_bits_give_an_error_or_a_model_of_the_same_shape() {
    let (folder, bytes) = small_file();
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for _ in 0..1000 {
        let mut bytes = bytes.clone();
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        fs::write(folder.path().join(WEIGHTS), &bytes).unwrap();
        if let Ok((loaded, _)) = load(&folder) {
            assert!(loaded.keys().eq(tiny_model(&tiny()).keys()));
        }
    }
}
