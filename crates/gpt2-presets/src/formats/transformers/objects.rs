//! JSON files of the transformers library, from models and tokenizers.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_backbone::WeightDtype;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Value, json};

/// `config.json`.
///
/// Without a tokenizer, the start and end ids are null. KerasHub's exporter then writes 50256 for
/// any vocabulary.
pub(crate) fn config(
    config: &Gpt2BackboneConfig,
    tokenizer: Option<&Gpt2Tokenizer>,
    dtype: WeightDtype,
) -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "dtype": dtype.name(),
        "vocab_size": config.vocabulary_size,
        "n_positions": config.max_sequence_length,
        "n_embd": config.hidden_dim,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.intermediate_dim,
        "activation_function": config.activation,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "initializer_range": 0.02,
        "scale_attn_weights": config.scale_attention,
        "scale_attn_by_inverse_layer_idx": config.scale_attention_by_layer,
        "reorder_and_upcast_attn": false,
        "tie_word_embeddings": config.tie_weights,
        "summary_type": "cls_index",
        "summary_use_proj": true,
        "summary_activation": null,
        "summary_proj_to_labels": true,
        "summary_first_dropout": config.dropout,
        "use_cache": true,
        "bos_token_id": tokenizer.map(Gpt2Tokenizer::start_token_id),
        "eos_token_id": tokenizer.map(Gpt2Tokenizer::end_token_id),
    })
}

/// `generation_config.json`.
pub(crate) fn generation_config(tokenizer: Option<&Gpt2Tokenizer>) -> Value {
    json!({
        "_from_model_config": true,
        "bos_token_id": tokenizer.map(Gpt2Tokenizer::start_token_id),
        "eos_token_id": tokenizer.map(Gpt2Tokenizer::end_token_id),
    })
}

/// `tokenizer_config.json`. `positions` is the model's number of positions, if there is a model.
pub(crate) fn tokenizer_config(tokenizer: &Gpt2Tokenizer, positions: Option<usize>) -> Value {
    let [special] = tokenizer.special_tokens();
    let mut json = json!({
        "tokenizer_class": "GPT2Tokenizer",
        "model_type": "gpt2",
        "add_prefix_space": tokenizer.config().add_prefix_space,
        "bos_token": special,
        "eos_token": special,
        "unk_token": special,
        "clean_up_tokenization_spaces": false,
    });
    if let Some(positions) = positions {
        json["model_max_length"] = json!(positions);
    }
    json
}

/// `tokenizer.json`, which transformers prefers to the vocabulary and merges files.
pub(crate) fn tokenizer(tokenizer: &Gpt2Tokenizer) -> Value {
    let [special] = tokenizer.special_tokens();
    let byte_level = |add_prefix_space: bool, trim_offsets: bool| {
        json!({
            "type": "ByteLevel",
            "add_prefix_space": add_prefix_space,
            "trim_offsets": trim_offsets,
            "use_regex": true,
        })
    };
    let merges = tokenizer.merges().iter().map(|(left, right)| format!("{left} {right}"));
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": tokenizer.end_token_id(),
            "content": special,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": true,
        }],
        "normalizer": null,
        "pre_tokenizer": byte_level(tokenizer.config().add_prefix_space, true),
        "post_processor": byte_level(true, false),
        "decoder": byte_level(true, true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": tokenizer.vocabulary(),
            "merges": merges.collect::<Vec<_>>(),
        },
    })
}
