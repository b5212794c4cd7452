//! Text from a preset, token by token.
//!
//! Run: `cargo run --release --package gpt2-examples --example generate`

use std::io::{Write, stdout};
use std::ops::ControlFlow;

use anyhow::Context;
use gpt2_presets::FromPresetOnDevice;
use gpt2_task::samplers::TopPSampler;
use gpt2_task::{GenerateOptions, Gpt2CausalLm};

fn main() -> anyhow::Result<()> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &device)?;
    model.compile(TopPSampler::new(0.9).with_temperature(0.8).with_seed(1))?;
    let options = GenerateOptions::new().with_max_length(60);

    // Two prompts as one batch.
    for text in model.generate(["ROMEO:", "JULIET:"], &options)? {
        println!("{text}\n");
    }

    // One prompt as a stream, whose characters appear when they are whole.
    let preprocessor = model.preprocessor().context("the preset has no tokenizer")?;
    let mut decoder = preprocessor.tokenizer().decode_stream(true);
    let mut failure = None;
    model.generate_with(
        &["HAMLET:"],
        &options,
        &mut |event| match decoder.push(event.token_id) {
            Ok(text) => {
                print!("{}", text.unwrap_or_default());
                match stdout().flush() {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    println!("{}", decoder.finish().unwrap_or_default());
    failure.map_or(Ok(()), |error| Err(error.into()))
}
