//! Stage 5b: the transformers library's names in `model.safetensors`.

use crate::tensors::part::Part;
use crate::weights::weight_map::Axis::{Hidden, Inner, Positions, ThreeHidden, Vocabulary};
use crate::weights::weight_map::{Row, WeightMap, part, row};

/// Names of `transformers/models/gpt2/modeling_gpt2.py`. Its `Conv1D` kernels are `[input,
/// output]`, as ours, so only the output layer is transposed.
///
/// A file that holds the square `c_proj` transposed cannot be told from a right one by its shape.
pub(crate) const TRANSFORMERS: WeightMap = WeightMap {
    model: MODEL,
    head: HEAD,
    // `save_pretrained` drops the copy, KerasHub's exporter writes it.
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
    part("token_embedding.reverse_embeddings",    "lm_head.weight", &[Vocabulary, Hidden], Part::WHOLE.transposed());

#[rustfmt::skip]
const LAYER: &[Row] = &[
    row("self_attention_layer_norm.gamma",          "ln_1.weight",        &[Hidden]),
    row("self_attention_layer_norm.beta",           "ln_1.bias",          &[Hidden]),
    part("self_attention_layer.query_dense.kernel", "attn.c_attn.weight", &[Hidden, ThreeHidden], Part::columns(0)),
    part("self_attention_layer.query_dense.bias",   "attn.c_attn.bias",   &[ThreeHidden],         Part::columns(0)),
    part("self_attention_layer.key_dense.kernel",   "attn.c_attn.weight", &[Hidden, ThreeHidden], Part::columns(1)),
    part("self_attention_layer.key_dense.bias",     "attn.c_attn.bias",   &[ThreeHidden],         Part::columns(1)),
    part("self_attention_layer.value_dense.kernel", "attn.c_attn.weight", &[Hidden, ThreeHidden], Part::columns(2)),
    part("self_attention_layer.value_dense.bias",   "attn.c_attn.bias",   &[ThreeHidden],         Part::columns(2)),
    row("self_attention_layer.output_dense.kernel", "attn.c_proj.weight", &[Hidden, Hidden]),
    row("self_attention_layer.output_dense.bias",   "attn.c_proj.bias",   &[Hidden]),
    row("feedforward_layer_norm.gamma",             "ln_2.weight",        &[Hidden]),
    row("feedforward_layer_norm.beta",              "ln_2.bias",          &[Hidden]),
    row("feedforward_intermediate_dense.kernel",    "mlp.c_fc.weight",    &[Hidden, Inner]),
    row("feedforward_intermediate_dense.bias",      "mlp.c_fc.bias",      &[Inner]),
    row("feedforward_output_dense.kernel",          "mlp.c_proj.weight",  &[Inner, Hidden]),
    row("feedforward_output_dense.bias",            "mlp.c_proj.bias",    &[Hidden]),
];

/// Whether `GPT2LMHeadModel` lists a tensor behind those of its layers: the order in which the
/// library fills its files.
pub(crate) fn follows_layers(tensor: &str) -> bool {
    tensor == HEAD.tensor || tensor.starts_with("ln_f.")
}

fn layer_prefix(layer: usize) -> String {
    format!("h.{layer}.")
}

/// `GPT2LMHeadModel` puts everything but the output layer below `transformer.`, `GPT2Model` does not.
fn canonical(name: &str) -> String {
    name.strip_prefix("transformer.").unwrap_or(name).to_owned()
}

/// As in `GPT2LMHeadModel`.
fn file_name(tensor: &str) -> String {
    if tensor == HEAD.tensor { tensor.to_owned() } else { format!("transformer.{tensor}") }
}

/// The causal mask and its fill value, which older versions stored with every layer.
fn is_buffer(name: &str) -> bool {
    let Some((layer, buffer)) = name.strip_prefix("h.").and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    layer.parse::<usize>().is_ok() && matches!(buffer, "attn.bias" | "attn.masked_bias")
}
