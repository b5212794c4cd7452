//! Token in the cookies that `modelscope login` saves.
//!
//! The file is a pickled `RequestsCookieJar`. Reading runs no code and builds no objects: it
//! collects the strings and integers, in the order in which a cookie's state holds them.

use std::collections::HashMap;

const COOKIE: &str = "m_session_id";

/// Item that a pickle pushes, reduced to what a cookie needs.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Text(String),
    Integer(i64),
    Other,
}

/// Token of the session. None without a session, for a session that has expired by `now` (seconds
/// since 1970), or for a file that is not such a jar.
pub(crate) fn session_token(pickle: &[u8], now: i64) -> Option<String> {
    let items = items(pickle)?;
    let is = |item: &Item, text: &str| matches!(item, Item::Text(found) if found == text);
    // The last cookie is the one that was set last.
    let mut windows = items.windows(4).enumerate();
    let (start, window) = windows.rfind(|(_, window)| {
        is(&window[0], "name") && is(&window[1], COOKIE) && is(&window[2], "value")
    })?;
    // A cookie without an expiry lasts as long as the session, whose end is unknown.
    let expires = items[start..].windows(2).find(|pair| is(&pair[0], "expires"));
    if let Some([_, Item::Integer(expires)]) = expires
        && *expires <= now
    {
        return None;
    }
    match &window[3] {
        Item::Text(token) if !token.is_empty() => Some(token.clone()),
        _ => None,
    }
}

/// Items of a pickle in their order. None if it has an operation that a jar does not need.
fn items(pickle: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut memo = HashMap::new();
    let mut rest = pickle;
    loop {
        match *take(&mut rest, 1)?.first()? {
            // STOP
            b'.' => return Some(items),
            // MEMOIZE, BINPUT, LONG_BINPUT: remember the last item.
            0x94 => drop(memo.insert(memo.len() as i64, items.last()?.clone())),
            b'q' => drop(memo.insert(number(&mut rest, 1)?, items.last()?.clone())),
            b'r' => drop(memo.insert(number(&mut rest, 4)?, items.last()?.clone())),
            // PROTO, FRAME
            0x80 => drop(take(&mut rest, 1)?),
            0x95 => drop(take(&mut rest, 8)?),
            // MARK, SETITEM, SETITEMS, APPEND, APPENDS, BUILD
            b'(' | b's' | b'u' | b'a' | b'e' | b'b' => (),
            operation => items.push(pushed(operation, &mut rest, &memo)?),
        }
    }
}

/// Item that an operation pushes.
fn pushed(operation: u8, rest: &mut &[u8], memo: &HashMap<i64, Item>) -> Option<Item> {
    Some(match operation {
        // SHORT_BINUNICODE, BINUNICODE
        0x8c => text(rest, 1)?,
        b'X' => text(rest, 4)?,
        // BININT1, BININT2, BININT, LONG1
        b'K' => Item::Integer(number(rest, 1)?),
        b'M' => Item::Integer(number(rest, 2)?),
        b'J' => Item::Integer(i64::from(number(rest, 4)? as i32)),
        0x8a => {
            let width = number(rest, 1)?;
            Item::Integer(number(rest, usize::try_from(width).ok()?)?)
        }
        // BINGET, LONG_BINGET
        b'h' => memo.get(&number(rest, 1)?)?.clone(),
        b'j' => memo.get(&number(rest, 4)?)?.clone(),
        // GLOBAL: two lines.
        b'c' => line(rest).and_then(|()| line(rest)).map(|()| Item::Other)?,
        // BINFLOAT
        b'G' => take(rest, 8).map(|_| Item::Other)?,
        // NONE, NEWTRUE, NEWFALSE, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, TUPLE1 to TUPLE3, TUPLE,
        // STACK_GLOBAL, NEWOBJ
        b'N' | 0x88 | 0x89 | b'}' | b']' | b')' | 0x85..=0x87 | b't' | 0x93 | 0x81 => Item::Other,
        _ => return None,
    })
}

fn text(rest: &mut &[u8], width: usize) -> Option<Item> {
    let size = usize::try_from(number(rest, width)?).ok()?;
    Some(Item::Text(std::str::from_utf8(take(rest, size)?).ok()?.to_owned()))
}

fn line(rest: &mut &[u8]) -> Option<()> {
    let size = rest.iter().position(|byte| *byte == b'\n')? + 1;
    take(rest, size).map(|_| ())
}

/// Little-endian number of `width` bytes, at most 8.
fn number(rest: &mut &[u8], width: usize) -> Option<i64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..width)?.copy_from_slice(take(rest, width)?);
    Some(i64::from_le_bytes(bytes))
}

fn take<'bytes>(rest: &mut &'bytes [u8], size: usize) -> Option<&'bytes [u8]> {
    let (taken, left) = rest.split_at_checked(size)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TOKEN: &[u8] = include_bytes!("../../tests/cookies/cookies_of_token");
    const OF_LOGIN: &[u8] = include_bytes!("../../tests/cookies/cookies_of_login");
    /// Both jars were written on 1 January 2026, for thirty days.
    const WRITTEN: i64 = 1_767_225_600;
    const DAYS_30: i64 = 30 * 24 * 60 * 60;

    #[test]
    fn the_token_of_real_jars_is_found_until_it_expires() {
        for (jar, token) in [(OF_TOKEN, "ms-00000000-secret"), (OF_LOGIN, "session-secret")] {
            assert_eq!(session_token(jar, WRITTEN).as_deref(), Some(token));
            assert_eq!(session_token(jar, WRITTEN + DAYS_30 - 1).as_deref(), Some(token));
            assert_eq!(session_token(jar, WRITTEN + DAYS_30), None);
        }
    }

    #[test]
    fn damaged_jars_have_no_token() {
        for jar in [OF_TOKEN, OF_LOGIN] {
            for size in 0..jar.len() {
                assert_eq!(session_token(&jar[..size], WRITTEN), None, "{size}");
            }
            // Reading a changed jar does not panic or hang.
            for index in 0..jar.len() {
                for byte in [0, 0x8c, 0x8a, b'X', b'h', 0xff] {
                    let mut jar = jar.to_vec();
                    jar[index] = byte;
                    session_token(&jar, WRITTEN);
                }
            }
        }
        // A pickle can call `cos\nsystem` with arguments.
        assert_eq!(session_token(b"cos\nsystem\n(S'true'\ntR.", WRITTEN), None);
    }
}
