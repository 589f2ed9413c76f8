//! The input of decoders: message frequencies by group.

use crate::aggregate::CountMatrix;
use crate::error::RobustStatsError;

use crate::design::DesignMatrix;

/// The message frequencies of every group, with the share of each group in all messages as its weight.
/// An empty group has weight 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    reports: f64,
    frequencies: Vec<f64>,
    weights: Vec<f64>,
}

impl Observation {
    /// The frequencies of counted reports.
    ///
    /// # Errors
    ///
    /// When the shape of the counts is not that of the matrix, or there are no reports.
    pub fn from_counts(
        matrix: &DesignMatrix,
        counts: &CountMatrix,
    ) -> Result<Self, RobustStatsError> {
        let (shape, expected) = (
            (counts.groups(), counts.cells()),
            (matrix.groups(), matrix.cells()),
        );
        if shape != expected {
            return Err(RobustStatsError::mismatch(
                "shape of the count matrix",
                format!("{} x {}", shape.0, shape.1),
                format!("{} x {}", expected.0, expected.1),
            ));
        }
        let reports = counts.reports() as f64;
        if reports == 0.0 {
            return Err(RobustStatsError::parameter("reports", "at least 1", 0));
        }
        let mut frequencies = Vec::with_capacity(counts.counts().len());
        let mut weights = Vec::with_capacity(counts.groups());
        for group in 0..counts.groups() {
            let size = counts.group_reports(group) as f64;
            weights.push(size / reports);
            frequencies.extend(
                counts
                    .group(group)
                    .iter()
                    .map(|&count| if size > 0.0 { count as f64 / size } else { 0.0 }),
            );
        }
        Ok(Self {
            reports,
            frequencies,
            weights,
        })
    }

    /// Computed frequencies, such as the message distribution itself, of groups of equal size with
    /// `reports` messages in total.
    ///
    /// # Errors
    ///
    /// When there is not one frequency for each cell, or `reports` is not positive.
    pub fn from_frequencies(
        matrix: &DesignMatrix,
        frequencies: Vec<f64>,
        reports: f64,
    ) -> Result<Self, RobustStatsError> {
        let expected = matrix.groups() * matrix.cells();
        if frequencies.len() != expected {
            return Err(RobustStatsError::mismatch(
                "frequencies",
                frequencies.len(),
                expected,
            ));
        }
        if !(reports > 0.0 && reports.is_finite()) {
            return Err(RobustStatsError::parameter(
                "reports",
                "a positive number",
                reports,
            ));
        }
        Ok(Self {
            reports,
            frequencies,
            weights: vec![1.0 / matrix.groups() as f64; matrix.groups()],
        })
    }

    /// Replaces the weights.
    pub(super) fn with_weights(&self, weights: Vec<f64>) -> Self {
        Self {
            reports: self.reports,
            frequencies: self.frequencies.clone(),
            weights,
        }
    }

    /// Number of reports.
    #[must_use]
    pub fn reports(&self) -> f64 {
        self.reports
    }

    /// The frequencies by group and cell; 0 in an empty group.
    #[must_use]
    pub fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// The weight of each group: its share in all reports.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The frequencies corrected for randomized response: unbiased for the masses of the cells, and
    /// possibly negative.
    #[must_use]
    pub(crate) fn cell_estimates(&self, matrix: &DesignMatrix) -> Vec<f64> {
        let mut estimates = Vec::with_capacity(self.frequencies.len());
        for (group, &weight) in self
            .frequencies
            .chunks_exact(matrix.cells())
            .zip(&self.weights)
        {
            // Empty groups have weight 0, so their value is irrelevant.
            estimates.extend(group.iter().map(|frequency| {
                if weight > 0.0 {
                    (frequency - matrix.other_probability()) / matrix.attenuation()
                } else {
                    0.0
                }
            }));
        }
        estimates
    }

    /// `1/2 sum_j w_j ||A_j p - q_j||_1` in message space: the minimum fraction of reports to change
    /// such that the frequencies are exactly those of `masses`.
    #[must_use]
    pub fn residual(&self, matrix: &DesignMatrix, masses: &[f64]) -> f64 {
        let law = matrix.message_distribution(masses);
        let groups = law
            .chunks_exact(matrix.cells())
            .zip(self.frequencies.chunks_exact(matrix.cells()));
        0.5 * groups
            .zip(&self.weights)
            .map(|((law, frequencies), weight)| {
                let distance: f64 = law
                    .iter()
                    .zip(frequencies)
                    .map(|(a, b)| (a - b).abs())
                    .sum();
                weight * distance
            })
            .sum::<f64>()
    }

    /// An upper bound on the mean of [`residual`](Self::residual) at the true distribution without
    /// manipulation, for any distribution.
    ///
    /// For each group the smaller of `1/2 sqrt((L - 1) / n_j)` (Cauchy and Schwarz) and the normal
    /// form `1/2 (sqrt(2 (L - 1) / (pi n_j)) + L / n_j)`, whose second term bounds the distance
    /// from normality (Goldstein, Annals of Probability 2010: constant 1 in the Kantorovich
    /// distance).
    #[must_use]
    pub fn noise_bound(&self, matrix: &DesignMatrix) -> f64 {
        let cells = matrix.cells() as f64;
        self.weights
            .iter()
            .filter(|&&weight| weight > 0.0)
            .map(|&weight| {
                let size = weight * self.reports;
                // Both bounds hold for every distribution; the normal form is better for large groups.
                let plain = ((cells - 1.0) / size).sqrt();
                let normal =
                    (2.0 * (cells - 1.0) / (std::f64::consts::PI * size)).sqrt() + cells / size;
                weight * 0.5 * plain.min(normal)
            })
            .sum()
    }

    /// The excess of [`residual`](Self::residual) over its mean that occurs with probability at most
    /// `level`: one report changes it by at most `1 / n`, so `sqrt(ln(1 / level) / 2n)` (McDiarmid).
    #[must_use]
    pub fn noise_deviation(&self, level: f64) -> f64 {
        ((1.0 / level).ln() / (2.0 * self.reports)).sqrt()
    }
}
