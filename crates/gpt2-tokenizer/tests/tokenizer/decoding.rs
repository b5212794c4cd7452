//! Ids back to text, at once and one by one.

use gpt2_tokenizer::TokenId;
use proptest::prelude::*;

use crate::common::{END_OF_TEXT_ID, oracle};
use crate::equality::{GPT2, text};

fn streamed(ids: &[TokenId], skip_special: bool) -> String {
    let mut stream = GPT2.decode_stream(skip_special);
    let mut joined = String::new();
    for id in ids {
        let piece = stream.push(*id).unwrap();
        assert_ne!(piece.as_deref(), Some(""));
        joined.extend(piece);
    }
    joined.extend(stream.finish());
    assert_eq!(stream.finish(), None);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Random ids, most of which end inside characters.
    #[test]
    fn a_stream_joins_to_the_whole(ids in proptest::collection::vec(
        prop_oneof![0..256_u32, 0..=END_OF_TEXT_ID, Just(END_OF_TEXT_ID)], 0..60))
    {
        prop_assert_eq!(streamed(&ids, false), GPT2.detokenize(&ids).unwrap());
        prop_assert_eq!(streamed(&ids, true), GPT2.detokenize_skip_special(&ids).unwrap());
        prop_assert_eq!(GPT2.decode_bytes(&ids).unwrap(), oracle().decode_bytes(&ids).unwrap());
    }

    /// Valid text never shows a replacement character, and no character is delayed.
    #[test]
    fn a_stream_gives_characters_at_once(text in text()) {
        let mut stream = GPT2.decode_stream(false);
        let mut bytes = Vec::new();
        let mut joined = String::new();
        for id in GPT2.tokenize(&text).unwrap() {
            bytes.extend(GPT2.decode_bytes(&[id]).unwrap());
            joined.extend(stream.push(id).unwrap());
            let complete = match std::str::from_utf8(&bytes) {
                Ok(complete) => complete,
                Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap(),
            };
            prop_assert_eq!(&joined, complete);
        }
        prop_assert_eq!(stream.finish(), None);
        prop_assert_eq!(joined, text);
    }
}

#[test]
fn an_emoji_waits_for_its_last_byte() {
    let ids = GPT2.tokenize("🙂").unwrap();
    assert!(ids.len() > 1);
    let mut stream = GPT2.decode_stream(true);
    let pieces: Vec<_> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert!(pieces[..pieces.len() - 1].iter().all(Option::is_none));
    assert_eq!(pieces.last().unwrap().as_deref(), Some("🙂"));
}

#[test]
fn invalid_bytes_become_replacements() {
    assert_eq!(GPT2.detokenize(&[]).unwrap(), "");
    // Id 222 is the byte 0x80, which cannot begin a character.
    assert_eq!(GPT2.decode_bytes(&[222]).unwrap(), [0x80]);
    assert_eq!(GPT2.detokenize(&[64, 222, 65]).unwrap(), "a\u{fffd}b");
    assert_eq!(streamed(&[64, 222, 65], false), "a\u{fffd}b");
}

#[test]
fn special_tokens_are_skipped_on_demand() {
    let ids = [END_OF_TEXT_ID, 15496, END_OF_TEXT_ID];
    assert_eq!(GPT2.detokenize(&ids).unwrap(), "<|endoftext|>Hello<|endoftext|>");
    assert_eq!(GPT2.detokenize_skip_special(&ids).unwrap(), "Hello");
    assert_eq!(streamed(&ids, true), "Hello");
}

#[test]
fn tokens_and_ids_map_to_each_other() {
    for id in 0..=END_OF_TEXT_ID {
        assert_eq!(GPT2.token_to_id(GPT2.id_to_token(id).unwrap()).unwrap(), id);
    }
    assert_eq!(GPT2.token_to_id("Ġthe").unwrap(), 262);
    assert_eq!(GPT2.vocabulary().iter().count(), GPT2.vocabulary_size());
    assert_eq!(GPT2.merges().len(), 50_000);
    assert_eq!(GPT2.merges().iter().next(), Some(("Ġ", "t")));
}
