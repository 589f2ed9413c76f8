//! Which examples a step sees.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use crate::error::SketchError;

/// How examples are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Sampler {
    /// Every example once an epoch, in a new order each time.
    #[default]
    Uniform,
    /// With replacement, with a probability proportional to `count^alpha`.
    ByCount {
        /// The exponent, finite; 1 draws keys as often as they occur in the stream.
        alpha: f64,
    },
}

impl Sampler {
    /// The exponent of the counts in the probability.
    pub(super) fn exponent(self) -> f64 {
        match self {
            Self::Uniform => 0.0,
            Self::ByCount { alpha } => alpha,
        }
    }
}

/// The batches of one training, in order.
pub(super) struct Batches {
    rng: ChaCha8Rng,
    size: usize,
    order: Order,
}

enum Order {
    /// A permutation, and how much of it was used.
    Shuffled { order: Vec<u32>, used: usize },
    /// Running sums of the weights.
    Weighted(Vec<f64>),
}

impl Batches {
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when there are fewer examples than a batch needs, or weights do not
    /// have a finite positive sum.
    pub(super) fn new(
        sampler: Sampler,
        counts: &[u64],
        size: usize,
        seed: &SeedTree,
    ) -> Result<Self, SketchError> {
        let numbers = 0..u32::try_from(counts.len()).unwrap_or(u32::MAX);
        if size == 0 || size > numbers.len() {
            let expected = format!("1 to {} examples, as many as there are", numbers.len());
            return Err(SketchError::parameter("batch", expected, size));
        }
        let order = match sampler {
            Sampler::Uniform => Order::Shuffled {
                used: numbers.len(),
                order: numbers.collect(),
            },
            Sampler::ByCount { alpha } => {
                let mut sum = 0.0;
                let sums: Vec<f64> = counts
                    .iter()
                    .map(|&count| {
                        sum += (count as f64).powf(alpha);
                        sum
                    })
                    .collect();
                if !(sum.is_finite() && sum > 0.0) {
                    return Err(SketchError::parameter(
                        "alpha",
                        "weights with a finite positive sum",
                        alpha,
                    ));
                }
                Order::Weighted(sums)
            }
        };
        Ok(Self {
            rng: seed.child("batches").rng(),
            size,
            order,
        })
    }

    /// The examples of the next batch. An epoch's last examples are dropped when they are too few.
    pub(super) fn next(&mut self) -> Vec<u32> {
        let size = self.size;
        match &mut self.order {
            Order::Shuffled { order, used } => {
                if *used + size > order.len() {
                    order.shuffle(&mut self.rng);
                    *used = 0;
                }
                *used += size;
                order[*used - size..*used].to_vec()
            }
            Order::Weighted(sums) => {
                let total = sums[sums.len() - 1];
                (0..size)
                    .map(|_| {
                        let place = self.rng.random::<f64>() * total;
                        let found = sums.partition_point(|&sum| sum <= place);
                        // Rounding could reach the end.
                        found.min(sums.len() - 1) as u32
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_example_once() {
        let counts = [1; 10];
        let mut batches = Batches::new(Sampler::Uniform, &counts, 5, &SeedTree::new(1)).unwrap();
        let mut epochs = Vec::new();
        for _ in 0..3 {
            let epoch = [batches.next(), batches.next()].concat();
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<u32>>());
            epochs.push(epoch);
        }
        assert_ne!(epochs[0], epochs[1]);
        // Batches of four leave two examples over.
        let mut batches = Batches::new(Sampler::Uniform, &counts, 4, &SeedTree::new(1)).unwrap();
        let mut seen = [batches.next(), batches.next()].concat();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 8);
        assert!(Batches::new(Sampler::Uniform, &counts, 11, &SeedTree::new(1)).is_err());
    }

    #[test]
    fn weights_are_powers_of_the_counts() {
        let counts = [1, 4, 16];
        for (alpha, shares) in [
            (1.0, [1.0 / 21.0, 4.0 / 21.0, 16.0 / 21.0]),
            (0.5, [1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]),
        ] {
            let sampler = Sampler::ByCount { alpha };
            let mut batches = Batches::new(sampler, &counts, 3, &SeedTree::new(1)).unwrap();
            let mut drawn = [0.0; 3];
            for _ in 0..10_000 {
                for example in batches.next() {
                    drawn[example as usize] += 1.0 / 30_000.0;
                }
            }
            // Six standard deviations of a share are at most 0.0174.
            for (drawn, share) in drawn.into_iter().zip(shares) {
                let drawn: f64 = drawn;
                assert!((drawn - share).abs() < 0.0174, "{drawn} {share}");
            }
        }
        let alpha = f64::INFINITY;
        let sampler = Sampler::ByCount { alpha };
        assert!(Batches::new(sampler, &counts, 3, &SeedTree::new(1)).is_err());
    }
}
