//! What the decoders see: the frequencies of the messages, by group.

use crate::aggregate::CountMatrix;
use crate::design::HashDesign;
use crate::error::RobustStatsError;

use super::matrix::DesignMatrix;

impl DesignMatrix {
    /// The map of a hash design, with its randomized response.
    ///
    /// # Errors
    ///
    /// When the design has more than `2^32 - 1` cells over all groups.
    pub fn from_design(design: &HashDesign) -> Result<Self, RobustStatsError> {
        let response = design.cell_probabilities();
        let matrix = Self::new(
            design.domain(),
            design.cells(),
            design.groups(),
            |group, symbol| design.cell(group, symbol),
        )?;
        if design.cells() < 2 || design.response().is_none() {
            return Ok(matrix);
        }
        matrix.with_response(response.own, response.other)
    }
}

/// The frequencies of the messages of every group, with the share that each group has in all
/// messages. An empty group has weight 0.
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
    /// When the shape of the counts is not that of the matrix, or there is no report at all.
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

    /// Frequencies that were not counted but computed, such as the law of the messages itself, of
    /// groups of equal size with `reports` messages together.
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

    /// The same frequencies with other weights.
    pub(super) fn with_weights(&self, weights: Vec<f64>) -> Self {
        Self {
            reports: self.reports,
            frequencies: self.frequencies.clone(),
            weights,
        }
    }

    /// How many reports there are.
    #[must_use]
    pub fn reports(&self) -> f64 {
        self.reports
    }

    /// The frequencies, group after group; 0 in an empty group.
    #[must_use]
    pub fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// The share of each group in all reports.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The frequencies with the effect of randomized response taken out: unbiased for the masses of
    /// the cells, and perhaps negative.
    #[must_use]
    pub(crate) fn cell_estimates(&self, matrix: &DesignMatrix) -> Vec<f64> {
        let mut estimates = Vec::with_capacity(self.frequencies.len());
        for (group, &weight) in self
            .frequencies
            .chunks_exact(matrix.cells())
            .zip(&self.weights)
        {
            estimates.extend(group.iter().map(|frequency| {
                if weight > 0.0 {
                    (frequency - matrix.spread()) / matrix.kept()
                } else {
                    0.0
                }
            }));
        }
        estimates
    }

    /// `1/2 sum_j w_j ||A_j p - q_j||_1` in the space of messages: the least fraction of reports
    /// that would have to change for the frequencies to be exactly those of `masses`.
    #[must_use]
    pub fn residual(&self, matrix: &DesignMatrix, masses: &[f64]) -> f64 {
        let law = matrix.message_law(masses);
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

    /// An upper bound on the mean of [`residual`](Self::residual) at the true distribution when
    /// nobody lies, whatever that distribution is.
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
                let plain = ((cells - 1.0) / size).sqrt();
                let normal =
                    (2.0 * (cells - 1.0) / (std::f64::consts::PI * size)).sqrt() + cells / size;
                weight * 0.5 * plain.min(normal)
            })
            .sum()
    }

    /// By how much [`residual`](Self::residual) exceeds its mean with at most the chance `level`:
    /// one report changes it by at most `1 / n`, so `sqrt(ln(1 / level) / 2n)` (McDiarmid).
    #[must_use]
    pub fn noise_deviation(&self, level: f64) -> f64 {
        ((1.0 / level).ln() / (2.0 * self.reports)).sqrt()
    }
}
