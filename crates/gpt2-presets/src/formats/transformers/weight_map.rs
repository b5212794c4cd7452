//! The transformers library's names in `model.safetensors`.

use crate::tensors::tensor_part::TensorPart;
use crate::weights::weight_map::Axis::{Hidden, Inner, Positions, ThreeHidden, Vocabulary};
use crate::weights::weight_map::{Row, WeightMap, part, row};

/// Names of `transformers/models/gpt2/modeling_gpt2.py`. Its `Conv1D` kernels are `[input,
/// output]`, as in this library; only the output layer is transposed.
///
/// A square `c_proj` that a file holds transposed cannot be recognised by its shape.
pub(crate) const TRANSFORMERS: WeightMap = WeightMap {
    model: MODEL,
    head: HEAD,
    // `save_pretrained` omits the copy; KerasHub's exporter writes it.
    head_repeats: Some("wte.weight"),
    layer: LAYER,
    layer_prefix,
    canonical,
    file_name,
    is_buffer,
};

#[rustfmt::skip]
const MODEL: &[Row] = &[
    row("token_embedding.embeddings",             "wte.weight",  &[Vocabulary, Hidden]),
    row("position_embedding.position_embeddings", "wpe.weight",  &[Positions, Hidden]),
    row("layer_norm.gamma",                       "ln_f.weight", &[Hidden]),
    row("layer_norm.beta",                        "ln_f.bias",   &[Hidden]),
];

#[rustfmt::skip]
const HEAD: Row =
    part("token_embedding.reverse_embeddings",    "lm_head.weight", &[Vocabulary, Hidden], TensorPart::WHOLE.transposed());

#[rustfmt::skip]
const LAYER: &[Row] = &[
    row("self_attention_layer_norm.gamma",          "ln_1.weight",        &[Hidden]),
    row("self_attention_layer_norm.beta",           "ln_1.bias",          &[Hidden]),
    part("self_attention_layer.query_dense.kernel", "attn.c_attn.weight", &[Hidden, ThreeHidden], TensorPart::columns(0)),
    part("self_attention_layer.query_dense.bias",   "attn.c_attn.bias",   &[ThreeHidden],         TensorPart::columns(0)),
    part("self_attention_layer.key_dense.kernel",   "attn.c_attn.weight", &[Hidden, ThreeHidden], TensorPart::columns(1)),
    part("self_attention_layer.key_dense.bias",     "attn.c_attn.bias",   &[ThreeHidden],         TensorPart::columns(1)),
    part("self_attention_layer.value_dense.kernel", "attn.c_attn.weight", &[Hidden, ThreeHidden], TensorPart::columns(2)),
    part("self_attention_layer.value_dense.bias",   "attn.c_attn.bias",   &[ThreeHidden],         TensorPart::columns(2)),
    row("self_attention_layer.output_dense.kernel", "attn.c_proj.weight", &[Hidden, Hidden]),
    row("self_attention_layer.output_dense.bias",   "attn.c_proj.bias",   &[Hidden]),
    row("feedforward_layer_norm.gamma",             "ln_2.weight",        &[Hidden]),
    row("feedforward_layer_norm.beta",              "ln_2.bias",          &[Hidden]),
    row("feedforward_intermediate_dense.kernel",    "mlp.c_fc.weight",    &[Hidden, Inner]),
    row("feedforward_intermediate_dense.bias",      "mlp.c_fc.bias",      &[Inner]),
    row("feedforward_output_dense.kernel",          "mlp.c_proj.weight",  &[Inner, Hidden]),
    row("feedforward_output_dense.bias",            "mlp.c_proj.bias",    &[Hidden]),
];

/// Whether `GPT2LMHeadModel` lists a tensor after those of its layers. The library fills its files
/// in this order.
pub(crate) fn follows_layers(tensor: &str) -> bool {
    tensor == HEAD.tensor || tensor.starts_with("ln_f.")
}

fn layer_prefix(layer: usize) -> String {
    format!("h.{layer}.")
}

/// Canonical name: `GPT2LMHeadModel` prefixes all but the output layer with `transformer.`,
/// `GPT2Model` does not.
fn canonical(name: &str) -> String {
    name.strip_prefix("transformer.").unwrap_or(name).to_owned()
}

/// Name in a `GPT2LMHeadModel`.
fn file_name(tensor: &str) -> String {
    if tensor == HEAD.tensor { tensor.to_owned() } else { format!("transformer.{tensor}") }
}

/// Causal mask and its fill value, which older versions stored in every layer.
fn is_buffer(name: &str) -> bool {
    let Some((layer, buffer)) = name.strip_prefix("h.").and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    layer.parse::<usize>().is_ok() && matches!(buffer, "attn.bias" | "attn.masked_bias")
}
