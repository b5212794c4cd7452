//! Conversion of a GGUF file's metadata to the tokenizer.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};

use crate::error::PresetError;
use crate::formats::gguf::header::Header;
use crate::formats::gguf::keys::{
    BOS_TOKEN_ID, EOS_TOKEN_ID, MERGES, TOKEN_TYPE, TOKENIZER_MODEL, TOKENIZER_PRE, TOKENS,
    token_type,
};
use crate::formats::gguf::metadata::{Metadata, Texts};
use crate::formats::gguf::weight_map::TOKEN_EMBEDDING;
use crate::formats::tables::check_vocabulary;

/// Tokenizer of a file.
///
/// - A file without `tokenizer.ggml.pre`, or with `default`, was written before that key existed.
///   It gets GPT-2's split, which llama.cpp no longer uses for it (with a warning).
/// - Tokens that llama.cpp matches before the merges are unsplittable.
/// - Tokens of the type "unused" only pad the vocabulary to the model's size, and are ignored.
/// - `tokenizer.ggml.add_bos_token` concerns prompts, for which the preprocessor's settings hold
///   here.
pub(crate) fn tokenizer(header: &Header) -> Result<Gpt2Tokenizer, PresetError> {
    let metadata = &header.metadata;
    if metadata.text(TOKENIZER_MODEL)? != Some("gpt2") {
        return Err(metadata.invalid(TOKENIZER_MODEL, "\"gpt2\" for a file with a tokenizer"));
    }
    if !matches!(metadata.text(TOKENIZER_PRE)?, None | Some("default" | "gpt-2")) {
        return Err(metadata.invalid(TOKENIZER_PRE, "\"gpt-2\""));
    }
    let tokens = texts(metadata, TOKENS)?;
    let count = tokens.clone().count();
    let rows = header.tensors.get(TOKEN_EMBEDDING).and_then(|tensor| tensor.shape.first());
    // Checked before any list is built. Unused tokens count too, as in llama.cpp.
    if let (Some(rows), Some(last)) = (rows, count.checked_sub(1)) {
        check_vocabulary(metadata.file(), u32::try_from(last).unwrap_or(u32::MAX), *rows)?;
    }
    let types = metadata.integers(TOKEN_TYPE)?;
    if types.as_ref().is_some_and(|types| types.len() != count) {
        return Err(metadata.invalid(TOKEN_TYPE, "as long as `tokenizer.ggml.tokens`"));
    }
    let types = types.unwrap_or_else(|| vec![token_type::NORMAL; count]);
    let vocabulary = tokens.clone().zip(0..).zip(&types);
    let vocabulary = vocabulary.filter(|(_, token_type)| **token_type != token_type::UNUSED);
    let vocabulary = Vocabulary::from_pairs(vocabulary.map(|((token, id), _)| (token, id)))?;
    let merges = Merges::from_rules(texts(metadata, MERGES)?)?;
    let whole = tokens.zip(&types).filter(|(_, token_type)| {
        matches!(**token_type, token_type::CONTROL | token_type::USER_DEFINED)
    });
    let config = Gpt2TokenizerConfig::new().with_unsplittable_tokens(whole.map(|(token, _)| token));
    let tokenizer = Gpt2Tokenizer::new(vocabulary, merges, config)?;
    check_special(metadata, &tokenizer, count)?;
    Ok(tokenizer)
}

fn texts<'a>(metadata: &'a Metadata, key: &'static str) -> Result<Texts<'a>, PresetError> {
    metadata.texts(key)?.ok_or_else(|| metadata.invalid(key, "an array of UTF-8 strings"))
}

/// Returns an error for a start or end token other than `<|endoftext|>`. Ids without a token are
/// ignored, as by llama.cpp.
fn check_special(
    metadata: &Metadata,
    tokenizer: &Gpt2Tokenizer,
    tokens: usize,
) -> Result<(), PresetError> {
    for key in [BOS_TOKEN_ID, EOS_TOKEN_ID] {
        let id = metadata.token_id(key)?.filter(|id| (*id as usize) < tokens);
        if id.is_some_and(|id| id != tokenizer.end_token_id()) {
            return Err(metadata.invalid(key, "the id of `<|endoftext|>`"));
        }
    }
    Ok(())
}
