//! Bytes tokenized per second, beside tiktoken and plain `tokenizers`, on prose and on the inputs
//! that make tokenizers slow. Sizes double where time should double.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "common/prose.rs"]
mod prose;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gpt2_tokenizer::{Gpt2TokenizerConfig, SplitPattern};
use prose::{Random, prose};

/// Bytes of prose.
const PROSE_BYTES: usize = 1 << 20;
/// Length of the runs of one character, and its half.
const RUNS: [usize; 2] = [500_000, 1_000_000];
/// Letters without a space, and half of them.
const LETTERS: [usize; 2] = [256 * 1024, 512 * 1024];

fn letters(length: usize) -> String {
    let mut random = Random(11);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

fn tokenize(criterion: &mut Criterion) {
    let openai = common::gpt2(Gpt2TokenizerConfig::new());
    let keras_hub = openai
        .with_config(Gpt2TokenizerConfig::new().with_split(SplitPattern::KerasHub))
        .expect("options in range");
    let plain = common::plain_tokenizers(true);
    let mut inputs = vec![("prose", prose(&common::gpt2_vocabulary(), PROSE_BYTES))];
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
