//! Thousands of damaged files of every kind. Each loads or gives an error, within limits of time
//! and memory. With `GPT2_LONG_TESTS` set, 10,000 of each kind.
//!
//! One test in a process of its own, because it measures the memory of the whole process.

mod fuzz_targets;

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use fuzz_targets::{TARGETS, handle};
use gpt2_task::BoxError;
use gpt2_test_support::is_long;
use peak_alloc::PeakAlloc;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn damaged_files_are_loaded_or_refused_in_bounds() {
    let long = is_long();
    let rounds = if long { 10_000 } else { 100 };
    // Generous, because other tests may keep the machine busy.
    let seconds = Duration::from_secs(if long { 1 } else { 10 });
    for target in &TARGETS {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let prepared = target.prepare();
        let seed = prepared.seed();
        let (result, undamaged) = measured(|| prepared.read(&seed));
        result.unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let mut loaded = 0;
        for round in 0..rounds {
            let bytes = mutated(&seed, &mut random);
            let (result, used) = measured(|| prepared.read(&bytes));
            loaded += usize::from(result.is_ok());
            let limit = Used { bytes: undamaged.bytes + 2 * bytes.len() + SLACK, time: seconds };
            check(&format!("{} {round}", target.name), result, used, limit);
        }
        println!("{}: {loaded} of {rounds} damaged files loaded", target.name);
    }
    let pytorch = TARGETS.iter().find(|target| target.name == "pytorch").unwrap().prepare();
    for (what, bytes) in [("zip", pickles_and_zip()), ("TAR", pickles_and_tar())] {
        let (result, used) = measured(|| pytorch.read(&bytes));
        let error = result.unwrap_err();
        assert!(error.to_string().contains(what), "{what}: {error}");
        let limit = Used { bytes: 2 * bytes.len() + SLACK, time: seconds };
        check(what, Err(error), used, limit);
    }
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for text in [&b"kaggle://keras/gpt2/keras/gpt2_base_en/3"[..], b"hf://a/b@refs/pr/1"] {
        for round in 0..rounds {
            let bytes = mutated(text, &mut random);
            let (result, used) = measured(|| handle(&String::from_utf8_lossy(&bytes)));
            let limit = Used { bytes: 2 * bytes.len() + SLACK, time: seconds };
            check(&format!("handle {round}"), result, used, limit);
        }
    }
}

/// Buffers and messages, whose size does not depend on the file. The HDF5 library has a buffer of
/// 1.5 MiB.
const SLACK: usize = 2 << 20;

/// Peak memory above the level before, and time.
#[derive(Debug)]
struct Used {
    bytes: usize,
    time: Duration,
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Used) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let result = work();
    let (time, bytes) = (start.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    (result, Used { bytes, time })
}

fn check(what: &str, result: Result<(), BoxError>, used: Used, limit: Used) {
    let answer = result.map_or_else(|error| error.to_string(), |()| "loaded".to_owned());
    let within = used.bytes <= limit.bytes && used.time <= limit.time;
    assert!(within, "{what}: {used:?}, expected at most {limit:?}: {answer}");
    assert!(!answer.is_empty(), "{what}: an error without a message");
}

/// The magic number of PyTorch's older files, as a pickle without its end.
const PYTORCH_MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// A pickle that expands a hundredfold in memory.
fn bomb() -> Vec<u8> {
    [&b"\x80\x02("[..], &[b'}'; 1 << 20], b"l."].concat()
}

/// Five harmless pickles, as in an older file, which also begin like a zip archive.
fn pickles_and_zip() -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("x/data.pkl", &bomb()[..]), ("x/data/0", &[0; 8])] {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    let archive = archive.finish().unwrap().into_inner();
    [b"PK\x05\x06\n", PYTORCH_MAGIC, b".N.N.N.N.", &archive].concat()
}

/// Five harmless pickles, as in an older file, which also name a member of a TAR archive.
fn pickles_and_tar() -> Vec<u8> {
    let mut tar = Vec::new();
    let pickles = [PYTORCH_MAGIC, b".N.N.N.N."].concat();
    for (name, content) in [(&pickles[..], &[][..]), (b"sys_info", &bomb())] {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name);
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// The bytes with one to four mutations.
fn mutated(seed: &[u8], random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=4) {
        damage(&mut bytes, random);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    /// Sizes and offsets at which sums and products overflow.
    const NUMBERS: [u64; 6] = [0, 1, u32::MAX as u64, 1 << 50, i64::MAX as u64, u64::MAX];
    /// Parts of JSON files and handles.
    const TEXTS: [&str; 8] =
        ["-1", "1e400", "null", "[[[[", "../", "\u{0}", "99999999999999999999", "{}"];
    if bytes.is_empty() {
        bytes.push(random.random());
    }
    let at = random.random_range(0..bytes.len());
    let end = random.random_range(at..bytes.len());
    match random.random_range(0..8) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        5 | 6 => {
            let number = NUMBERS[random.random_range(0..NUMBERS.len())].to_le_bytes();
            let width = [4, 8][random.random_range(0..2)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        _ => {
            let text = TEXTS[random.random_range(0..TEXTS.len())];
            bytes.splice(at..at, text.bytes());
        }
    }
}
