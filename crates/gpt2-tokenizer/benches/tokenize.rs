//! Bytes tokenized per second, compared with tiktoken and plain `tokenizers`, on prose and on
//! inputs that make tokenizers slow. Sizes double where a linear algorithm's time should double.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "common/prose.rs"]
mod prose;

use std::hint::black_box;
use std::time::Instant;

use gpt2_tokenizer::{Gpt2TokenizerConfig, SplitPattern};
use prose::{Random, prose};

/// Bytes of prose.
const PROSE_BYTES: usize = 1 << 20;
/// Lengths of the runs of one character.
const RUNS: [usize; 2] = [500_000, 1_000_000];
/// Lengths of text without a space.
const LETTERS: [usize; 2] = [256 * 1024, 512 * 1024];

fn letters(length: usize) -> String {
    let mut random = Random(11);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

/// Megabytes per second: median of ten runs, after an uncounted one.
fn megabytes_per_second(bytes: usize, run: &dyn Fn() -> usize) -> f64 {
    black_box(run());
    let mut rates: Vec<f64> = (0..10)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
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
    println!(
        "{:8} {:>9}  {:>9} {:>14} {:>9} {:>10}  MB/s",
        "input", "bytes", "ours", "KerasHub split", "tiktoken", "tokenizers"
    );
    for (name, text) in &inputs {
        let rate = |run: &dyn Fn() -> usize| megabytes_per_second(text.len(), run);
        let ours = rate(&|| openai.tokenize(text).expect("all bytes known").len());
        let keras_hub = rate(&|| keras_hub.tokenize(text).expect("all known").len());
        let tiktoken = rate(&|| common::oracle().encode_ordinary(text).len());
        let tokenizers =
            rate(&|| plain.encode_fast(text.as_str(), false).expect("no unknown token").len());
        println!(
            "{name:8} {:>9}  {ours:>9.2} {keras_hub:>14.2} {tiktoken:>9.2} {tokenizers:>10.2}",
            text.len()
        );
    }
}
