//! Writer of a model's parameters and its tokenizer to a GGUF file.
//!
//! As in llama.cpp's `convert_hf_to_gguf.py`, norms, biases and the position embedding stay 32-bit
//! floats also with 16-bit weights: ggml can add nothing else to hidden states.

use std::collections::{HashMap, HashSet};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_backbone::WeightDtype;
use gpt2_files::write_error;
use gpt2_tokenizer::{Gpt2Tokenizer, TokenId, Vocabulary};

use crate::error::PresetError;
use crate::formats::gguf::keys::{
    ADD_BOS_TOKEN, ARCHITECTURE, BLOCK_COUNT, BOS_TOKEN_ID, CONTEXT_LENGTH, EMBEDDING_LENGTH,
    EOS_TOKEN_ID, FEED_FORWARD_LENGTH, FILE_TYPE, GPT2, HEAD_COUNT, LAYER_NORM_EPSILON, MERGES,
    NAME, QUANTIZATION_VERSION, TOKEN_TYPE, TOKENIZER_MODEL, TOKENIZER_PRE, TOKENS, TYPE,
    VOCAB_SIZE, token_type,
};
use crate::formats::gguf::layout::Layout;
use crate::formats::gguf::tensor_type::TensorType;
use crate::formats::gguf::weight_map::{GGUF, POSITION_EMBEDDING};
use crate::tensors::float_writer::FloatWriter;
use crate::weights::overflow::check_range;
use crate::weights::placed_parameters::{Parameters, each_placed_parameter};
use crate::weights::weight_map::Placement;

/// Writes all parameters. `target` is the file's name in errors, and gives the model's name.
pub(crate) fn write(
    target: &Path,
    file: &mut (impl Write + Seek),
    parameters: &mut dyn Parameters,
    tokenizer: Option<&Gpt2Tokenizer>,
    dtype: WeightDtype,
) -> Result<(), PresetError> {
    let config = parameters.config();
    let mut layout = Layout::default();
    layout.text(ARCHITECTURE, GPT2);
    layout.text(TYPE, "model");
    layout.text(NAME, &target.file_stem().unwrap_or_default().to_string_lossy());
    add_config(&mut layout, config, dtype);
    add_tokenizer(&mut layout, config, tokenizer);
    let offsets = add_tensors(&mut layout, config, dtype);
    let data_size = layout.data_size();
    let header = layout.into_bytes();
    write_frame(file, &header, data_size).map_err(write_error(target))?;
    each_placed_parameter(
        parameters,
        &GGUF,
        |_| true,
        |placement, values| {
            let dtype = stored_dtype(placement, dtype);
            check_range(dtype, &GGUF, placement, values)?;
            let start = header.len() as u64 + offsets[&placement.tensor];
            let mut floats = FloatWriter { file: &mut *file, dtype };
            let Placement { part, shape, .. } = placement;
            Ok(floats.write_part(start, *part, shape, values).map_err(write_error(target))?)
        },
    )
}

/// Adds all tensors and returns their offsets after the header.
fn add_tensors(
    layout: &mut Layout,
    config: &Gpt2BackboneConfig,
    dtype: WeightDtype,
) -> HashMap<String, u64> {
    let mut offsets = HashMap::new();
    for placement in GGUF.placements(config) {
        let Placement { tensor, shape, .. } = &placement;
        // Added once, also if several parameters share it.
        if !offsets.contains_key(tensor) {
            let dtype = stored_dtype(&placement, dtype);
            let size = shape.iter().product::<usize>() * dtype.size();
            let offset = layout.tensor(tensor, shape, TensorType::of(dtype).id, size as u64);
            offsets.insert(tensor.clone(), offset);
        }
    }
    offsets
}

/// Writes the header, and the last byte of the file, which may be padding.
fn write_frame(file: &mut (impl Write + Seek), header: &[u8], size: u64) -> std::io::Result<()> {
    file.write_all(header)?;
    file.seek(SeekFrom::Start(header.len() as u64 + size - 1))?;
    file.write_all(&[0])
}

/// Float type of a tensor in a file with weights of type `dtype`.
fn stored_dtype(placement: &Placement, dtype: WeightDtype) -> WeightDtype {
    let is_kernel = placement.shape.len() > 1 && placement.tensor != POSITION_EMBEDDING;
    if is_kernel { dtype } else { WeightDtype::F32 }
}

fn add_config(layout: &mut Layout, config: &Gpt2BackboneConfig, dtype: WeightDtype) {
    // The sizes of a valid config are far smaller.
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    layout.integer(BLOCK_COUNT, size(config.num_layers));
    layout.integer(CONTEXT_LENGTH, size(config.max_sequence_length));
    layout.integer(EMBEDDING_LENGTH, size(config.hidden_dim));
    layout.integer(FEED_FORWARD_LENGTH, size(config.intermediate_dim));
    layout.integer(HEAD_COUNT, size(config.num_heads));
    layout.number(LAYER_NORM_EPSILON, config.layer_norm_epsilon as f32);
    // `llama_ftype` in `llama.h`.
    let file_type = match dtype {
        WeightDtype::F32 => 0,
        WeightDtype::F16 => 1,
        WeightDtype::Bf16 => 32,
    };
    layout.integer(FILE_TYPE, file_type);
    layout.integer(QUANTIZATION_VERSION, 2);
    layout.integer(VOCAB_SIZE, size(config.vocabulary_size));
}

fn add_tokenizer(
    layout: &mut Layout,
    config: &Gpt2BackboneConfig,
    tokenizer: Option<&Gpt2Tokenizer>,
) {
    let Some(tokenizer) = tokenizer else {
        // llama.cpp then creates one token without text for each embedding.
        return layout.text(TOKENIZER_MODEL, "none");
    };
    layout.text(TOKENIZER_MODEL, "gpt2");
    layout.text(TOKENIZER_PRE, "gpt-2");
    let unsplittable = tokenizer.config().unsplittable_tokens.iter();
    let unsplittable: HashSet<_> = unsplittable.map(String::as_str).collect();
    let special = tokenizer.special_token_ids();
    let (mut tokens, mut types) = (Vec::new(), Vec::new());
    for id in 0..config.vocabulary_size as TokenId {
        let token = tokenizer.vocabulary().token(id);
        types.push(match token {
            None => token_type::UNUSED,
            Some(_) if special.contains(&id) => token_type::CONTROL,
            Some(token) if unsplittable.contains(token) => token_type::USER_DEFINED,
            Some(_) => token_type::NORMAL,
        });
        let filler = || filler(tokenizer.vocabulary(), id);
        tokens.push(token.map_or_else(filler, str::to_owned));
    }
    layout.texts(TOKENS, &tokens);
    layout.integers(TOKEN_TYPE, &types);
    let merges = tokenizer.merges().iter().map(|(left, right)| format!("{left} {right}"));
    layout.texts(MERGES, &merges.collect::<Vec<_>>());
    layout.integer(BOS_TOKEN_ID, tokenizer.start_token_id());
    layout.integer(EOS_TOKEN_ID, tokenizer.end_token_id());
    layout.flag(ADD_BOS_TOKEN, false);
}

/// Text for an id without a token, as in llama.cpp's converter. No token may have this text.
fn filler(vocabulary: &Vocabulary, id: TokenId) -> String {
    let mut text = format!("[PAD{id}]");
    while vocabulary.id(&text).is_some() {
        text.push(']');
    }
    text
}
