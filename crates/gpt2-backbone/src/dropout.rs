//! Dropout, which drops the same numbers for the same seed and step.

use burn::tensor::Tensor;
use gpt2_kernels::{DropoutKey, counted_random, dropout};

/// Seed of one training step's dropout.
///
/// Random numbers are counted, not consumed: a step that is computed again, in a resumed training
/// or in gradient checkpointing, drops the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutSeed {
    /// Seed of the training.
    pub seed: u64,
    /// Index of the training step.
    pub step: u64,
}

/// Place of a dropout in the model, as in KerasHub.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// The sum of token and position embedding.
    Embeddings,
    /// The attention probabilities of a layer.
    Probabilities(usize),
    /// The output of a layer's attention.
    Attention(usize),
    /// The output of a layer's feed-forward network.
    FeedForward(usize),
}

/// Inverted dropout of one forward pass: the expected values stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    rate: f64,
    seed: DropoutSeed,
}

impl Dropout {
    /// None if nothing would be dropped.
    pub(crate) fn new(rate: f64, seed: Option<DropoutSeed>) -> Option<Self> {
        seed.filter(|_| rate > 0.0).map(|seed| Self { rate, seed })
    }

    /// Sets some numbers to zero and divides the others by the probability that a number is kept.
    pub(crate) fn apply<const D: usize>(&self, input: Tensor<D>, place: Place) -> Tensor<D> {
        dropout(input, self.key(place))
    }

    /// Key that selects the numbers dropped at a place.
    pub(crate) fn key(&self, place: Place) -> DropoutKey {
        let place = match place {
            Place::Embeddings => 0,
            Place::Probabilities(layer) => 3 * layer as u64 + 1,
            Place::Attention(layer) => 3 * layer as u64 + 2,
            Place::FeedForward(layer) => 3 * layer as u64 + 3,
        };
        let DropoutSeed { seed, step } = self.seed;
        let key = counted_random(counted_random(counted_random(seed, 0), step), place);
        DropoutKey { key, rate: self.rate }
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn factors(seed: u64, step: u64, place: Place) -> Vec<f32> {
        let dropout = Dropout::new(0.25, Some(DropoutSeed { seed, step })).unwrap();
        let ones = Tensor::<2>::ones([100, 200], &Device::flex());
        dropout.apply(ones, place).try_into_vec_as().unwrap()
    }

    #[test]
    fn a_quarter_is_dropped_and_the_mean_stays() {
        let factors = factors(1, 2, Place::Embeddings);
        assert!(factors.iter().all(|factor| *factor == 0.0 || *factor == 4.0 / 3.0));
        let dropped = factors.iter().filter(|factor| **factor == 0.0).count() as f64;
        // Of 20,000 numbers; the standard deviation is 61.
        assert!((dropped - 5000.0).abs() < 4.0 * 61.0, "{dropped}");
        // Neighbours are dropped independently.
        let pairs = factors.windows(2).filter(|pair| pair[0] == 0.0 && pair[1] == 0.0).count();
        assert!((pairs as f64 - 1250.0).abs() < 4.0 * 40.0, "{pairs}");
    }

    #[test]
    fn seed_step_and_place_all_matter_and_nothing_else() {
        let here = factors(1, 2, Place::Attention(3));
        assert_eq!(here, factors(1, 2, Place::Attention(3)));
        for other in [
            factors(2, 2, Place::Attention(3)),
            factors(1, 3, Place::Attention(3)),
            factors(1, 2, Place::Attention(2)),
            factors(1, 2, Place::FeedForward(3)),
            factors(1, 2, Place::Probabilities(3)),
            factors(1, 2, Place::Embeddings),
        ] {
            assert_ne!(here, other);
        }
    }

    #[test]
    fn rates_at_the_ends_drop_all_or_nothing() {
        let seed = Some(DropoutSeed { seed: 1, step: 1 });
        assert!(Dropout::new(0.0, seed).is_none());
        assert!(Dropout::new(0.5, None).is_none());
        let ones = Tensor::<1>::ones([9], &Device::flex());
        let dropped = Dropout::new(1.0, seed).unwrap().apply(ones, Place::Embeddings);
        assert_eq!(dropped.try_into_vec_as::<f32>().unwrap(), [0.0; 9]);
    }
}
