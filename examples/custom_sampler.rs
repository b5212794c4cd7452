//! A custom sampler: greedy search without certain tokens, as in KerasHub's documentation.
//!
//! Run: `cargo run --release --package gpt2-examples --example custom_sampler`

use gpt2::argmax;
use gpt2::prelude::*;

struct Forbid(Vec<TokenId>);

impl Sampler for Forbid {
    fn get_next_token(&self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
        for &token in &self.0 {
            probabilities[token as usize] = 0.0;
        }
        argmax(probabilities) as TokenId
    }
}

fn main() -> anyhow::Result<()> {
    let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
    let options = GenerateOptions::new().with_max_length(40);

    model.compile("greedy")?;
    println!("Greedy: {}", model.generate("ROMEO:", &options)?);

    let tokenizer = Gpt2Tokenizer::from_preset("gpt2_tiny_shakespeare")?;
    let the = tokenizer.token_to_id("Ġthe")?;
    let a = tokenizer.token_to_id("Ġa")?;
    model.compile(Forbid(vec![the, a]))?;
    println!("\nGreedy without articles: {}", model.generate("ROMEO:", &options)?);
    Ok(())
}
