//! Check of a pickle before it is read.
//!
//! A pickle is a program whose instruction `REDUCE` calls a function by its name. The reader of
//! PyTorch's files (`file.rs`) calls no function, and skips calls that it does not know. This check
//! rejects files that name functions other than those of a plain state dict. It also rejects longer
//! pickles than such a dict needs: each byte may become a hundred in memory.

/// Maximum length of a pickle in bytes, seven times that of the largest GPT-2.
pub(crate) const MAX_PICKLE_SIZE: usize = 1024 * 1024;

/// Functions in a model's state dict, besides the storages below.
const CALLABLES: [(&[u8], &[u8]); 3] = [
    (b"collections", b"OrderedDict"),
    (b"torch._utils", b"_rebuild_tensor_v2"),
    (b"torch._utils", b"_rebuild_parameter"),
];
const STORAGES: [&[u8]; 10] = [
    b"FloatStorage",
    b"HalfStorage",
    b"BFloat16Storage",
    b"DoubleStorage",
    b"LongStorage",
    b"IntStorage",
    b"ShortStorage",
    b"CharStorage",
    b"ByteStorage",
    b"BoolStorage",
];

/// Length of the pickle at the start of `bytes`.
///
/// # Errors
///
/// For instructions that state dicts do not have, and for a pickle without an end.
pub(crate) fn checked_length(bytes: &[u8]) -> Result<usize, String> {
    let mut rest = bytes;
    loop {
        let position = bytes.len() - rest.len();
        let truncated = || format!("the pickle ends, or is too long, at byte {position}");
        let (&opcode, arguments) = rest.split_first().ok_or_else(truncated)?;
        let length = match opcode {
            b'.' => return Ok(position + 1),
            // A function or class, by its module and name.
            b'c' => {
                let (module, name, length) = two_lines(arguments).ok_or_else(truncated)?;
                check_callable(module, name)?;
                Some(length)
            }
            _ => match argument_length(opcode, arguments) {
                Argument::Length(length) => Some(length),
                Argument::Truncated => None,
                Argument::Refused => {
                    return Err(format!("the instruction {opcode:#04x} at byte {position}"));
                }
            },
        };
        rest = length.and_then(|length| arguments.get(length..)).ok_or_else(truncated)?;
    }
}

fn check_callable(module: &[u8], name: &[u8]) -> Result<(), String> {
    let known =
        CALLABLES.contains(&(module, name)) || module == b"torch" && STORAGES.contains(&name);
    if known {
        return Ok(());
    }
    // Python names. Other bytes are escaped, and the length is limited.
    let shown = |text: &[u8]| text[..text.len().min(60)].escape_ascii().to_string();
    Err(format!("it calls `{}.{}`", shown(module), shown(name)))
}

/// Size in bytes of an instruction's argument.
enum Argument {
    Length(usize),
    /// The pickle ends within the argument.
    Truncated,
    /// The instruction is unknown, or not needed by state dicts.
    Refused,
}

/// Instructions of Python's `pickletools.py`. Those that call by means other than `GLOBAL` and
/// `REDUCE` are left out: `INST`, `OBJ`, `NEWOBJ`, `NEWOBJ_EX`, `STACK_GLOBAL`, `EXT1` to `EXT4`.
fn argument_length(opcode: u8, rest: &[u8]) -> Argument {
    let length = match opcode {
        b'('
        | b'0'
        | b'1'
        | b'2'
        | b'R'
        | b'a'
        | b'b'
        | b'd'
        | b'}'
        | b'e'
        | b'l'
        | b']'
        | b's'
        | b't'
        | b')'
        | b'u'
        | b'N'
        | b'Q'
        | 0x85..=0x89
        | 0x8f..=0x91
        | 0x94 => Some(0),
        0x80 | b'K' | b'h' | b'q' => Some(1),
        b'M' => Some(2),
        b'J' | b'j' | b'r' => Some(4),
        b'G' | 0x95 => Some(8),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => {
            line(rest).map(|line| line.len() + 1)
        }
        b'U' | b'C' | 0x8a | 0x8c => prefixed(rest, 1),
        b'B' | b'T' | b'X' | 0x8b => prefixed(rest, 4),
        0x8d | 0x8e | 0x96 => prefixed(rest, 8),
        _ => return Argument::Refused,
    };
    length.map_or(Argument::Truncated, Argument::Length)
}

/// An argument that begins with its length, in `width` bytes.
fn prefixed(rest: &[u8], width: usize) -> Option<usize> {
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(rest.get(..width)?);
    usize::try_from(u64::from_le_bytes(bytes)).ok()?.checked_add(width)
}

fn line(rest: &[u8]) -> Option<&[u8]> {
    rest.iter().position(|byte| *byte == b'\n').map(|end| &rest[..end])
}

fn two_lines(rest: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let first = line(rest)?;
    let second = line(&rest[first.len() + 1..])?;
    Some((first, second, first.len() + second.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_dict_is_as_long_as_it_is() {
        let pickle =
            b"\x80\x02ccollections\nOrderedDict\nq\0)RX\x03\0\0\0a.bctorch\nFloatStorage\n.";
        assert_eq!(checked_length(pickle), Ok(pickle.len()));
        assert_eq!(checked_length(&[&pickle[..], b"cos\nsystem\n"].concat()), Ok(pickle.len()));
        for end in 0..pickle.len() {
            assert!(checked_length(&pickle[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn calls_of_anything_else_are_refused() {
        for (pickle, found) in [
            (&b"cos\nsystem\n(S'true'\ntR."[..], "`os.system`"),
            (b"c__builtin__\neval\n.", "`__builtin__.eval`"),
            (b"ctorch\nload\n.", "`torch.load`"),
            (b"ctorch.FloatStorage\nx\n.", "`torch.FloatStorage.x`"),
            (b"c\xff\x00\n\x1b[2J\n.", "`\\xff\\x00.\\x1b[2J`"),
            (b"(S'true'\nios\nsystem\n.", "0x69"),
            (b"\x8c\x02os\x8c\x06system\x93.", "0x93"),
            (b"\x82\x01.", "0x82"),
            (b")\x81.", "0x81"),
            (b"X\xff\xff\xff\xffa.", "ends"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "ends"),
        ] {
            let error = checked_length(pickle).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
    }
}
