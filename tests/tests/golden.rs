//! The golden data: results of KerasHub and transformers with small random models.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use gpt2_backbone::{Gpt2Backbone, parse_device};
use gpt2_presets::Preset;
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Absolute tolerance of numbers.
///
/// Two correct implementations in 32-bit floats sum in different orders, which causes differences
/// of about 1e-5 at logits of size 5. The tolerance is ten times that, and far below the effect of
/// a wrong constant or formula: the smallest, erf GELU for tanh GELU, is 4e-3.
pub const TOLERANCE: f32 = 1e-4;

/// Folders with a model of KerasHub and all its results.
pub const CASES: [&str; 4] = ["air_small", "air_wide", "air_one_head", "gpt2_vocabulary"];

/// Folders of a case with the same model in two formats.
pub const FORMATS: [&str; 2] = ["keras", "transformers"];

/// Path of a golden file or folder.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(relative)
}

/// Opens a golden folder as a preset.
pub fn preset(relative: &str) -> Preset {
    let folder = path(relative);
    let opened = Preset::open(folder.to_str().expect("the path is UTF-8"));
    opened.unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// Backbone of a golden folder.
pub fn backbone(relative: &str) -> Gpt2Backbone {
    let loaded = preset(relative).backbone(&device());
    loaded.unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// A golden JSON file.
pub fn json(relative: &str) -> Value {
    let text = fs::read_to_string(path(relative)).expect(relative);
    serde_json::from_str(&text).expect(relative)
}

/// Environment variable that names the device of all tests, in the form of [`parse_device`].
/// Default: the CPU.
const DEVICE_VARIABLE: &str = "GPT2_TEST_DEVICE";

/// Device of all tests.
pub fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| match env::var(DEVICE_VARIABLE) {
        Ok(name) => {
            parse_device(&name).unwrap_or_else(|error| panic!("{DEVICE_VARIABLE}: {error}"))
        }
        Err(_) => Device::flex(),
    });
    DEVICE.clone()
}

/// GPU of all tests. Skips the test on the CPU, where there is nothing to compare.
#[cfg(feature = "gpu")]
pub fn gpu() -> Option<Device> {
    gpt2_test_support::needs(DEVICE_VARIABLE, "GPU")?;
    let device = Some(device()).filter(|device| *device != Device::flex());
    if device.is_none() {
        gpt2_test_support::skip(format!("{DEVICE_VARIABLE} names the CPU"));
    }
    device
}

/// A model and KerasHub's results with it.
pub struct Case {
    /// Name of the folder.
    pub name: &'static str,
    /// `expected.json`.
    pub json: Value,
    /// `expected.safetensors`.
    pub tensors: Tensors,
}

impl Case {
    pub fn read(name: &'static str) -> Self {
        Self {
            name,
            json: json(&format!("{name}/expected.json")),
            tensors: Tensors::read(&format!("{name}/expected.safetensors")),
        }
    }

    /// The backbone in one of [`FORMATS`].
    pub fn backbone(&self, format: &str) -> Gpt2Backbone {
        backbone(&format!("{}/{format}", self.name))
    }

    /// The model without a preprocessor, which takes only token ids.
    pub fn model_without_text(&self, format: &str) -> Gpt2CausalLm {
        Gpt2CausalLm::new(self.backbone(format), None).expect("the model is valid")
    }

    /// The model with its preprocessor.
    pub fn model(&self, format: &str) -> Gpt2CausalLm {
        let loaded = preset(&format!("{}/{format}", self.name)).causal_lm(&device());
        loaded.unwrap_or_else(|error| panic!("{}/{format}: {error}", self.name))
    }

    /// The model with its preprocessor and greedy search.
    pub fn greedy_model(&self) -> Gpt2CausalLm {
        let mut model = self.model("keras");
        model.compile(GreedySampler::new()).expect("a greedy search has no arguments");
        model
    }

    /// `token_ids` and `padding_mask`: batch of the forward pass.
    pub fn batch(&self) -> TokenBatch {
        self.tensors.batch("token_ids", "padding_mask")
    }

    /// `prompt_ids` and `prompt_mask`: prompts of different lengths.
    pub fn ragged_prompts(&self) -> TokenBatch {
        self.tensors.batch("prompt_ids", "prompt_mask")
    }

    /// `equal_prompt_ids` and `equal_prompt_mask`: prompts of one length.
    pub fn equal_prompts(&self) -> TokenBatch {
        self.tensors.batch("equal_prompt_ids", "equal_prompt_mask")
    }

    /// Compares logits, `[.., vocabulary_size]`, with those in `key`. With the real vocabulary,
    /// compares some columns and the log-sum-exp of all.
    pub fn check_logits(&self, label: &str, key: &str, logits: &[f32]) {
        if self.tensors.has(key) {
            return check_close(label, logits, &self.tensors.floats(key).values);
        }
        let columns = self.tensors.ints("logits_columns").values;
        let vocabulary_size = self.vocabulary_size();
        let rows = || logits.chunks_exact(vocabulary_size);
        let at_columns: Vec<f32> =
            rows().flat_map(|row| columns.iter().map(|&column| row[column as usize])).collect();
        let sums: Vec<f32> = rows().map(log_sum_exp).collect();
        let expected = |suffix: &str| self.tensors.floats(&format!("{key}_{suffix}")).values;
        check_close(label, &at_columns, &expected("at_columns"));
        check_close(&format!("{label}, log-sum-exp"), &sums, &expected("logsumexp"));
    }

    pub fn vocabulary_size(&self) -> usize {
        self.json["config"]["vocabulary_size"].as_u64().expect("a size") as usize
    }

    /// Length of the texts in `expected.json`.
    pub fn max_length(&self) -> usize {
        self.json["max_length"].as_u64().expect("a length") as usize
    }

    /// `prompts`: texts of different lengths.
    pub fn prompts(&self) -> Vec<String> {
        strings(&self.json["prompts"])
    }
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&value| f64::from(value - largest).exp()).sum();
    (f64::from(largest) + sum.ln()) as f32
}

/// Tensors of a safetensors file.
pub struct Tensors(HashMap<String, Stored>);

enum Stored {
    Floats(Array<f32>),
    Ints(Array<i32>),
}

/// Values of a tensor in row-major order.
#[derive(Clone)]
pub struct Array<T> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

impl Tensors {
    pub fn read(relative: &str) -> Self {
        let bytes = fs::read(path(relative)).expect(relative);
        let file = SafeTensors::deserialize(&bytes).expect(relative);
        let stored = file.iter().map(|(name, view)| {
            let shape = view.shape().to_vec();
            let words = view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
            let stored = match view.dtype() {
                Dtype::F32 => {
                    Stored::Floats(Array { shape, values: words.map(f32::from_le_bytes).collect() })
                }
                Dtype::I32 => {
                    Stored::Ints(Array { shape, values: words.map(i32::from_le_bytes).collect() })
                }
                other => panic!("{relative}: `{name}` has elements of type {other:?}"),
            };
            (name.to_owned(), stored)
        });
        Self(stored.collect())
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn floats(&self, key: &str) -> Array<f32> {
        match self.0.get(key) {
            Some(Stored::Floats(array)) => array.clone(),
            _ => panic!("no floats under `{key}`"),
        }
    }

    pub fn ints(&self, key: &str) -> Array<i32> {
        match self.0.get(key) {
            Some(Stored::Ints(array)) => array.clone(),
            _ => panic!("no integers under `{key}`"),
        }
    }

    /// Rows of token ids.
    pub fn ids(&self, key: &str) -> Vec<Vec<TokenId>> {
        let id = |value: &i32| TokenId::try_from(*value).expect("ids are not negative");
        self.rows(key, id)
    }

    /// Rows of a mask.
    pub fn mask(&self, key: &str) -> Vec<Vec<bool>> {
        self.rows(key, |&value| value != 0)
    }

    pub fn batch(&self, ids: &str, mask: &str) -> TokenBatch {
        TokenBatch::new(self.ids(ids), self.mask(mask)).expect("ids and mask fit")
    }

    fn rows<T>(&self, key: &str, convert: impl Fn(&i32) -> T) -> Vec<Vec<T>> {
        let array = self.ints(key);
        let width = *array.shape.last().expect("rows have a width");
        array.values.chunks_exact(width).map(|row| row.iter().map(&convert).collect()).collect()
    }
}

/// Rows of token ids on the device.
pub fn id_tensor(rows: &[Vec<TokenId>]) -> Tensor<2, Int> {
    let ids: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(ids, [rows.len(), rows[0].len()]), &device())
}

/// Rows of a mask on the device.
pub fn mask_tensor(rows: &[Vec<bool>]) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &device())
}

/// Values of a tensor in row-major order.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("a tensor of floats")
}

/// One row of a batch.
pub fn row(batch: &TokenBatch, row: usize) -> TokenBatch {
    let ids = batch.token_ids()[row].clone();
    let mask = batch.padding_mask()[row].clone();
    TokenBatch::new(vec![ids], vec![mask]).expect("the row is valid")
}

/// Asserts that values are equal within [`TOLERANCE`].
pub fn check_close(label: &str, found: &[f32], expected: &[f32]) {
    check_within(TOLERANCE, 0.0, label, found, expected);
}

/// Asserts that values are equal within `absolute + relative * |expected|`, and prints the largest
/// difference.
pub fn check_within(absolute: f32, relative: f32, label: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{label}: number of values");
    assert!(!found.is_empty(), "{label}: no values");
    let mut largest = 0f32;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        // A comparison with NaN is false.
        let close = difference <= absolute + relative * expected.abs();
        assert!(close, "{label}: value {index} is {found}, expected {expected}");
        largest = largest.max(difference);
    }
    println!("largest difference {largest:.2e}: {label}");
}

/// Asserts that values are equal bit for bit.
pub fn check_bits(label: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{label}: number of values");
    let differs = |(found, expected): (&f32, &f32)| found.to_bits() != expected.to_bits();
    let at = found.iter().zip(expected).position(differs);
    assert_eq!(at, None, "{label}: the first value that differs");
}

/// A JSON list of strings.
pub fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list of strings");
    list.iter().map(|text| text.as_str().expect("a string").to_owned()).collect()
}

/// A JSON list of token ids.
pub fn ids(value: &Value) -> Vec<TokenId> {
    let list = value.as_array().expect("a list of ids");
    list.iter().map(|id| id.as_u64().expect("an id") as TokenId).collect()
}

/// A JSON list of lists of token ids.
pub fn id_rows(value: &Value) -> Vec<Vec<TokenId>> {
    value.as_array().expect("a list of rows").iter().map(ids).collect()
}

/// A JSON list of lists of 0 and 1.
pub fn mask_rows(value: &Value) -> Vec<Vec<bool>> {
    id_rows(value).iter().map(|row| row.iter().map(|&bit| bit != 0).collect()).collect()
}

/// A JSON list of numbers.
pub fn floats(value: &Value) -> Vec<f32> {
    let list = value.as_array().expect("a list of numbers");
    list.iter().map(|number| number.as_f64().expect("a number") as f32).collect()
}
