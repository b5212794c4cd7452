//! Byte alphabet: the printable character that represents each byte in a token.
//!
//! Follows OpenAI's `bytes_to_unicode` (`encoder.py`). A byte that is printable in Latin-1
//! represents itself; the 68 other bytes use the characters from U+0100 on, in order. A space is
//! `Ġ`, a newline `Ċ`.

use std::sync::LazyLock;

/// First code point of the symbols for unprintable bytes.
const FIRST_SUBSTITUTE: u32 = 0x100;
/// Number of unprintable bytes.
const SUBSTITUTES: usize = 68;

/// Both directions of the byte alphabet.
struct ByteAlphabet {
    symbols: [char; 256],
    bytes: [u8; FIRST_SUBSTITUTE as usize + SUBSTITUTES],
}

static ALPHABET: LazyLock<ByteAlphabet> = LazyLock::new(|| {
    let mut symbols = ['\0'; 256];
    let mut bytes = [0; FIRST_SUBSTITUTE as usize + SUBSTITUTES];
    let mut substitutes = ('\u{100}'..).take(SUBSTITUTES);
    for byte in 0..=u8::MAX {
        let prints = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let symbol = match prints {
            true => char::from(byte),
            false => substitutes.next().unwrap_or('\0'),
        };
        symbols[usize::from(byte)] = symbol;
        bytes[symbol as usize] = byte;
    }
    ByteAlphabet { symbols, bytes }
});

/// Symbol of every byte, indexed by the byte.
pub(crate) fn symbols() -> &'static [char; 256] {
    &ALPHABET.symbols
}

/// Byte of a symbol. None for a character outside the alphabet.
fn byte_of(symbol: char) -> Option<u8> {
    let byte = *ALPHABET.bytes.get(symbol as usize)?;
    (ALPHABET.symbols[usize::from(byte)] == symbol).then_some(byte)
}

/// Bytes of a token. None if the token is not written in the alphabet.
pub(crate) fn bytes_of(token: &str) -> Option<Box<[u8]>> {
    token.chars().map(byte_of).collect()
}

/// Bytes of a token of the vocabulary.
///
/// A token that is not written in the alphabet, as some special tokens are not, has its own UTF-8
/// bytes.
pub(crate) fn token_bytes(token: &str) -> Box<[u8]> {
    bytes_of(token).unwrap_or_else(|| token.as_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_symbol() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(symbols()[usize::from(byte)]), Some(byte));
        }
        assert_eq!(symbols()[usize::from(b' ')], 'Ġ');
        assert_eq!(symbols()[usize::from(b'\n')], 'Ċ');
        assert_eq!(symbols()[0xAD], '\u{143}');
    }

    #[test]
    fn other_characters_stand_for_themselves() {
        for symbol in [' ', '\n', '\u{7f}', '\u{ad}', '\u{144}', '語'] {
            assert_eq!(byte_of(symbol), None, "{symbol:?}");
        }
        assert_eq!(&*token_bytes("Ġa"), b" a");
        assert_eq!(&*token_bytes("a b"), b"a b");
    }
}
