//! Random numbers that depend only on a seed and on the token that they are for.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Origin of a generation's random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawSource {
    /// Seed of the sampler.
    pub seed: u64,
    /// Number of earlier generations with this seed.
    pub call: u32,
}

impl DrawSource {
    /// Random numbers for a position of a row.
    pub(super) fn draw(self, row: usize, position: usize) -> Draw {
        Draw::new(self.seed, self.call, row as u32, position)
    }
}

/// Random numbers for one token, determined by the seed, the call of `generate`, the row and the
/// position.
///
/// A counter-based generator makes them: a row draws the same numbers in a batch of any size, on
/// any device.
#[derive(Debug, Clone)]
pub struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    /// Random numbers for `position` of `row` in generation `call` with `seed`.
    pub fn new(seed: u64, call: u32, row: u32, position: usize) -> Self {
        // Each token has 2^16 words of its own before those of the next position.
        let word = (position as u128) << 16;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(call) << 32 | u64::from(row));
        rng.set_word_pos(word);
        Self { rng }
    }

    /// Uniform random number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.rng.random()
    }

    /// Draws an index in proportion to the weights, which need not sum to 1.
    ///
    /// An index with weight 0 is never drawn. Weights must be finite and non-negative, and at least
    /// one positive.
    pub fn categorical(&mut self, weights: &[f32]) -> usize {
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let target = self.uniform() * total;
        let mut sum = 0.0;
        let mut last = 0;
        for (index, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                sum += f64::from(weight);
                last = index;
                if sum > target {
                    break;
                }
            }
        }
        last
    }

    /// Underlying generator, for other distributions.
    pub fn rng(&mut self) -> &mut impl Rng {
        &mut self.rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_place_matters() {
        let first = |seed, call, row, position| Draw::new(seed, call, row, position).uniform();
        let here = first(1, 2, 3, 4);
        assert_eq!(here, first(1, 2, 3, 4));
        for other in [first(0, 2, 3, 4), first(1, 0, 3, 4), first(1, 2, 0, 4), first(1, 2, 3, 0)] {
            assert_ne!(here, other);
        }
    }

    /// Seven possible cells have six degrees of freedom; their 0.999 quantile is 22.46.
    #[test]
    fn categorical_has_the_distribution_of_its_weights() {
        let weights = [3.0, 1.0, 0.0, 0.5, 0.25, 2.0, 0.25, 1.0];
        let total: f32 = weights.iter().sum();
        let draws = 80_000;
        let mut counts = [0usize; 8];
        for position in 0..draws {
            counts[Draw::new(7, 0, 0, position).categorical(&weights)] += 1;
        }
        assert_eq!(counts[2], 0);
        let chi_square: f64 = (0..8)
            .filter(|&i| weights[i] > 0.0)
            .map(|i| {
                let expected = f64::from(weights[i] / total) * draws as f64;
                (counts[i] as f64 - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 22.46, "chi-square {chi_square}, counts {counts:?}");
    }
}
