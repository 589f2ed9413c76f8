//! Classical tests of identity, as baselines: moving one percent of the samples makes each of them
//! reject a true hypothesis.

use septet_core::seed::SeedTree;
use serde::{Deserialize, Serialize};

use crate::aggregate::checked_total;
use crate::distribution::{MultinomialSampler, Pmf};
use crate::error::RobustStatsError;

/// A goodness-of-fit statistic of counts against a reference; larger is a worse fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Pearson's `sum (N_x - n q_x)^2 / (n q_x)`.
    ChiSquared,
    /// The likelihood ratio `2 sum N_x ln(N_x / (n q_x))`, also called G.
    LikelihoodRatio,
    /// Pairs of equal samples, `sum N_x (N_x - 1) / 2`; for the uniform reference.
    Collisions,
    /// Samples other than the first of their symbol; for the uniform reference and few samples.
    Coincidences,
    /// Total variation, without a shift.
    TotalVariation,
    /// `sum h(N_x - n q_x)`: quadratic up to `width` standard deviations of a count and linear
    /// beyond (Gupta and Price, "Sharp Constants in Uniformity Testing via the Huber Statistic",
    /// COLT 2022). Moving a sample changes it by a bounded amount.
    Huber {
        /// The transition to linear, in standard deviations `sqrt(n q_x)`, at least one sample.
        width: f64,
    },
}

impl Statistic {
    /// All statistics with their names.
    #[must_use]
    pub fn all() -> [(&'static str, Self); 6] {
        [
            ("chi-squared", Self::ChiSquared),
            ("likelihood ratio", Self::LikelihoodRatio),
            ("collisions", Self::Collisions),
            ("coincidences", Self::Coincidences),
            ("total variation", Self::TotalVariation),
            ("Huber", Self::Huber { width: 1.5 }),
        ]
    }

    /// The value for counts against a reference of the same domain. Infinite if a symbol of
    /// reference mass 0 occurs.
    #[must_use]
    pub fn value(self, counts: &[u64], reference: &Pmf) -> f64 {
        let n: f64 = counts.iter().map(|&count| count as f64).sum();
        counts
            .iter()
            .zip(reference.masses())
            .map(|(&count, &mass)| {
                let (count, expected) = (count as f64, n * mass);
                let difference = count - expected;
                match self {
                    Self::ChiSquared | Self::LikelihoodRatio if expected == 0.0 => {
                        if count > 0.0 {
                            f64::INFINITY
                        } else {
                            0.0
                        }
                    }
                    Self::ChiSquared => difference * difference / expected,
                    Self::LikelihoodRatio if count == 0.0 => 0.0,
                    Self::LikelihoodRatio => 2.0 * count * (count / expected).ln(),
                    Self::Collisions => count * (count - 1.0) / 2.0,
                    Self::Coincidences => (count - 1.0).max(0.0),
                    Self::TotalVariation => difference.abs() / (2.0 * n.max(1.0)),
                    Self::Huber { width } => huber(difference, (width * expected.sqrt()).max(1.0)),
                }
            })
            .sum()
    }
}

/// The Huber function: half the square up to `width`, then linear.
fn huber(difference: f64, width: f64) -> f64 {
    let size = difference.abs();
    if size <= width {
        0.5 * size * size
    } else {
        width * (size - 0.5 * width)
    }
}

/// A classical test with a simulated null distribution.
#[derive(Clone, Debug)]
pub struct ClassicalTest {
    statistic: Statistic,
    reference: Pmf,
    samples: u64,
    /// Ascending.
    null: Vec<f64>,
}

impl ClassicalTest {
    /// Simulates `draws` data sets: O(draws times symbols).
    ///
    /// # Errors
    ///
    /// When there are no draws or more than [`MAX_DRAWS`](super::MAX_DRAWS).
    pub fn new(
        statistic: Statistic,
        reference: &Pmf,
        samples: u64,
        draws: usize,
        seed: &SeedTree,
    ) -> Result<Self, RobustStatsError> {
        super::check_draws("draws", draws)?;
        // Simulate the null distribution once; it is reused for all data sets.
        let sampler = MultinomialSampler::new(reference);
        let mut rng = seed.child("null law").rng();
        let mut counts = vec![0; reference.domain()];
        let mut null: Vec<f64> = (0..draws)
            .map(|_| {
                sampler.sample_into(samples, &mut rng, &mut counts);
                statistic.value(&counts, reference)
            })
            .collect();
        null.sort_unstable_by(f64::total_cmp);
        Ok(Self {
            statistic,
            reference: reference.clone(),
            samples,
            null,
        })
    }

    /// The `p` value `(1 + b) / (1 + B)` of counts.
    ///
    /// # Errors
    ///
    /// When the domain or the number of samples differs from that of the test, or the counts overflow.
    pub fn p_value(&self, counts: &[u64]) -> Result<f64, RobustStatsError> {
        if counts.len() != self.reference.domain() {
            return Err(RobustStatsError::mismatch(
                "domain",
                counts.len(),
                self.reference.domain(),
            ));
        }
        let samples = checked_total(counts)?;
        if samples != self.samples {
            return Err(RobustStatsError::mismatch("samples", samples, self.samples));
        }
        let value = self.statistic.value(counts, &self.reference);
        // Equal values may differ by rounding.
        let slack = 1e-9 * value.abs();
        let below = self.null.partition_point(|&null| null < value - slack);
        Ok((1 + self.null.len() - below) as f64 / (1 + self.null.len()) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_small_table() {
        let reference = Pmf::from_weights(&[2.0, 1.0, 1.0]).unwrap();
        let counts = [6, 2, 0];
        let close = |statistic: Statistic, expected: f64| {
            let value = statistic.value(&counts, &reference);
            assert!((value - expected).abs() < 1e-12, "{statistic:?} {value}");
        };
        close(Statistic::ChiSquared, 4.0 / 4.0 + 0.0 + 4.0 / 2.0);
        close(Statistic::LikelihoodRatio, 12.0 * 1.5_f64.ln());
        close(Statistic::Collisions, 15.0 + 1.0);
        close(Statistic::Coincidences, 6.0);
        close(Statistic::TotalVariation, 0.25);
        close(Statistic::Huber { width: 0.1 }, 1.5 + 0.0 + 1.5);
    }

    #[test]
    fn what_the_reference_excludes_is_infinitely_far() {
        let reference = Pmf::from_weights(&[1.0, 0.0]).unwrap();
        assert!(
            Statistic::ChiSquared
                .value(&[3, 1], &reference)
                .is_infinite()
        );
        assert_eq!(Statistic::ChiSquared.value(&[4, 0], &reference), 0.0);
    }

    #[test]
    fn counts_whose_sum_overflows_are_refused() {
        let reference = Pmf::uniform(2).unwrap();
        let test =
            ClassicalTest::new(Statistic::ChiSquared, &reference, 6, 9, &SeedTree::new(1)).unwrap();
        assert!(test.p_value(&[u64::MAX, 7]).is_err());
        assert!(test.p_value(&[3, 3]).is_ok());
        let value = Statistic::ChiSquared.value(&[u64::MAX, u64::MAX], &reference);
        assert!(value.is_finite());
    }

    #[test]
    fn true_hypotheses_are_rejected_as_often_as_the_level_says() {
        let reference = Pmf::zipf(20, 1.0).unwrap();
        let seed = SeedTree::new(9);
        let sampler = MultinomialSampler::new(&reference);
        let mut rng = seed.child("data").rng();
        for (name, statistic) in Statistic::all() {
            let test =
                ClassicalTest::new(statistic, &reference, 200, 999, &seed.child(name)).unwrap();
            let rejected = (0..1_000)
                .filter(|_| test.p_value(&sampler.sample(200, &mut rng)).unwrap() <= 0.05)
                .count();
            // 50 expected, of which 5.5 standard deviations (with that of the null) allow 45 more.
            assert!(rejected < 95, "{name}: {rejected}");
        }
    }
}
