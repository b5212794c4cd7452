//! Generation: text from a preset, in a batch and as a stream.
//!
//! Run: `cargo run --release --package gpt2-examples --example generate`

use std::io::{Write, stdout};
use std::ops::ControlFlow;

use anyhow::Context;
use gpt2::prelude::*;

fn main() -> anyhow::Result<()> {
    let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
    model.compile("top_p:p=0.9,temperature=0.8,seed=1")?;
    let options = GenerateOptions::new().with_max_length(60);

    // Two prompts as one batch.
    for text in model.generate(["ROMEO:", "JULIET:"], &options)? {
        println!("{text}\n");
    }

    // One prompt as a stream, which emits complete characters.
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
