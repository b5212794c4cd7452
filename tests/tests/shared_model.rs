//! One model for many threads, without a lock around its weights.

use std::sync::{Arc, Barrier};
use std::thread;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_task::{GenerateOptions, Gpt2CausalLm, StopTokenIds, TokenBatch, TokenId};

use crate::golden::device;

/// Compiles only for types that threads can share.
fn shareable<T: Send + Sync>() {}

#[test]
fn threads_can_share_a_model_and_a_backbone() {
    shareable::<Gpt2CausalLm>();
    shareable::<Gpt2Backbone>();
    shareable::<GenerateOptions>();
}

/// Large enough for operations to use several cores.
fn model(sampler: &str) -> Gpt2CausalLm {
    let config = Gpt2BackboneConfig::new(1500, 2, 3, 192, 768).with_max_sequence_length(100);
    let backbone = Gpt2Backbone::new(&config, 1, &device()).unwrap();
    let mut model = Gpt2CausalLm::new(backbone, None).unwrap();
    model.compile(sampler).unwrap();
    model
}

/// Answer to a prompt of 20 tokens, in a row of 60.
fn answer(model: &Gpt2CausalLm, request: usize) -> Vec<Vec<TokenId>> {
    let token = |at: usize| if at < 20 { (request * 7919 + at * 104_729) % 1500 } else { 0 };
    let ids = std::array::from_fn::<_, 60, _>(|at| token(at) as TokenId);
    let mask = std::array::from_fn::<_, 60, _>(|at| at < 20);
    let prompt = TokenBatch::new([ids], [mask]).unwrap();
    let options =
        GenerateOptions::new().with_stop_token_ids(StopTokenIds::None).with_seed(request as u64);
    model.generate(prompt, &options).unwrap().token_ids().to_vec()
}

#[test]
fn threads_that_generate_at_once_get_what_they_get_alone() {
    const THREADS: usize = 2;
    for sampler in ["greedy", "random", "top_p:p=0.9", "beam:num_beams=2", "contrastive:k=3"] {
        let model = Arc::new(model(sampler));
        let alone: Vec<_> = (0..THREADS).map(|request| answer(&model, request)).collect();
        assert_ne!(alone[0], alone[1]);
        let barrier = Arc::new(Barrier::new(THREADS));
        let threads = [0, 1].map(|request| {
            let (model, barrier) = (model.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                (0..3).map(|_| answer(&model, request)).collect::<Vec<_>>()
            })
        });
        for (request, thread) in threads.into_iter().enumerate() {
            for together in thread.join().unwrap() {
                assert_eq!(together, alone[request], "{sampler}, request {request}");
            }
        }
    }
}

/// Without a seed, a call uses the next random numbers of the sampler's seed.
#[test]
fn a_seed_of_a_call_is_apart_from_the_samplers() {
    let model = model("random:seed=3");
    let prompt = TokenBatch::new([[5, 6, 0, 0, 0, 0]], [[true, true, false, false, false, false]]);
    let prompt = prompt.unwrap();
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
    let first = model.generate(&prompt, &options).unwrap();
    let second = model.generate(&prompt, &options).unwrap();
    assert_ne!(first, second);
    let seeded = options.with_seed(3);
    for _ in 0..2 {
        assert_eq!(model.generate(&prompt, &seeded).unwrap(), first);
    }
}
