//! llama.cpp's names in a GGUF file.

use crate::tensors::tensor_part::TensorPart;
use crate::weights::weight_map::Axis::{Hidden, Inner, Positions, ThreeHidden, Vocabulary};
use crate::weights::weight_map::{Row, WeightMap, part, row};

/// Token embedding; its number of rows is the vocabulary's size.
pub(crate) const TOKEN_EMBEDDING: &str = "token_embd.weight";
/// The position embedding.
pub(crate) const POSITION_EMBEDDING: &str = "position_embd.weight";
/// Output layer, if it is not tied to the token embedding.
pub(crate) const HEAD: &str = "output.weight";

/// Names of `LLM_ARCH_GPT2` (`src/llama-arch.cpp`). Kernels are `[output, input]`, transposed
/// relative to this library's. Those of queries, keys and values are stacked in one tensor.
pub(crate) const GGUF: WeightMap = WeightMap {
    model: MODEL,
    head: HEAD_ROW,
    // Older converters wrote the tied layer as a second tensor.
    head_repeats: Some(TOKEN_EMBEDDING),
    layer: LAYER,
    layer_prefix,
    canonical: str::to_owned,
    file_name: str::to_owned,
    is_buffer,
};

const TRANSPOSED: TensorPart = TensorPart::WHOLE.transposed();

#[rustfmt::skip]
const MODEL: &[Row] = &[
    row("token_embedding.embeddings",             TOKEN_EMBEDDING,      &[Vocabulary, Hidden]),
    row("position_embedding.position_embeddings", POSITION_EMBEDDING,   &[Positions, Hidden]),
    row("layer_norm.gamma",                       "output_norm.weight", &[Hidden]),
    row("layer_norm.beta",                        "output_norm.bias",   &[Hidden]),
];

#[rustfmt::skip]
const HEAD_ROW: Row =
    part("token_embedding.reverse_embeddings",    HEAD,                 &[Vocabulary, Hidden], TRANSPOSED);

#[rustfmt::skip]
const LAYER: &[Row] = &[
    row("self_attention_layer_norm.gamma",           "attn_norm.weight",   &[Hidden]),
    row("self_attention_layer_norm.beta",            "attn_norm.bias",     &[Hidden]),
    part("self_attention_layer.query_dense.kernel",  "attn_qkv.weight",    &[ThreeHidden, Hidden], TensorPart::rows(0).transposed()),
    part("self_attention_layer.query_dense.bias",    "attn_qkv.bias",      &[ThreeHidden],         TensorPart::columns(0)),
    part("self_attention_layer.key_dense.kernel",    "attn_qkv.weight",    &[ThreeHidden, Hidden], TensorPart::rows(1).transposed()),
    part("self_attention_layer.key_dense.bias",      "attn_qkv.bias",      &[ThreeHidden],         TensorPart::columns(1)),
    part("self_attention_layer.value_dense.kernel",  "attn_qkv.weight",    &[ThreeHidden, Hidden], TensorPart::rows(2).transposed()),
    part("self_attention_layer.value_dense.bias",    "attn_qkv.bias",      &[ThreeHidden],         TensorPart::columns(2)),
    part("self_attention_layer.output_dense.kernel", "attn_output.weight", &[Hidden, Hidden],      TRANSPOSED),
    row("self_attention_layer.output_dense.bias",    "attn_output.bias",   &[Hidden]),
    row("feedforward_layer_norm.gamma",              "ffn_norm.weight",    &[Hidden]),
    row("feedforward_layer_norm.beta",               "ffn_norm.bias",      &[Hidden]),
    part("feedforward_intermediate_dense.kernel",    "ffn_up.weight",      &[Inner, Hidden],       TRANSPOSED),
    row("feedforward_intermediate_dense.bias",       "ffn_up.bias",        &[Inner]),
    part("feedforward_output_dense.kernel",          "ffn_down.weight",    &[Hidden, Inner],       TRANSPOSED),
    row("feedforward_output_dense.bias",             "ffn_down.bias",      &[Hidden]),
];

fn layer_prefix(layer: usize) -> String {
    format!("blk.{layer}.")
}

/// llama.cpp accepts no unused tensors.
fn is_buffer(_name: &str) -> bool {
    false
}
