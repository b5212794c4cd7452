//! Fine-tuning: trains a preset on texts and saves it.
//!
//! Run: `cargo run --release --package gpt2-examples --example fine_tune`

use gpt2::callbacks::ProgressBar;
use gpt2::optimizers::{AdamW, Optimizer};
use gpt2::prelude::*;

const TEXTS: [&str; 4] = [
    "The quick brown fox jumps over the lazy dog.",
    "The quick brown fox jumps over the fence.",
    "The lazy dog sleeps all day.",
    "The lazy dog sleeps in the sun.",
];

fn main() -> anyhow::Result<()> {
    let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;

    let schedule = CosineDecay::new(0.0, 20).with_warmup(1e-3, 5);
    let optimizer = Optimizer::new(AdamW::default(), schedule);
    model.compile(
        CompileOptions::new()
            .with_optimizer(optimizer)
            .with_weighted_metrics([Metric::SparseCategoricalAccuracy]),
    )?;
    let mut progress = ProgressBar::new();
    let options = FitOptions::new().with_batch_size(2).with_epochs(10).with_callback(&mut progress);
    let history = model.fit(TEXTS, options)?;
    println!("loss of the last epoch: {:?}", history.get("loss").and_then(<[f64]>::last));

    let folder = std::env::temp_dir().join("gpt2-fine-tuned");
    model.save_to_preset(&folder)?;
    println!("saved: {}", folder.display());
    println!("{}", model.generate("The quick", &GenerateOptions::new().with_max_length(20))?);
    Ok(())
}
