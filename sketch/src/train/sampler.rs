//! Which examples a step sees.

use rand::Rng as _;
use septet_core::nn::Batches;
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

/// The batches of one training: a function of the seed and the step, so that a training can
/// continue anywhere.
pub(super) enum SampledBatches {
    /// Passes over all examples.
    Uniform(Batches),
    /// Draws with replacement.
    Weighted {
        /// Running sums of the weights.
        sums: Vec<f64>,
        size: usize,
        seed: SeedTree,
    },
}

impl SampledBatches {
    /// # Errors
    ///
    /// [`SketchError::Tensor`] when there are fewer examples than a batch needs;
    /// [`SketchError::Parameter`] when weights do not have a finite positive sum.
    pub(super) fn new(
        sampler: Sampler,
        counts: &[u64],
        size: usize,
        seed: &SeedTree,
    ) -> Result<Self, SketchError> {
        let seed = seed.child("batches");
        // Checks the size for both kinds.
        let uniform = Batches::new(counts.len(), size, &seed)?;
        match sampler {
            Sampler::Uniform => Ok(Self::Uniform(uniform)),
            Sampler::ByCount { alpha } => {
                let sums: Vec<f64> = counts
                    .iter()
                    .scan(0.0, |sum, &count| {
                        // As in the loss, a count of 0 is taken as 1.
                        *sum += (count.max(1) as f64).powf(alpha);
                        Some(*sum)
                    })
                    .collect();
                match sums.last() {
                    Some(&sum) if sum.is_finite() && sum > 0.0 => {
                        Ok(Self::Weighted { sums, size, seed })
                    }
                    _ => Err(SketchError::parameter(
                        "alpha",
                        "weights with a finite positive sum",
                        alpha,
                    )),
                }
            }
        }
    }

    /// The number of batches in an epoch: a last batch that is not full does not count.
    pub(super) fn per_epoch(&self) -> u64 {
        match self {
            Self::Uniform(batches) => batches.per_epoch(),
            Self::Weighted { sums, size, .. } => (sums.len() / size) as u64,
        }
    }

    /// The examples of a step.
    pub(super) fn of_step(&mut self, step: u64) -> Vec<u32> {
        match self {
            Self::Uniform(batches) => {
                batches.seek(step);
                batches.draw().to_vec()
            }
            Self::Weighted { sums, size, seed } => {
                let total = sums[sums.len() - 1];
                let places = seed.index(step).rng().random_iter::<f64>().take(*size);
                places
                    .map(|place| {
                        let found = sums.partition_point(|&sum| sum <= place * total);
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
    fn sizes_that_fit_no_batch_are_refused() {
        for size in [0, 11] {
            for sampler in [Sampler::Uniform, Sampler::ByCount { alpha: 1.0 }] {
                let batches = SampledBatches::new(sampler, &[1; 10], size, &SeedTree::new(1));
                assert!(batches.is_err());
            }
        }
    }

    #[test]
    fn weights_are_powers_of_the_counts() {
        let counts = [1, 4, 16];
        for (alpha, shares) in [
            (1.0, [1.0 / 21.0, 4.0 / 21.0, 16.0 / 21.0]),
            (0.5, [1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]),
        ] {
            let sampler = Sampler::ByCount { alpha };
            let mut batches = SampledBatches::new(sampler, &counts, 3, &SeedTree::new(1)).unwrap();
            let mut drawn = [0.0; 3];
            for step in 0..10_000 {
                for example in batches.of_step(step) {
                    drawn[example as usize] += 1.0 / 30_000.0;
                }
            }
            // Six standard deviations of a share are at most 0.0174.
            for (drawn, share) in drawn.into_iter().zip(shares) {
                let drawn: f64 = drawn;
                assert!((drawn - share).abs() < 0.0174, "{drawn} {share}");
            }
            assert_eq!(batches.of_step(5), batches.of_step(5));
        }
        // A count of 0 is taken as 1, for negative exponents too.
        for alpha in [1.0, -1.0] {
            let sampler = Sampler::ByCount { alpha };
            let mut batches = SampledBatches::new(sampler, &[0, 1], 2, &SeedTree::new(1)).unwrap();
            let drawn: Vec<u32> = (0..50).flat_map(|step| batches.of_step(step)).collect();
            assert!(drawn.contains(&0) && drawn.contains(&1));
        }
        let alpha = f64::INFINITY;
        let sampler = Sampler::ByCount { alpha };
        assert!(SampledBatches::new(sampler, &counts, 3, &SeedTree::new(1)).is_err());
    }
}
