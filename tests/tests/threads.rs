//! Results are the same, bit for bit, with any number of cores and in any batch.

use burn::tensor::Device;
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_task::{CompileOptions, Gpt2CausalLm, TokenBatch, TokenId, TrainingBatch, samplers};

/// Large enough for every operation to use several cores.
fn model() -> Gpt2CausalLm {
    let config = Gpt2BackboneConfig::new(1500, 2, 3, 192, 768).with_max_sequence_length(100);
    let backbone = Gpt2Backbone::new(&config, 1, &Device::flex()).unwrap();
    let mut model = Gpt2CausalLm::new(backbone, None).unwrap();
    let options = CompileOptions::new().with_sampler(samplers::get("greedy").unwrap());
    model.compile(options.with_seed(3)).unwrap();
    model
}

fn tokens(rows: usize, length: usize) -> Vec<Vec<TokenId>> {
    let id = |row: usize, at: usize| ((row * 7919 + at * 104_729 + at * at) % 1500) as TokenId;
    (0..rows).map(|row| (0..length).map(|at| id(row, at)).collect()).collect()
}

/// Rows that continue these prompts up to 40 tokens.
fn generated(prompts: &[Vec<TokenId>]) -> Vec<Vec<TokenId>> {
    let rows = prompts.iter().map(|prompt| {
        let mut row = prompt.clone();
        row.resize(40, 0);
        row
    });
    let mask = |prompt: &Vec<TokenId>| std::array::from_fn::<_, 40, _>(|at| at < prompt.len());
    let batch = TokenBatch::new(rows, prompts.iter().map(mask)).unwrap();
    let on_token = &mut |_| std::ops::ControlFlow::Continue(());
    model().generate_step(&batch, &[], on_token).unwrap().rows
}

/// Logits, tokens, and the weights after some training steps with dropout.
fn everything() -> (Vec<u32>, Vec<Vec<TokenId>>, Vec<u32>) {
    let mut model = model();
    let batch = TokenBatch::unpadded(tokens(3, 70)).unwrap();
    let logits = model.score_logits(&batch).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let logits = bits(logits.try_into_vec_as().unwrap());
    let targets = tokens(3, 70);
    let batch = TrainingBatch::new(batch, targets).unwrap();
    for _ in 0..2 {
        model.train_on_batch(&batch).unwrap();
    }
    let mut weights = Vec::new();
    gpt2_backbone::visit_parameters(model.backbone(), |_, data| weights.extend(data.iter::<f32>()))
        .unwrap();
    (logits, generated(&tokens(3, 20)), bits(weights))
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(everything)
    };
    let alone = with(1);
    for threads in [2, 3] {
        let together = with(threads);
        assert!(alone.0 == together.0, "logits with {threads} threads");
        assert_eq!(alone.1, together.1, "tokens with {threads} threads");
        assert!(alone.2 == together.2, "trained weights with {threads} threads");
    }
    assert!(alone == everything(), "a second run");
}

#[test]
fn greedy_rows_are_the_same_alone_and_in_a_batch() {
    let prompts = tokens(9, 20);
    let together = generated(&prompts);
    for (row, prompt) in prompts.iter().enumerate() {
        assert_eq!(generated(std::slice::from_ref(prompt)), [together[row].clone()], "row {row}");
    }
}
