//! The design as a matrix-free linear map.

use super::{Certificate, HashDesign};
use crate::error::RobustStatsError;

/// The linear map from a distribution over `k` symbols to the message distributions of `N` groups of
/// `L` cells. A group's partition sums the masses of each cell; randomized response attenuates them and
/// adds a uniform part.
///
/// The `N L x k` matrix, with ones at the symbols of each cell, is never formed. O(N k) memory and time
/// per product.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignMatrix {
    symbols: usize,
    cells: usize,
    groups: usize,
    /// The row indices of the ones by symbol and group: `group * cells + cell`.
    rows: Vec<u32>,
    /// Number of symbols by cell.
    sizes: Vec<u32>,
    /// The probability of the own cell minus that of another one; 1 without privacy.
    attenuation: f64,
    /// The probability of another cell; 0 without privacy.
    other_probability: f64,
    /// What the partitions provably keep of distances.
    certificate: Option<Certificate>,
}

impl DesignMatrix {
    /// The map of the design given by `cell(group, symbol)`.
    ///
    /// # Errors
    ///
    /// When there is no symbol, no cell or no group, when a cell is outside `0..cells`, or when
    /// `groups * cells` exceeds `u32`.
    pub fn new(
        symbols: usize,
        cells: usize,
        groups: usize,
        cell: impl Fn(usize, usize) -> usize,
    ) -> Result<Self, RobustStatsError> {
        for (argument, value) in [("symbols", symbols), ("cells", cells), ("groups", groups)] {
            if value == 0 {
                return Err(RobustStatsError::parameter(argument, "at least 1", value));
            }
        }
        // Row indices are stored in 32 bits.
        let observations = groups
            .checked_mul(cells)
            .filter(|&n| u32::try_from(n).is_ok());
        let Some(observations) = observations else {
            return Err(RobustStatsError::parameter(
                "groups * cells",
                "at most 4294967295",
                format!("{groups} * {cells}"),
            ));
        };
        let mut rows = Vec::with_capacity(symbols.saturating_mul(groups));
        let mut sizes = vec![0; observations];
        // Row indices in column order, which is the access pattern of both products.
        for symbol in 0..symbols {
            for group in 0..groups {
                let cell = cell(group, symbol);
                if cell >= cells {
                    return Err(RobustStatsError::parameter(
                        "cell",
                        format!("below {cells}"),
                        cell,
                    ));
                }
                let row = group * cells + cell;
                sizes[row] += 1;
                rows.push(row as u32);
            }
        }
        Ok(Self {
            symbols,
            cells,
            groups,
            rows,
            sizes,
            attenuation: 1.0,
            other_probability: 0.0,
            certificate: None,
        })
    }

    /// The map of a hash design, including its randomized response.
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

    /// The same design with randomized response: a client reports its own cell with probability
    /// `own` and each other one with probability `other`.
    ///
    /// # Errors
    ///
    /// When the probabilities do not sum to 1 over the cells, or `own` is not greater than `other`.
    pub fn with_response(mut self, own: f64, other: f64) -> Result<Self, RobustStatsError> {
        let sum = own + (self.cells as f64 - 1.0) * other;
        let is_law = (sum - 1.0).abs() < 1e-6 && other >= 0.0;
        if !is_law || own <= other {
            return Err(RobustStatsError::parameter(
                "response",
                "probabilities that sum to 1, the own cell's the largest",
                format!("{own} and {other}"),
            ));
        }
        self.attenuation = own - other;
        self.other_probability = other;
        Ok(self)
    }

    /// The same map with a certificate, on which decoders base their bounds: one from
    /// [`certify`](Self::certify) or [`DesignParameters::drawn`](super::DesignParameters::drawn) for the
    /// same design, perhaps stored. It is not verified.
    #[must_use]
    pub fn with_certificate(self, certificate: Certificate) -> Self {
        Self {
            certificate: Some(certificate),
            ..self
        }
    }

    /// The same map, certified by [`certify`](Self::certify); without a certificate if it is too
    /// large.
    #[must_use]
    pub fn certified(self) -> Self {
        let certificate = self.certify();
        Self {
            certificate,
            ..self
        }
    }

    /// What the partitions provably keep of distances, if certified.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.certificate
    }

    /// Number of symbols, `k`.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.symbols
    }

    /// Number of cells per group, `L`.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Number of groups, `N`.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The factor by which randomized response shrinks distances of message distributions: the
    /// probability of the own cell minus that of another; 1 without privacy.
    #[must_use]
    pub fn attenuation(&self) -> f64 {
        self.attenuation
    }

    /// The probability of a given other cell; 0 without privacy.
    #[must_use]
    pub fn other_probability(&self) -> f64 {
        self.other_probability
    }

    /// Number of symbols by cell, `group * cells + cell`.
    pub(crate) fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// The rows of a symbol by group: `group * cells + cell`.
    #[must_use]
    pub fn rows_of(&self, symbol: usize) -> &[u32] {
        &self.rows[symbol * self.groups..(symbol + 1) * self.groups]
    }

    /// The probability that two different symbols share a cell, over pairs and groups.
    #[must_use]
    pub fn collision_probability(&self) -> f64 {
        if self.symbols < 2 {
            return 0.0;
        }
        let pairs: f64 = self
            .sizes
            .iter()
            .map(|&size| f64::from(size) * (f64::from(size) - 1.0))
            .sum();
        let k = self.symbols as f64;
        pairs / (self.groups as f64 * k * (k - 1.0))
    }

    /// The product `A masses`: the mass of every cell, without randomized response.
    pub fn cell_masses(&self, masses: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (rows, &mass) in self.rows.chunks_exact(self.groups).zip(masses) {
            // Iterates on the simplex are sparse.
            if mass != 0.0 {
                for &row in rows {
                    out[row as usize] += mass;
                }
            }
        }
    }

    /// The distribution of the messages under `masses`.
    #[must_use]
    pub fn message_distribution(&self, masses: &[f64]) -> Vec<f64> {
        let mut law = vec![0.0; self.sizes.len()];
        self.cell_masses(masses, &mut law);
        let total: f64 = masses.iter().sum();
        for mass in &mut law {
            *mass = self.attenuation * *mass + self.other_probability * total;
        }
        law
    }

    /// The transposed product of [`cell_masses`](Self::cell_masses): for each symbol, the sum of the
    /// values at its cells.
    pub fn sum_over_cells(&self, values: &[f64], out: &mut [f64]) {
        for (rows, sum) in self.rows.chunks_exact(self.groups).zip(out) {
            // Four partial sums hide the latency of addition; the order is fixed for reproducibility.
            let mut parts = [0.0; 4];
            let mut fours = rows.chunks_exact(4);
            for four in &mut fours {
                for (part, &row) in parts.iter_mut().zip(four) {
                    *part += values[row as usize];
                }
            }
            let rest: f64 = fours
                .remainder()
                .iter()
                .map(|&row| values[row as usize])
                .sum();
            *sum = (parts[0] + parts[1]) + (parts[2] + parts[3]) + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The matrix itself.
    fn dense(matrix: &DesignMatrix) -> Vec<Vec<f64>> {
        let is_in = |row: usize, symbol: usize| matrix.rows_of(symbol).contains(&(row as u32));
        (0..matrix.groups() * matrix.cells())
            .map(|row| {
                (0..matrix.symbols())
                    .map(|symbol| f64::from(u8::from(is_in(row, symbol))))
                    .collect()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

        #[test]
        fn products_are_those_of_the_matrix(
            symbols in 1_usize..12,
            cells in 1_usize..5,
            groups in 1_usize..9,
            seed in 0_usize..1000,
        ) {
            let matrix = DesignMatrix::new(symbols, cells, groups, |j, x| (seed + 7 * j + 3 * x * (j + 1)) % cells).unwrap();
            let dense = dense(&matrix);
            let masses: Vec<f64> = (0..symbols).map(|x| (x % 3) as f64).collect();
            let values: Vec<f64> = (0..groups * cells).map(|i| (i as f64).sin()).collect();
            let mut out = vec![f64::NAN; groups * cells];
            matrix.cell_masses(&masses, &mut out);
            for (row, &value) in dense.iter().zip(&out) {
                let expected: f64 = row.iter().zip(&masses).map(|(a, p)| a * p).sum();
                prop_assert!((value - expected).abs() < 1e-12);
            }
            let mut sums = vec![f64::NAN; symbols];
            matrix.sum_over_cells(&values, &mut sums);
            for (x, &sum) in sums.iter().enumerate() {
                let expected: f64 = dense.iter().zip(&values).map(|(row, v)| row[x] * v).sum();
                prop_assert!((sum - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn wrong_designs_are_refused() {
        assert!(DesignMatrix::new(0, 2, 1, |_, _| 0).is_err());
        assert!(DesignMatrix::new(2, 2, 1, |_, _| 2).is_err());
        assert!(DesignMatrix::new(2, 2, usize::MAX / 2, |_, _| 0).is_err());
        let matrix = DesignMatrix::new(4, 2, 1, |_, x| x % 2).unwrap();
        assert!((matrix.collision_probability() - 1.0 / 3.0).abs() < 1e-12);
        assert!(matrix.clone().with_response(0.5, 0.5).is_err());
        assert!(matrix.clone().with_response(0.8, 0.3).is_err());
        let law = matrix
            .with_response(0.75, 0.25)
            .unwrap()
            .message_distribution(&[0.5, 0.0, 0.5, 0.0]);
        assert_eq!(law, [0.75, 0.25]);
    }
}
