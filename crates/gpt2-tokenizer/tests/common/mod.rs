//! GPT-2's real vocabulary and merges, rebuilt from tiktoken's ranks, and other implementations to
//! compare with.

use std::collections::HashMap;

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, TokenId, Vocabulary};
use tiktoken_rs::CoreBPE;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// Number of GPT-2's tokens besides `<|endoftext|>`, and the id of `<|endoftext|>`.
pub const END_OF_TEXT_ID: TokenId = 50256;
/// The first ids are the single bytes. Each later id is a merge, in the order of rank.
const SINGLE_BYTES: TokenId = 256;

/// Reference encoder: tiktoken.
pub fn oracle() -> &'static CoreBPE {
    tiktoken_rs::r50k_base_singleton()
}

/// This crate's tokenizer with GPT-2's vocabulary.
pub fn gpt2(config: Gpt2TokenizerConfig) -> Gpt2Tokenizer {
    Gpt2Tokenizer::new(gpt2_vocabulary(), gpt2_merges(), config).expect("GPT-2's own tables agree")
}

/// Plain `tokenizers`: with the expression, as transformers configures it for GPT-2, or without it,
/// as KerasHub does.
pub fn plain_tokenizers(use_regex: bool) -> tokenizers::Tokenizer {
    let (vocabulary, merges) = (gpt2_vocabulary(), gpt2_merges());
    let tokens = vocabulary.iter().map(|(token, id)| (token.to_owned(), id));
    let rules = merges.iter().map(|(left, right)| (left.to_owned(), right.to_owned()));
    let bpe = BPE::builder().vocab_and_merges::<Vocab>(tokens.collect(), rules.collect());
    let mut tokenizer = tokenizers::Tokenizer::new(bpe.build().expect("GPT-2's own tables"));
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, use_regex)));
    tokenizer
}

/// GPT-2's `vocab.json`.
pub fn gpt2_vocabulary() -> Vocabulary {
    let tokens = (0..END_OF_TEXT_ID).map(|id| (in_symbols(&token_bytes(id)), id));
    Vocabulary::from_pairs(tokens.chain([("<|endoftext|>".to_owned(), END_OF_TEXT_ID)]))
        .expect("ids and tokens are unique")
}

/// GPT-2's `merges.txt`. The rule for a token joins the two parts that the earlier rules leave of
/// its bytes.
pub fn gpt2_merges() -> Merges {
    let ranks: HashMap<Vec<u8>, TokenId> =
        (0..END_OF_TEXT_ID).map(|id| (token_bytes(id), id)).collect();
    let rules = (SINGLE_BYTES..END_OF_TEXT_ID).map(|id| {
        let parts = merge_below(&token_bytes(id), id, &ranks);
        assert_eq!(parts.len(), 2, "token {id}");
        format!("{} {}", in_symbols(&parts[0]), in_symbols(&parts[1]))
    });
    Merges::from_rules(rules).expect("rules of two tokens")
}

fn token_bytes(id: TokenId) -> Vec<u8> {
    oracle().decode_bytes(&[id]).expect("an id of the vocabulary")
}

/// Merges bytes with the rules of a rank below `limit`.
fn merge_below(bytes: &[u8], limit: TokenId, ranks: &HashMap<Vec<u8>, TokenId>) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = bytes.iter().map(|byte| vec![*byte]).collect();
    loop {
        let rank_at =
            |at: &usize| ranks.get(&parts[*at..at + 2].concat()).filter(|id| **id < limit);
        let best = (0..parts.len() - 1).filter_map(|at| Some((*rank_at(&at)?, at))).min();
        let Some((_, at)) = best else { return parts };
        let right = parts.remove(at + 1);
        parts[at].extend(right);
    }
}

/// Writes bytes in GPT-2's byte alphabet, by its definition in OpenAI's `encoder.py`.
fn in_symbols(bytes: &[u8]) -> String {
    let prints = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let symbol = |byte: &u8| match prints(byte) {
        true => char::from(*byte),
        false => {
            let before = (0..*byte).filter(|other| !prints(other)).count() as u32;
            char::from_u32(256 + before).expect("a letter of Latin Extended-A")
        }
    };
    bytes.iter().map(symbol).collect()
}
