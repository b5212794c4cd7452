//! KerasHub's names in `model.weights.h5`.

use crate::weights::weight_map::Axis::{HeadDim, Heads, Hidden, Inner, Positions, Vocabulary};
use crate::weights::weight_map::{Row, WeightMap, row};

/// Keras names a variable by the class of its layer, with a counter, and by its index in the layer
/// (`keras/src/saving/saving_lib.py`). Kernels are `[input, output]`, with an axis for the heads;
/// the order of the elements is that of this library.
pub(crate) const KERAS: WeightMap = WeightMap {
    model: MODEL,
    head: HEAD,
    head_repeats: None,
    layer: LAYER,
    layer_prefix,
    canonical,
    file_name,
    is_buffer,
};

#[rustfmt::skip]
const MODEL: &[Row] = &[
    row("token_embedding.embeddings",             "reversible_embedding/vars/0", &[Vocabulary, Hidden]),
    row("position_embedding.position_embeddings", "position_embedding/vars/0",   &[Positions, Hidden]),
    row("layer_norm.gamma",                       "layer_normalization/vars/0",  &[Hidden]),
    row("layer_norm.beta",                        "layer_normalization/vars/1",  &[Hidden]),
];

/// `ReversibleEmbedding` stores an untied table transposed. KerasHub's GPT-2 is always tied.
#[rustfmt::skip]
const HEAD: Row =
    row("token_embedding.reverse_embeddings",     "reversible_embedding/vars/1", &[Hidden, Vocabulary]);

#[rustfmt::skip]
const LAYER: &[Row] = &[
    row("self_attention_layer_norm.gamma",          "_self_attention_layer_norm/vars/0",           &[Hidden]),
    row("self_attention_layer_norm.beta",           "_self_attention_layer_norm/vars/1",           &[Hidden]),
    row("self_attention_layer.query_dense.kernel",  "_self_attention_layer/query_dense/vars/0",    &[Hidden, Heads, HeadDim]),
    row("self_attention_layer.query_dense.bias",    "_self_attention_layer/query_dense/vars/1",    &[Heads, HeadDim]),
    row("self_attention_layer.key_dense.kernel",    "_self_attention_layer/key_dense/vars/0",      &[Hidden, Heads, HeadDim]),
    row("self_attention_layer.key_dense.bias",      "_self_attention_layer/key_dense/vars/1",      &[Heads, HeadDim]),
    row("self_attention_layer.value_dense.kernel",  "_self_attention_layer/value_dense/vars/0",    &[Hidden, Heads, HeadDim]),
    row("self_attention_layer.value_dense.bias",    "_self_attention_layer/value_dense/vars/1",    &[Heads, HeadDim]),
    row("self_attention_layer.output_dense.kernel", "_self_attention_layer/output_dense/vars/0",   &[Heads, HeadDim, Hidden]),
    row("self_attention_layer.output_dense.bias",   "_self_attention_layer/output_dense/vars/1",   &[Hidden]),
    row("feedforward_layer_norm.gamma",             "_feedforward_layer_norm/vars/0",              &[Hidden]),
    row("feedforward_layer_norm.beta",              "_feedforward_layer_norm/vars/1",              &[Hidden]),
    row("feedforward_intermediate_dense.kernel",    "_feedforward_intermediate_dense/vars/0",      &[Hidden, Inner]),
    row("feedforward_intermediate_dense.bias",      "_feedforward_intermediate_dense/vars/1",      &[Inner]),
    row("feedforward_output_dense.kernel",          "_feedforward_output_dense/vars/0",            &[Inner, Hidden]),
    row("feedforward_output_dense.bias",            "_feedforward_output_dense/vars/1",            &[Hidden]),
];

/// Group of the backbone in the weights of a whole task.
pub(crate) const INSIDE_TASK: &str = "layers/gpt2_backbone/";

/// The first layer of a class has no number.
fn layer_prefix(layer: usize) -> String {
    match layer {
        0 => "transformer_decoder/".to_owned(),
        _ => format!("transformer_decoder_{layer}/"),
    }
}

/// Canonical name: undoes the older name of the layer list, the prefix of a task, and the older
/// names of the dense layers.
fn canonical(name: &str) -> String {
    let list = |name: &str| {
        let inner = name.strip_prefix("layers/");
        inner.or_else(|| name.strip_prefix("_layer_checkpoint_dependencies/")).map(str::to_owned)
    };
    let mut name = list(name).unwrap_or_else(|| name.to_owned());
    if let Some(inner) = name.strip_prefix("gpt2_backbone/").and_then(list) {
        name = inner;
    }
    for dense in ["query_dense", "key_dense", "value_dense", "output_dense"] {
        name = name.replace(&format!("/_{dense}/"), &format!("/{dense}/"));
    }
    name
}

/// Name that KerasHub 0.32 writes.
fn file_name(tensor: &str) -> String {
    format!("layers/{tensor}")
}

/// Name of a group's layer, which Keras writes as an attribute and never reads.
pub(crate) fn layer_name(group: &str) -> &str {
    let layer = group.strip_suffix("/vars").unwrap_or(group);
    match layer.rsplit_once('/').map_or(layer, |(_, layer)| layer) {
        "reversible_embedding" => "token_embedding",
        "layer_normalization" => "layer_norm",
        "query_dense" => "query",
        "key_dense" => "key",
        "value_dense" => "value",
        "output_dense" => "attention_output",
        other => other.trim_start_matches('_'),
    }
}

/// States of random generators and of an optimizer.
fn is_buffer(name: &str) -> bool {
    name.contains("seed_generator/vars/") || name.starts_with("optimizer/")
}
