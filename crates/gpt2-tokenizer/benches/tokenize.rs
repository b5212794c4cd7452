//! Bytes tokenized per second, beside tiktoken and plain `tokenizers`, on prose and on the inputs
//! that make tokenizers slow. Sizes double where time should double.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gpt2_tokenizer::{Gpt2TokenizerConfig, SplitPattern};

/// Bytes of prose.
const PROSE_BYTES: usize = 1 << 20;
/// Length of the runs of one character, and its half.
const RUNS: [usize; 2] = [500_000, 1_000_000];
/// Letters without a space, and half of them.
const LETTERS: [usize; 2] = [256 * 1024, 512 * 1024];

/// Words of the vocabulary, short ids more often, as in language; one in eight has an ending that
/// makes it no token, one in eight is followed by something else than a word.
fn prose() -> String {
    let vocabulary = common::gpt2_vocabulary();
    let mut random = Random(7);
    let mut text = String::with_capacity(PROSE_BYTES + 64);
    while text.len() < PROSE_BYTES {
        let magnitude = random.below(16);
        let id = 256 + random.below(1 << magnitude) as u32;
        let Some(word) = vocabulary.token(id).and_then(|token| token.strip_prefix('Ġ')) else {
            continue;
        };
        if !word.chars().all(|character| character.is_ascii_alphabetic()) {
            continue;
        }
        text.extend([" ", word]);
        match random.below(64) {
            0..8 => text.push_str(["ish", "ington", "ably", "ford"][random.below(4)]),
            8..16 => text.push_str([",", ".", ".\n", " 1984", "'s", "!\""][random.below(6)]),
            _ => {}
        }
    }
    text
}

fn letters(length: usize) -> String {
    let mut random = Random(11);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

/// A generator that is the same everywhere: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn tokenize(criterion: &mut Criterion) {
    let openai = common::gpt2(Gpt2TokenizerConfig::new());
    let keras_hub = openai
        .with_config(Gpt2TokenizerConfig::new().with_split(SplitPattern::KerasHub))
        .expect("options in range");
    let plain = common::plain_tokenizers(true);
    let mut inputs = vec![("prose", prose())];
    for length in RUNS {
        inputs.extend([("a", "a".repeat(length)), ("spaces", " ".repeat(length))]);
    }
    inputs.extend(LETTERS.map(|length| ("letters", letters(length))));
    for (name, text) in &inputs {
        let mut group = criterion.benchmark_group(*name);
        group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
        let mut measure = |who: &str, run: &dyn Fn() -> usize| {
            group.bench_function(BenchmarkId::new(who, text.len()), |bencher| {
                bencher.iter(|| black_box(run()));
            });
        };
        measure("ours", &|| openai.tokenize(text).expect("all bytes known").len());
        measure("ours_keras_hub_split", &|| keras_hub.tokenize(text).expect("all known").len());
        measure("tiktoken", &|| common::oracle().encode_ordinary(text).len());
        measure("tokenizers", &|| {
            plain.encode_fast(text.as_str(), false).expect("no unknown token").len()
        });
        group.finish();
    }
}

criterion_group!(benches, tokenize);
criterion_main!(benches);
