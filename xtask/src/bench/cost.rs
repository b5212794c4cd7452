//! Minimum cost of a scenario: the bytes to read and the operations to compute.

use gpt2_backbone::{Gpt2BackboneConfig, WeightDtype};

use super::scenario::Work;

/// Bytes from memory and floating-point operations, of a prefill or a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    pub bytes: f64,
    pub operations: f64,
}

/// Bytes and operations of the machine per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Bytes read from memory by all threads.
    pub bytes: f64,
    /// Floating-point operations of a large matrix product.
    pub operations: f64,
}

impl Cost {
    /// Cost of a scenario. None if bytes and operations do not bound it.
    ///
    /// `P` is the number of kernel parameters of the layers, `H` that of the head
    /// (`vocabulary_size * hidden_dim`). There are `L` layers of width `C`, and `B` rows of length
    /// `T`. A product with a parameter is two operations.
    ///
    /// - prefill: `2 P B T + 2 H B + 2 L C B T^2`. Only the last position has logits. Attention is
    ///   causal: position `t` takes `4 C t` operations a layer (scores and values).
    /// - decoding step: `(2 P + 2 H) B + 4 L C B t` at a context of `t`, taken in the middle of the
    ///   steps; `B` counts beams and candidates.
    /// - training step: three times `2 P B T + 2 H B T + 2 L C B T^2`, for the forward pass and
    ///   both products of the backward pass. Twice with LoRA, which omits the kernels' gradients.
    ///
    /// A prefill or a step reads all parameters but the position embedding once. Decoding also
    /// reads the context's keys and values, `2 L C t` numbers a row. All are in the requested type.
    /// Training steps are not bounded by bytes.
    pub fn of(work: &Work, config: &Gpt2BackboneConfig, dtype: WeightDtype) -> Option<Self> {
        let number = dtype.size() as f64;
        let (layers, hidden) = (config.num_layers as f64, config.hidden_dim as f64);
        let head = config.vocabulary_size as f64 * hidden;
        let kernels = layers * hidden * (4.0 * hidden + 2.0 * config.intermediate_dim as f64);
        let positions = config.max_sequence_length as f64 * hidden;
        let weights = number * (config.parameter_count() as f64 - positions);
        match work {
            Work::Generate { lengths, steps: 0, .. } => {
                let operations = lengths.iter().map(|&length| {
                    let length = length as f64;
                    2.0 * kernels * length + 2.0 * head + 2.0 * layers * hidden * length * length
                });
                Some(Self { bytes: weights, operations: operations.sum() })
            }
            Work::Generate { lengths, steps, search } => {
                let branches = search.branches() as f64;
                let rows = lengths.len() as f64 * branches;
                let middle = |&length: &usize| (length as f64 + *steps as f64 / 2.0) * branches;
                let context: f64 = lengths.iter().map(middle).sum();
                Some(Self {
                    bytes: weights + 2.0 * number * layers * hidden * context,
                    operations: 2.0 * (kernels + head) * rows + 4.0 * layers * hidden * context,
                })
            }
            Work::Train { batch_size, length, lora } => {
                let (rows, length) = (*batch_size as f64, *length as f64);
                let products = 2.0 * (kernels + head) * rows * length;
                let forward = products + 2.0 * layers * hidden * rows * length * length;
                let passes = if *lora { 2.0 } else { 3.0 };
                Some(Self { bytes: 0.0, operations: passes * forward })
            }
            Work::Load | Work::FirstToken | Work::Tokenize { .. } => None,
        }
    }

    /// Seconds at these rates.
    pub fn seconds(self, rates: Rates) -> f64 {
        (self.bytes / rates.bytes).max(self.operations / rates.operations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::Search;

    /// 4 + 4 kernel parameters of attention and feed-forward network, 5 of the head, 2 positions.
    fn config() -> Gpt2BackboneConfig {
        Gpt2BackboneConfig::new(5, 1, 1, 1, 2).with_max_sequence_length(2)
    }

    #[test]
    fn costs_follow_the_formulas() {
        let generate = |lengths: &[usize], steps, search| {
            let work = Work::Generate { lengths: lengths.to_vec(), steps, search };
            Cost::of(&work, &config(), WeightDtype::F32)
        };
        let weights = 4.0 * (config().parameter_count() as f64 - 2.0);
        let prefill = Cost { bytes: weights, operations: 2.0 * 8.0 * 3.0 + 10.0 + 2.0 * 9.0 };
        assert_eq!(generate(&[3], 0, Search::Greedy), Some(prefill));
        let step = Cost { bytes: weights + 8.0 * 9.0, operations: 26.0 * 2.0 + 4.0 * 9.0 };
        assert_eq!(generate(&[3, 4], 2, Search::Greedy), Some(step));
        let beams = Cost { bytes: weights + 8.0 * 20.0, operations: 26.0 * 5.0 + 4.0 * 20.0 };
        assert_eq!(generate(&[3], 2, Search::Beam), Some(beams));
        let train = |lora| {
            Cost::of(&Work::Train { batch_size: 2, length: 3, lora }, &config(), WeightDtype::F32)
        };
        let forward = 26.0 * 6.0 + 2.0 * 18.0;
        assert_eq!(train(false).unwrap().operations, 3.0 * forward);
        assert_eq!(train(true).unwrap().operations, 2.0 * forward);
        assert_eq!(Cost::of(&Work::Load, &config(), WeightDtype::F32), None);
    }

    #[test]
    fn half_of_the_bits_are_half_of_the_bytes() {
        let work = Work::Generate { lengths: vec![3], steps: 2, search: Search::Greedy };
        let of = |dtype| Cost::of(&work, &config(), dtype).unwrap();
        let (full, half) = (of(WeightDtype::F32), of(WeightDtype::F16));
        assert_eq!(half, Cost { bytes: full.bytes / 2.0, operations: full.operations });
    }

    #[test]
    fn the_slower_of_memory_and_arithmetic_is_the_limit() {
        let cost = Cost { bytes: 6.0, operations: 8.0 };
        assert_eq!(cost.seconds(Rates { bytes: 2.0, operations: 8.0 }), 3.0);
        assert_eq!(cost.seconds(Rates { bytes: 6.0, operations: 2.0 }), 4.0);
    }
}
