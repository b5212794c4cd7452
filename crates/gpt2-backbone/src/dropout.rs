//! Dropout: numbers that are set to zero in training, the same ones for the same seed and step.

use burn::tensor::{Device, Distribution, Tensor, TensorData};

/// What the zeros of one training step follow from, besides their place in the model.
///
/// Counted, not consumed: a step that is computed again, in a resumed training or in gradient
/// checkpointing, drops the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutSeed {
    /// The seed of the training.
    pub seed: u64,
    /// The training step.
    pub step: u64,
}

/// Where in a model numbers are dropped: where KerasHub drops them.
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

/// Dropout in one forward pass; inverted, so that the expected values stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    rate: f64,
    seed: DropoutSeed,
}

impl Dropout {
    /// None where nothing would be dropped.
    pub(crate) fn new(rate: f64, seed: Option<DropoutSeed>) -> Option<Self> {
        seed.filter(|_| rate > 0.0).map(|seed| Self { rate, seed })
    }

    /// Sets numbers to zero, and divides the others by the probability that they are kept.
    pub(crate) fn apply<const D: usize>(&self, input: Tensor<D>, place: Place) -> Tensor<D> {
        if self.rate >= 1.0 {
            return input * 0.0;
        }
        let factors = self.factors(input.dims(), place, &input.device());
        let dtype = input.dtype();
        input * factors.cast(dtype)
    }

    /// 0 where a number is dropped.
    fn factors<const D: usize>(
        &self,
        shape: [usize; D],
        place: Place,
        device: &Device,
    ) -> Tensor<D> {
        let keep = 1.0 - self.rate;
        let key = self.key(place);
        if !is_cpu(device) {
            // Made where it is needed: to send it over would take longer than the layer does.
            device.seed(key);
            return Tensor::random(shape, Distribution::Bernoulli(keep), device) / keep;
        }
        let threshold = (keep * 2f64.powi(32)) as u64;
        let factor = (1.0 / keep) as f32;
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count as u64)
            .map(|index| if mix(key, index) >> 32 < threshold { factor } else { 0.0 })
            .collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn key(&self, place: Place) -> u64 {
        let place = match place {
            Place::Embeddings => 0,
            Place::Probabilities(layer) => 3 * layer as u64 + 1,
            Place::Attention(layer) => 3 * layer as u64 + 2,
            Place::FeedForward(layer) => 3 * layer as u64 + 3,
        };
        mix(mix(mix(self.seed.seed, 0), self.seed.step), place)
    }
}

/// The number with this index under this key: SplitMix64
/// ([Steele et al., 2014](https://doi.org/10.1145/2714064.2660195)), whose state is counted.
fn mix(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    if *device == Device::flex() {
        return true;
    }
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "burn deprecates the backend; users may still ask for it")]
    if *device == Device::ndarray() {
        return true;
    }
    let _ = device;
    false
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use super::*;

    fn factors(seed: u64, step: u64, place: Place) -> Vec<f32> {
        let dropout = Dropout::new(0.25, Some(DropoutSeed { seed, step })).unwrap();
        dropout.factors([100, 200], place, &Device::flex()).try_into_vec_as().unwrap()
    }

    #[test]
    fn a_quarter_is_dropped_and_the_mean_stays() {
        let factors = factors(1, 2, Place::Embeddings);
        assert!(factors.iter().all(|factor| *factor == 0.0 || *factor == 4.0 / 3.0));
        let dropped = factors.iter().filter(|factor| **factor == 0.0).count() as f64;
        // Of 20,000 with a standard deviation of 61.
        assert!((dropped - 5000.0).abs() < 4.0 * 61.0, "{dropped}");
        // Neighbours do not know of each other.
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
