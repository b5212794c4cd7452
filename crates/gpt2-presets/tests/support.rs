//! Writes small presets in both formats from a model in memory.
//!
//! The names are written out here again, independent of the crate's weight maps.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor};
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, visit_parameters};
use gpt2_presets::{LoadReport, Preset, PresetError};
use half::{bf16, f16};
use rust_hdf5::format::messages::datatype::DatatypeMessage;
use rust_hdf5::{H5File, H5Group, LibverBound, VarLenUnicode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Kinds of malformed files, in messages.
pub const SAFETENSORS: &str = "safetensors file";
pub const KERAS_WEIGHTS: &str = "Keras weights file";
pub const JSON: &str = "JSON file of a preset";
pub const LORA: &str = "LoRA file for this model";

/// Values and shape of every tensor, by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Storage type of floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stored {
    F32,
    F16,
    Bf16,
}

impl Stored {
    /// Value of a float after it was stored.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }
}

/// An error and its causes, as a program prints them.
pub fn chain(error: &dyn Error) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub fn device() -> Device {
    Device::flex()
}

pub fn tiny() -> Gpt2BackboneConfig {
    Gpt2BackboneConfig::new(6, 2, 2, 4, 8).with_max_sequence_length(5)
}

/// A model with distinct parameters, including biases.
pub fn tiny_model(config: &Gpt2BackboneConfig) -> Tensors {
    let backbone = Gpt2Backbone::new(config, 7, &device()).unwrap();
    let mut count = 0;
    let mut model = parameters(&backbone);
    for (_, values) in model.values_mut() {
        for value in values {
            count += 1;
            *value = (count as f32 * 0.37).sin();
        }
    }
    model
}

/// The fixtures' model: parameters, in the order of their names, are numbered in steps of 1/64.
pub fn numbered_model(config: &Gpt2BackboneConfig) -> Tensors {
    let mut model = tiny_model(config);
    let values = model.values_mut().flat_map(|(_, values)| values);
    values.enumerate().for_each(|(index, value)| *value = (index + 1) as f32 / 64.0);
    model
}

/// The model, rounded as it is stored.
pub fn rounded(model: &Tensors, stored: Stored) -> Tensors {
    let mut model = model.clone();
    for (_, values) in model.values_mut() {
        values.iter_mut().for_each(|value| *value = stored.round(*value));
    }
    model
}

/// Folder of files from other libraries.
pub fn fixtures(library: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(library)
}

pub fn parameters(backbone: &Gpt2Backbone) -> Tensors {
    let mut tensors = Tensors::new();
    visit_parameters(backbone, |path, data| {
        let shape = data.shape().to_vec();
        tensors.insert(path.to_owned(), (shape, data.try_to_vec().unwrap()));
    })
    .unwrap();
    tensors
}

/// Logits of some tokens.
pub fn logits(backbone: &Gpt2Backbone) -> Vec<f32> {
    let ids = Tensor::<2, Int>::from_data([[1, 2, 3, 0, 5]], &device());
    let hidden = backbone.forward(ids, None).unwrap();
    backbone.logits(hidden).try_into_vec_as().unwrap()
}

/// The model under the transformers library's names.
pub fn transformers_tensors(config: &Gpt2BackboneConfig, model: &Tensors) -> Tensors {
    let (hidden, inner) = (config.hidden_dim, config.intermediate_dim);
    let get = |path: &str| model[path].1.clone();
    let mut out = Tensors::new();
    let mut put = |name: String, shape: &[usize], values: Vec<f32>| {
        out.insert(name, (shape.to_vec(), values));
    };
    let vocabulary = config.vocabulary_size;
    put("transformer.wte.weight".into(), &[vocabulary, hidden], get("token_embedding.embeddings"));
    let positions = get("position_embedding.position_embeddings");
    put("transformer.wpe.weight".into(), &[config.max_sequence_length, hidden], positions);
    put("transformer.ln_f.weight".into(), &[hidden], get("layer_norm.gamma"));
    put("transformer.ln_f.bias".into(), &[hidden], get("layer_norm.beta"));
    if !config.tie_weights {
        let head = transposed(&get("token_embedding.reverse_embeddings"), vocabulary);
        put("lm_head.weight".into(), &[vocabulary, hidden], head);
    }
    for layer in 0..config.num_layers {
        let ours = format!("transformer_layers.{layer}");
        let theirs = format!("transformer.h.{layer}");
        for (norm, ln) in
            [("self_attention_layer_norm", "ln_1"), ("feedforward_layer_norm", "ln_2")]
        {
            put(format!("{theirs}.{ln}.weight"), &[hidden], get(&format!("{ours}.{norm}.gamma")));
            put(format!("{theirs}.{ln}.bias"), &[hidden], get(&format!("{ours}.{norm}.beta")));
        }
        let third = |what: &str, parameter: &str| {
            get(&format!("{ours}.self_attention_layer.{what}_dense.{parameter}"))
        };
        let kernels = ["query", "key", "value"].map(|what| third(what, "kernel"));
        let fused = (0..hidden).flat_map(|row| {
            let row = row * hidden..(row + 1) * hidden;
            kernels.iter().flat_map(move |kernel| kernel[row.clone()].to_vec())
        });
        put(format!("{theirs}.attn.c_attn.weight"), &[hidden, 3 * hidden], fused.collect());
        let biases = ["query", "key", "value"].map(|what| third(what, "bias")).concat();
        put(format!("{theirs}.attn.c_attn.bias"), &[3 * hidden], biases);
        for (dense, name, shape) in [
            ("self_attention_layer.output_dense", "attn.c_proj", [hidden, hidden]),
            ("feedforward_intermediate_dense", "mlp.c_fc", [hidden, inner]),
            ("feedforward_output_dense", "mlp.c_proj", [inner, hidden]),
        ] {
            put(format!("{theirs}.{name}.weight"), &shape, get(&format!("{ours}.{dense}.kernel")));
            let bias = get(&format!("{ours}.{dense}.bias"));
            put(format!("{theirs}.{name}.bias"), &shape[1..], bias);
        }
    }
    out
}

/// The model under KerasHub's names.
pub fn keras_tensors(config: &Gpt2BackboneConfig, model: &Tensors) -> Tensors {
    let (hidden, heads, head) = (config.hidden_dim, config.num_heads, config.head_dim());
    let mut out = Tensors::new();
    for (path, (shape, values)) in model {
        let (module, parameter) = path.rsplit_once('.').unwrap();
        let number = usize::from(matches!(parameter, "bias" | "beta" | "reverse_embeddings"));
        let name = match module {
            "token_embedding" => "reversible_embedding".to_owned(),
            "position_embedding" => "position_embedding".to_owned(),
            "layer_norm" => "layer_normalization".to_owned(),
            _ => {
                let (layer, inner) = module["transformer_layers.".len()..].split_once('.').unwrap();
                let decoder = match layer {
                    "0" => "transformer_decoder".to_owned(),
                    _ => format!("transformer_decoder_{layer}"),
                };
                format!("{decoder}/_{}", inner.replace('.', "/"))
            }
        };
        let shape = match (module.rsplit_once('.').map_or(module, |(_, last)| last), parameter) {
            ("query_dense" | "key_dense" | "value_dense", "kernel") => vec![hidden, heads, head],
            ("query_dense" | "key_dense" | "value_dense", "bias") => vec![heads, head],
            ("output_dense", "kernel") => vec![heads, head, hidden],
            _ => shape.clone(),
        };
        out.insert(format!("layers/{name}/vars/{number}"), (shape, values.clone()));
    }
    out
}

/// KerasHub's name of a tensor in files of its older versions.
pub fn older_keras_name(name: &str) -> String {
    let name = name.replacen("layers/", "_layer_checkpoint_dependencies/", 1);
    ["query", "key", "value", "output"].iter().fold(name, |name, dense| {
        name.replace(&format!("/{dense}_dense/"), &format!("/_{dense}_dense/"))
    })
}

/// Transposes rows of `columns` values.
pub fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

/// The bytes of a safetensors file.
pub fn safetensors(tensors: &Tensors, stored: Stored) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        let dtype = match stored {
            Stored::F32 => {
                data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                "F32"
            }
            Stored::F16 => {
                data.extend(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
                "F16"
            }
            Stored::Bf16 => {
                data.extend(values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()));
                "BF16"
            }
        };
        let info = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), info);
    }
    with_header(&Value::Object(header).to_string(), &data)
}

/// A safetensors file with this header, padded as by the format's own writer.
pub fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let padding = " ".repeat(header.len().next_multiple_of(8) - header.len());
    let header = [header, &padding].concat();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Writes a Keras weights file in HDF5's oldest version, as h5py does: it has no checksums.
pub fn write_hdf5(path: &Path, tensors: &Tensors, stored: Stored) {
    let file = H5File::options().libver(LibverBound::Earliest).create(path).unwrap();
    write_datasets(&file, tensors, stored);
    file.close().unwrap();
}

/// Writes each tensor to its group of a file.
pub fn write_datasets(file: &H5File, tensors: &Tensors, stored: Stored) {
    for (name, (shape, values)) in tensors {
        let (group, name) = group_of(file, name);
        write_dataset(&group, name, shape, values, stored);
    }
}

/// Group of a dataset, created if missing, and the dataset's own name.
pub fn group_of<'a>(file: &H5File, path: &'a str) -> (H5Group, &'a str) {
    let (groups, name) = path.rsplit_once('/').unwrap();
    let group = groups.split('/').fold(file.root_group(), |group, name| {
        group.create_group(name).or_else(|_| group.group(name)).unwrap()
    });
    (group, name)
}

pub fn write_dataset(group: &H5Group, name: &str, shape: &[usize], values: &[f32], stored: Stored) {
    if stored == Stored::F32 {
        let dataset = group.new_dataset::<f32>().shape(shape).create(name).unwrap();
        return dataset.write_raw(values).unwrap();
    }
    let half = stored == Stored::F16;
    let datatype = if half {
        DatatypeMessage::f16_type()
    } else {
        DatatypeMessage::Opaque { size: 2, tag: String::new() }
    };
    let bits: Vec<u16> = values
        .iter()
        .map(|value| match half {
            true => f16::from_f32(*value).to_bits(),
            false => bf16::from_f32(*value).to_bits(),
        })
        .collect();
    let dataset = group.new_dataset::<u16>().datatype(datatype).shape(shape).create(name).unwrap();
    dataset.write_raw(&bits).unwrap();
    if !half {
        let marker = dataset.new_attr::<VarLenUnicode>().create("dtype").unwrap();
        marker.write_string("bfloat16").unwrap();
    }
}

/// KerasHub's serialized object.
pub fn keras_object(class: &str, config: Value) -> Value {
    json!({
        "module": "keras_hub.src.models.gpt2",
        "class_name": class,
        "config": config,
        "registered_name": format!("keras_hub>{class}"),
    })
}

pub fn keras_config(config: &Gpt2BackboneConfig) -> Value {
    let mut json = serde_json::to_value(config).unwrap();
    json["name"] = json!("gpt2_backbone");
    json["trainable"] = json!(true);
    json["dtype"] = json!({"class_name": "DTypePolicy", "config": {"name": "float32"}});
    keras_object("GPT2Backbone", json)
}

pub fn transformers_config(config: &Gpt2BackboneConfig) -> Value {
    json!({
        "model_type": "gpt2",
        "vocab_size": config.vocabulary_size,
        "n_positions": config.max_sequence_length,
        "n_embd": config.hidden_dim,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.intermediate_dim,
        "tie_word_embeddings": config.tie_weights,
    })
}

pub fn write_json(folder: &Path, name: &str, json: &Value) {
    fs::write(folder.join(name), json.to_string()).unwrap();
}

pub const VOCABULARY: &str = r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#;
pub const MERGES: &str = "#version: 0.2\na b\n";

/// A folder in transformers' format with everything but weights.
pub fn transformers_folder(config: &Gpt2BackboneConfig) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_json(folder.path(), "config.json", &transformers_config(config));
    fs::write(folder.path().join("vocab.json"), VOCABULARY).unwrap();
    fs::write(folder.path().join("merges.txt"), MERGES).unwrap();
    folder
}

/// A folder in KerasHub's format with everything but weights.
pub fn keras_folder(config: &Gpt2BackboneConfig) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_json(folder.path(), "config.json", &keras_config(config));
    let tokenizer = json!({"sequence_length": null, "unsplittable_tokens": ["<|endoftext|>"]});
    write_json(folder.path(), "tokenizer.json", &keras_object("GPT2Tokenizer", tokenizer));
    let assets = folder.path().join("assets/tokenizer");
    fs::create_dir_all(&assets).unwrap();
    fs::write(assets.join("vocabulary.json"), VOCABULARY).unwrap();
    fs::write(assets.join("merges.txt"), MERGES).unwrap();
    folder
}

pub fn open(folder: &TempDir) -> Result<Preset, PresetError> {
    Preset::open(folder.path().to_str().unwrap())
}

/// Opens the folder and loads its weights.
pub fn load(folder: &TempDir) -> Result<(Tensors, LoadReport), PresetError> {
    let (backbone, report) = open(folder)?.backbone_with_report(&device())?;
    Ok((parameters(&backbone), report))
}

/// Loads a transformers preset with these weights.
pub fn load_safetensors(bytes: &[u8]) -> Result<(Tensors, LoadReport), PresetError> {
    let folder = transformers_folder(&tiny());
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    load(&folder)
}

/// CRC-32 as zip archives have it.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        let sum = sum ^ u32::from(*byte);
        (0..8).fold(sum, |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    })
}

/// Waits for a result with a time limit, so that a hang is a failure.
pub fn within_seconds<T: Send + 'static>(
    seconds: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(std::time::Duration::from_secs(seconds)).expect("an answer in time")
}

/// Runs the work of the test `name` while the folder is read-only. Permissions do not bind the
/// superuser: the test then runs again as another user.
#[cfg(unix)]
pub fn while_read_only(folder: &Path, name: &str, work: impl FnOnce()) {
    use std::os::unix::fs::PermissionsExt;
    let set = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    if fs::write(folder.join("probe"), "").is_ok() {
        gpt2_test_support::as_nobody(name);
    } else {
        work();
    }
    set(0o755);
}
