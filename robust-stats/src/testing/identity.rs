//! The robust identity test: whether data follow a reference, even if some samples are manipulated.

use rand::Rng;
use septet_core::seed::SeedTree;
use serde::{Deserialize, Serialize};

use crate::aggregate::{CountMatrix, checked_total};
use crate::design::HashDesign;
use crate::distribution::{AliasSampler, MultinomialSampler, Pmf};
use crate::error::RobustStatsError;
use crate::parameter::Gamma;

use super::reference::ExactPmf;
use super::total_variation::{Distance, MinimumPath};

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// The statistic of the observed data: a total variation in `[0, 1]`.
    pub statistic: f64,
    /// The minimum of the statistic over all data that differ from the observed data by at most the
    /// assumed number of manipulated samples.
    pub min_statistic: f64,
    /// The p-value of the statistic, valid without manipulation.
    pub p_value: f64,
    /// The p-value of the minimum statistic, valid under any manipulation by the assumed fraction of
    /// clients.
    pub robust_p_value: f64,
    /// The maximum fraction of corrupted clients for which the test rejects at its level, whatever
    /// they do. `None` if it does not reject even without manipulation; 1 if no number of manipulated
    /// samples explains the data.
    pub gamma_star: Option<f64>,
}

/// A test of one reference for a fixed number of samples (per group, if there are several). Its null
/// distribution is simulated once and reused for any number of data sets.
///
/// The statistic is the total variation between frequencies and reference, averaged over groups
/// weighted by their sizes. A p-value is `(1 + b) / (1 + B)` if `b` of `B` simulated data sets are at
/// least as far away, which is valid for every `B`.
///
/// ```
/// use septet_core::seed::SeedTree;
/// use septet_robust_stats::{Gamma, Pmf};
/// use septet_robust_stats::testing::IdentityTest;
///
/// let fair = Pmf::uniform(6)?;
/// let test = IdentityTest::new(&fair, 6_000, 999, &SeedTree::new(1))?;
/// let report = test.run(&[1_200, 960, 960, 960, 960, 960], Gamma::new(0.01)?, 0.05)?;
/// // The excess of 200 throws stands out, and 60 manipulated throws would not explain it.
/// assert!(report.robust_p_value <= 0.01);
/// assert!(report.gamma_star > Some(0.01));
/// # Ok::<(), septet_robust_stats::RobustStatsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IdentityTest {
    /// The references by group, all with the same total.
    references: Vec<ExactPmf>,
    sizes: Vec<u64>,
    cells: usize,
    /// The distances of simulated data, ascending.
    null: Vec<Distance>,
}

impl IdentityTest {
    /// A test of `samples` samples against `reference`, with `draws` simulated data sets. O(draws times
    /// the minimum of symbols and samples).
    ///
    /// # Errors
    ///
    /// When there are no draws or more than [`MAX_DRAWS`](super::MAX_DRAWS), or too many samples.
    pub fn new(
        reference: &Pmf,
        samples: u64,
        draws: usize,
        seed: &SeedTree,
    ) -> Result<Self, RobustStatsError> {
        Self::exact(ExactPmf::rounded(reference), samples, draws, seed)
    }

    /// The same for a reference with integer weights, such as the uniform one, with exact ties.
    ///
    /// # Errors
    ///
    /// When there are no draws or more than [`MAX_DRAWS`](super::MAX_DRAWS), or too many samples.
    pub fn exact(
        reference: ExactPmf,
        samples: u64,
        draws: usize,
        seed: &SeedTree,
    ) -> Result<Self, RobustStatsError> {
        Self::grouped(vec![reference], vec![samples], draws, seed)
    }

    /// A test of the reports of a hash design, with or without privacy: every group's frequencies
    /// against its message distribution under `reference`. The statistic is the total variation in
    /// message space, attenuated by the design. `sizes` are the numbers of reports by group. A corrupted
    /// client can change its report but not its group, and all corrupted clients may be in one group.
    ///
    /// # Errors
    ///
    /// When the domains differ, the number of sizes is not that of groups, or there are no draws.
    pub fn distributed(
        design: &HashDesign,
        reference: &Pmf,
        sizes: Vec<u64>,
        draws: usize,
        seed: &SeedTree,
    ) -> Result<Self, RobustStatsError> {
        let laws: Result<Vec<ExactPmf>, RobustStatsError> = (0..design.groups())
            .map(|group| {
                let law = design.message_distribution(group, reference.masses())?;
                Ok(ExactPmf::rounded(&Pmf::from_weights(&law)?))
            })
            .collect();
        Self::grouped(laws?, sizes, draws, seed)
    }

    fn grouped(
        references: Vec<ExactPmf>,
        sizes: Vec<u64>,
        draws: usize,
        seed: &SeedTree,
    ) -> Result<Self, RobustStatsError> {
        super::check_draws("draws", draws)?;
        if sizes.len() != references.len() {
            return Err(RobustStatsError::mismatch(
                "groups",
                sizes.len(),
                references.len(),
            ));
        }
        checked_total(&sizes)?;
        // All groups have the same number of cells and the same total weight.
        let cells = references[0].weights().len();
        let mut test = Self {
            references,
            sizes,
            cells,
            null: Vec::new(),
        };
        // Simulate the distance of honest data from the references, summed over groups.
        let mut rng = seed.child("null law").rng();
        let samplers: Vec<Sampler> = test
            .references
            .iter()
            .zip(&test.sizes)
            .map(|(reference, &size)| Sampler::new(&reference.to_pmf(), size))
            .collect();
        let mut counts = vec![0; cells];
        let mut null: Vec<Distance> = (0..draws)
            .map(|_| {
                samplers
                    .iter()
                    .zip(&test.references)
                    .map(|(sampler, reference)| {
                        sampler.sample_into(&mut rng, &mut counts);
                        super::total_variation::distance(
                            &counts,
                            reference.weights(),
                            reference.total(),
                        )
                    })
                    .sum()
            })
            .collect();
        null.sort_unstable();
        test.null = null;
        Ok(test)
    }

    /// Tests the counts of a single group, by symbol. `level` is the significance level of
    /// [`TestReport::gamma_star`].
    ///
    /// # Errors
    ///
    /// When the number of symbols or of samples is not that of the test, or the level is outside
    /// `(0, 1)`.
    pub fn run(
        &self,
        counts: &[u64],
        gamma: Gamma,
        level: f64,
    ) -> Result<TestReport, RobustStatsError> {
        self.run_counts(counts, gamma, level)
    }

    /// Tests the counts of all groups.
    ///
    /// # Errors
    ///
    /// When the shape or the number of reports of a group is not that of the test, or the level is
    /// outside `(0, 1)`.
    pub fn run_groups(
        &self,
        counts: &CountMatrix,
        gamma: Gamma,
        level: f64,
    ) -> Result<TestReport, RobustStatsError> {
        self.run_counts(counts.counts(), gamma, level)
    }

    fn run_counts(
        &self,
        counts: &[u64],
        gamma: Gamma,
        level: f64,
    ) -> Result<TestReport, RobustStatsError> {
        if !(level > 0.0 && level < 1.0) {
            return Err(RobustStatsError::parameter(
                "level",
                "above 0 and below 1",
                level,
            ));
        }
        if counts.len() != self.cells * self.references.len() {
            return Err(RobustStatsError::mismatch(
                "counts",
                counts.len(),
                self.cells * self.references.len(),
            ));
        }
        // The null distribution is for fixed group sizes.
        for (group, &size) in counts.chunks_exact(self.cells).zip(&self.sizes) {
            let sum = checked_total(group)?;
            if sum != size {
                return Err(RobustStatsError::mismatch("samples of a group", sum, size));
            }
        }
        // The minimum distance under manipulation follows from the greedy path. All references have the
        // same total, so distances of groups add up in common units.
        let total = self.references[0].total();
        let groups = counts
            .chunks_exact(self.cells)
            .zip(&self.references)
            .map(|(counts, reference)| (counts, reference.weights()));
        let path = MinimumPath::new(groups, total);
        let samples: u64 = self.sizes.iter().sum();
        let least = path.after(gamma.budget(samples));
        let unit = 2.0 * samples.max(1) as f64 * total as f64;
        Ok(TestReport {
            statistic: path.start() as f64 / unit,
            min_statistic: least as f64 / unit,
            p_value: self.p_value(path.start()),
            robust_p_value: self.p_value(least),
            gamma_star: self
                .critical(level)
                .and_then(|critical| path.moves_above(critical))
                .map(|moves| (moves as f64 / samples.max(1) as f64).min(1.0)),
        })
    }

    /// `(1 + b) / (1 + B)`.
    fn p_value(&self, distance: Distance) -> f64 {
        let below = self.null.partition_point(|&null| null < distance);
        (1 + self.null.len() - below) as f64 / (1 + self.null.len()) as f64
    }

    /// The minimum distance that is rejected at the level. `None` if there are too few draws for it.
    fn critical(&self, level: f64) -> Option<Distance> {
        // Rejection requires 1 + b <= level (1 + B), with a tolerance for rounding.
        let max = (level * (1 + self.null.len()) as f64 * (1.0 + 1e-12)) as usize;
        let tail = max.checked_sub(1)?;
        if tail >= self.null.len() {
            return Some(0);
        }
        Some(self.null[self.null.len() - 1 - tail] + 1)
    }
}

/// Samples the counts of a fixed number of samples by the cheaper of two methods.
enum Sampler {
    BySymbol(MultinomialSampler, u64),
    BySample(AliasSampler, u64),
}

impl Sampler {
    fn new(pmf: &Pmf, samples: u64) -> Self {
        // A binomial draw costs about as much as four samples.
        if samples < 4 * pmf.domain() as u64 {
            Self::BySample(AliasSampler::new(pmf), samples)
        } else {
            Self::BySymbol(MultinomialSampler::new(pmf), samples)
        }
    }

    fn sample_into<R: Rng + ?Sized>(&self, rng: &mut R, counts: &mut [u64]) {
        match self {
            Self::BySymbol(sampler, samples) => sampler.sample_into(*samples, rng, counts),
            Self::BySample(sampler, samples) => {
                counts.fill(0);
                for _ in 0..*samples {
                    counts[sampler.sample(rng)] += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> SeedTree {
        SeedTree::new(5)
    }

    #[test]
    fn nothing_lies_is_the_classical_test() {
        let test = IdentityTest::exact(ExactPmf::uniform(5).unwrap(), 40, 999, &seed()).unwrap();
        for counts in [[8, 8, 8, 8, 8], [10, 6, 8, 9, 7], [40, 0, 0, 0, 0]] {
            let report = test.run(&counts, Gamma::default(), 0.05).unwrap();
            assert_eq!(report.p_value, report.robust_p_value);
            assert_eq!(report.statistic, report.min_statistic);
        }
    }

    #[test]
    fn gamma_star_is_where_the_robust_value_crosses_the_level() {
        let test = IdentityTest::exact(ExactPmf::uniform(4).unwrap(), 400, 999, &seed()).unwrap();
        let counts = [160, 80, 80, 80];
        let report = test.run(&counts, Gamma::default(), 0.05).unwrap();
        let star = report.gamma_star.unwrap();
        let at = |gamma: f64| {
            let gamma = Gamma::new(gamma).unwrap();
            test.run(&counts, gamma, 0.05).unwrap().robust_p_value
        };
        assert!(at(star) <= 0.05);
        assert!(at(star + 1.0 / 400.0) > 0.05);
        let null = test.run(&[100; 4], Gamma::default(), 0.05).unwrap();
        assert_eq!(null.gamma_star, None);
    }

    #[test]
    fn small_domains_and_no_samples() {
        let single = IdentityTest::exact(ExactPmf::uniform(1).unwrap(), 9, 99, &seed()).unwrap();
        let report = single.run(&[9], Gamma::default(), 0.05).unwrap();
        assert_eq!((report.statistic, report.p_value), (0.0, 1.0));
        let empty = IdentityTest::exact(ExactPmf::uniform(3).unwrap(), 0, 99, &seed()).unwrap();
        let report = empty.run(&[0, 0, 0], Gamma::default(), 0.05).unwrap();
        assert_eq!((report.p_value, report.gamma_star), (1.0, None));
    }

    #[test]
    fn what_cannot_be_observed_is_rejected_for_ever() {
        // Mass where the reference has none, and nobody who could have sent it elsewhere but all.
        let reference = Pmf::from_weights(&[1.0, 0.0]).unwrap();
        let test = IdentityTest::new(&reference, 10, 99, &seed()).unwrap();
        let report = test.run(&[0, 10], Gamma::new(0.3).unwrap(), 0.05).unwrap();
        assert_eq!(report.robust_p_value, 0.01);
        assert_eq!(report.gamma_star, Some(0.9));
    }

    #[test]
    fn wrong_data_are_refused() {
        let test = IdentityTest::new(&Pmf::uniform(3).unwrap(), 6, 9, &seed()).unwrap();
        assert!(test.run(&[3, 3], Gamma::default(), 0.05).is_err());
        assert!(test.run(&[3, 3, 3], Gamma::default(), 0.05).is_err());
        assert!(test.run(&[2, 2, 2], Gamma::default(), 1.0).is_err());
        let uniform = Pmf::uniform(3).unwrap();
        for (samples, draws) in [(6, 0), (6, 10_000_001), (u64::MAX, 9)] {
            assert!(IdentityTest::new(&uniform, samples, draws, &seed()).is_err());
        }
        let huge = [u64::MAX, 7, 0];
        assert!(test.run(&huge, Gamma::default(), 0.05).is_err());
    }
}
