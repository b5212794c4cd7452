//! Distribution of the tensors over a transformers model's files.

use std::collections::HashSet;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_backbone::WeightDtype;
use serde_json::{Map, Value, json};

use crate::formats::transformers::names::SAFETENSORS;
use crate::formats::transformers::weight_map::{TRANSFORMERS, follows_layers};
use crate::weights::weights_names::is_shard_number;

/// A file of weights.
pub(crate) struct Shard {
    pub(crate) name: String,
    /// Tensors in the file.
    pub(crate) tensors: Vec<Tensor>,
    /// Size of their elements in bytes.
    size: u64,
}

/// A tensor of a file.
pub(crate) struct Tensor {
    /// Canonical name.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// Files of `save_pretrained(max_shard_size=…)` in transformers 5.23
/// (`huggingface_hub/serialization/_base.py`). Tensors fill files in the model's order; a tensor
/// above the size gets a file of its own.
pub(crate) fn plan(config: &Gpt2BackboneConfig, dtype: WeightDtype, max_size: u64) -> Vec<Shard> {
    let mut shards: Vec<Shard> = Vec::new();
    let mut current = Shard { name: String::new(), tensors: Vec::new(), size: 0 };
    for tensor in tensors(config) {
        let size = tensor.shape.iter().product::<usize>() as u64 * dtype.size() as u64;
        let alone = Shard { name: String::new(), tensors: vec![tensor], size };
        if size > max_size {
            // Before the file that is being filled, as in that library.
            shards.push(alone);
        } else if current.size + size > max_size {
            shards.push(std::mem::replace(&mut current, alone));
        } else {
            current.tensors.extend(alone.tensors);
            current.size += size;
        }
    }
    if !current.tensors.is_empty() {
        shards.push(current);
    }
    let count = shards.len();
    for (index, shard) in shards.iter_mut().enumerate() {
        shard.name = match count {
            1 => SAFETENSORS.whole.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
    }
    shards
}

/// All tensors, in the order of `GPT2LMHeadModel.state_dict()`.
fn tensors(config: &Gpt2BackboneConfig) -> Vec<Tensor> {
    let mut seen = HashSet::new();
    let mut tensors: Vec<_> = TRANSFORMERS
        .placements(config)
        // Queries, keys and values share a tensor.
        .filter(|placement| seen.insert(placement.tensor.clone()))
        .map(|placement| Tensor { name: placement.tensor, shape: placement.shape })
        .collect();
    tensors.sort_by_key(|tensor| follows_layers(&tensor.name));
    tensors
}

/// Content of `model.safetensors.index.json`.
pub(crate) fn index(config: &Gpt2BackboneConfig, shards: &[Shard]) -> Value {
    let mut places: Vec<_> = shards
        .iter()
        .flat_map(|Shard { name, tensors, .. }| {
            tensors.iter().map(move |tensor| ((TRANSFORMERS.file_name)(&tensor.name), json!(name)))
        })
        .collect();
    places.sort_by(|(first, _), (second, _)| first.cmp(second));
    let total: u64 = shards.iter().map(|shard| shard.size).sum();
    json!({
        "metadata": {
            // A valid config has at most 2^38 parameters.
            "total_parameters": config.parameter_count() as u64,
            "total_size": total,
        },
        "weight_map": Map::from_iter(places),
    })
}

/// Whether a file name is a shard's.
pub(crate) fn is_shard(name: &str) -> bool {
    is_numbered(name, "model-", ".safetensors")
}

/// Whether a file name is that of a shard of PyTorch weights.
pub(crate) fn is_pytorch_shard(name: &str) -> bool {
    is_numbered(name, "pytorch_model-", ".bin")
}

fn is_numbered(name: &str, start: &str, end: &str) -> bool {
    let numbers = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(number, count)| is_shard_number(number) && is_shard_number(count))
}
