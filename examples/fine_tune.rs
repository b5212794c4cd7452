//! A preset trained on texts, and saved.
//!
//! Run: `cargo run --release --package gpt2-examples --example fine_tune`

use gpt2_presets::{FromPresetOnDevice, SaveToPreset};
use gpt2_task::callbacks::ProgressBar;
use gpt2_task::optimizers::{AdamW, Optimizer};
use gpt2_task::{CompileOptions, CosineDecay, FitOptions, GenerateOptions, Gpt2CausalLm, Metric};

const TEXTS: [&str; 4] = [
    "The quick brown fox jumps over the lazy dog.",
    "The quick brown fox jumps over the fence.",
    "The lazy dog sleeps all day.",
    "The lazy dog sleeps in the sun.",
];

fn main() -> anyhow::Result<()> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &device)?;

    let schedule = CosineDecay::new(0.0, 20).with_warmup(1e-3, 5);
    let optimizer = Optimizer::new(AdamW::default(), schedule);
    model.compile(
        CompileOptions::new()
            .with_optimizer(optimizer)
            .with_weighted_metrics([Metric::SparseCategoricalAccuracy]),
    )?;
    let mut progress = ProgressBar::new();
    let options = FitOptions::new().with_batch_size(2).with_epochs(10).with_callback(&mut progress);
    let history = model.fit(&TEXTS, options)?;
    println!("loss of the last epoch: {:?}", history.get("loss").and_then(<[f64]>::last));

    let folder = std::env::temp_dir().join("gpt2-fine-tuned");
    model.save_to_preset(&folder)?;
    println!("saved: {}", folder.display());
    println!("{}", model.generate("The quick", &GenerateOptions::new().with_max_length(20))?);
    Ok(())
}
