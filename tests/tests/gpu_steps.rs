//! Tokens that a GPU chooses itself, step by step, equal those of a CPU. With
//! `GPT2_KERNELS=unrecorded` the recording of a step fails, and the steps are repeated.

use std::ops::ControlFlow;

use burn::tensor::Device;
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_task::{Gpt2CausalLm, TokenBatch, TokenId, samplers};

use crate::golden::gpu;

/// Number of tokens in a row.
const LENGTH: usize = 24;

/// Ids that a model with heads of this size chooses for a ragged batch.
fn ids(device: &Device, head_dim: usize, sampler: &str) -> Vec<Vec<TokenId>> {
    let config = Gpt2BackboneConfig::new(40, 2, 1, head_dim, 16).with_max_sequence_length(LENGTH);
    let backbone = Gpt2Backbone::new(&config, 5, device).unwrap();
    let mut model = Gpt2CausalLm::new(backbone, None).unwrap();
    model.compile(samplers::get(sampler).unwrap()).unwrap();
    let mut rows = vec![vec![0; LENGTH]; 2];
    rows[0][..2].copy_from_slice(&[7, 9]);
    rows[1][..6].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    let mask = [2, 6].map(|length| std::array::from_fn::<_, LENGTH, _>(|at| at < length));
    let batch = TokenBatch::new(rows, mask).unwrap();
    model.generate_step(&batch, &[], &mut |_| ControlFlow::Continue(())).unwrap().rows
}

const SAMPLERS: [&str; 4] =
    ["greedy", "random:seed=1", "top_k:k=5,seed=2", "top_p:p=0.8,k=30,seed=3,temperature=0.7"];

#[test]
fn chosen_ids_are_the_cpu_s() {
    let Some(gpu) = gpu() else { return };
    // Heads for which there is an attention kernel, and ones that are too wide.
    for head_dim in [8, 257] {
        for sampler in SAMPLERS {
            let expected = ids(&Device::flex(), head_dim, sampler);
            let found = ids(&gpu, head_dim, sampler);
            assert_eq!(found, expected, "{sampler}, {head_dim}");
        }
    }
}

/// Each thread's steps are recorded while other threads launch and read.
#[test]
fn threads_generate_at_once() {
    let Some(gpu) = gpu() else { return };
    let expected = ids(&Device::flex(), 8, "random:seed=6");
    let generate = || (0..5).map(|_| ids(&gpu, 8, "random:seed=6")).collect::<Vec<_>>();
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(generate)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.iter().all(|ids| *ids == expected), "{found:?}");
}
