//! Two-sample and independence tests: permutation tests shifted by their sensitivity.
//!
//! A manipulated sample changes the statistic of the data, and that of every permutation of the data, by
//! at most the sensitivity. A test that rejects only if the statistic exceeds the permutation quantile by
//! twice the number of manipulated samples times the sensitivity keeps its level under any manipulation
//! (Schrab and Kim, "Robust Kernel Hypothesis Testing under Data Corruption", 2024).

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::aggregate::checked_total;
use crate::error::RobustStatsError;
use crate::parameter::Gamma;
use crate::simulate::draw_without_replacement;

/// Maximum number of samples of a permutation test: above it, the floating-point probabilities of
/// permuted counts are inaccurate, and a draw takes too long.
pub const MAX_PERMUTED_SAMPLES: u64 = 1_000_000_000_000;

fn check_permuted(samples: u64) -> Result<(), RobustStatsError> {
    if samples <= MAX_PERMUTED_SAMPLES {
        return Ok(());
    }
    let expected = format!("at most {MAX_PERMUTED_SAMPLES} for a permutation test");
    Err(RobustStatsError::parameter("samples", expected, samples))
}

/// The result of a shifted permutation test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShiftReport {
    /// The statistic: a total variation.
    pub statistic: f64,
    /// The shift: twice the number of manipulated samples times the sensitivity.
    pub shift: f64,
    /// The p-value, valid without manipulation.
    pub p_value: f64,
    /// The p-value, valid under any manipulation by the assumed fraction of clients.
    pub robust_p_value: f64,
}

/// Whether two samples come from one distribution. The statistic is the total variation between
/// their frequencies; one manipulated sample changes it by at most `1 / min(n_1, n_2)`. `gamma` is the fraction of
/// lies among the samples of both together. O(symbols) for each of `permutations`.
///
/// # Errors
///
/// When the domains differ, a sample is empty, there are more than [`MAX_PERMUTED_SAMPLES`] samples, or no
/// permutations or more than [`MAX_DRAWS`](super::MAX_DRAWS).
pub fn two_sample<R: Rng + ?Sized>(
    first: &[u64],
    second: &[u64],
    gamma: Gamma,
    permutations: usize,
    rng: &mut R,
) -> Result<ShiftReport, RobustStatsError> {
    if first.len() != second.len() {
        return Err(RobustStatsError::mismatch(
            "domain",
            first.len(),
            second.len(),
        ));
    }
    let sizes = [checked_total(first)?, checked_total(second)?];
    check_permuted(sizes[0] + sizes[1])?;
    let smaller = sizes[0].min(sizes[1]);
    if smaller == 0 {
        return Err(RobustStatsError::parameter(
            "samples",
            "at least 1 in each",
            0,
        ));
    }
    // Under the null hypothesis both samples are draws from the pooled counts.
    let pooled: Vec<u64> = first.iter().zip(second).map(|(a, b)| a + b).collect();
    // The second sample is what the first leaves of the pooled counts.
    let distance = |counts: &[u64]| -> f64 {
        counts
            .iter()
            .zip(&pooled)
            .map(|(&a, &both)| {
                (a as f64 / sizes[0] as f64 - (both - a) as f64 / sizes[1] as f64).abs()
            })
            .sum::<f64>()
            / 2.0
    };
    let manipulated = gamma.budget(sizes[0] + sizes[1]) as f64;
    let mut counts = vec![0; pooled.len()];
    shifted(
        distance(first),
        2.0 * manipulated / smaller as f64,
        permutations,
        || {
            draw_without_replacement(&pooled, sizes[0], rng, &mut counts);
            distance(&counts)
        },
    )
}

/// Whether two variables are independent: `table` counts their pairs, row after row, with `columns`
/// columns. The statistic is the total variation between the frequencies of pairs and the product
/// of the marginal frequencies; one manipulated sample changes the pairs by `1 / n` and each marginal by `1 / n`,
/// so it changes by at most `3 / n`.
///
/// # Errors
///
/// When the table is not rectangular or empty, there are more than [`MAX_PERMUTED_SAMPLES`] samples, or no
/// permutations or more than [`MAX_DRAWS`](super::MAX_DRAWS).
pub fn independence<R: Rng + ?Sized>(
    table: &[u64],
    columns: usize,
    gamma: Gamma,
    permutations: usize,
    rng: &mut R,
) -> Result<ShiftReport, RobustStatsError> {
    if columns == 0 || !table.len().is_multiple_of(columns) {
        return Err(RobustStatsError::parameter(
            "columns",
            format!("a divisor of the {} counts", table.len()),
            columns,
        ));
    }
    let samples = checked_total(table)?;
    check_permuted(samples)?;
    if samples == 0 {
        return Err(RobustStatsError::parameter("samples", "at least 1", 0));
    }
    // Permutations keep both margins.
    let rows: Vec<u64> = table
        .chunks_exact(columns)
        .map(|row| row.iter().sum())
        .collect();
    let mut of_columns = vec![0; columns];
    for row in table.chunks_exact(columns) {
        for (sum, count) in of_columns.iter_mut().zip(row) {
            *sum += count;
        }
    }
    let n = samples as f64;
    let distance = |table: &[u64]| -> f64 {
        table
            .chunks_exact(columns)
            .zip(&rows)
            .flat_map(|(row, &of_row)| {
                row.iter()
                    .zip(&of_columns)
                    .map(move |(&count, &of_column)| {
                        (count as f64 / n - of_row as f64 / n * (of_column as f64 / n)).abs()
                    })
            })
            .sum::<f64>()
            / 2.0
    };
    let manipulated = gamma.budget(samples) as f64;
    let mut permuted = vec![0; table.len()];
    shifted(
        distance(table),
        2.0 * manipulated * 3.0 / n,
        permutations,
        || {
            // A random table with these margins: each row draws without replacement from what the rows before
            // left of the columns.
            let mut left = of_columns.clone();
            for (row, &of_row) in permuted.chunks_exact_mut(columns).zip(&rows) {
                draw_without_replacement(&left, of_row, rng, row);
                for (left, count) in left.iter_mut().zip(&*row) {
                    *left -= count;
                }
            }
            distance(&permuted)
        },
    )
}

/// Compares the statistic, minus the shift, with permuted ones.
fn shifted(
    statistic: f64,
    shift: f64,
    permutations: usize,
    mut permute: impl FnMut() -> f64,
) -> Result<ShiftReport, RobustStatsError> {
    super::check_draws("permutations", permutations)?;
    // Equal statistics may differ by rounding.
    let slack = 1e-12;
    // The observed statistic counts as one permutation, which makes the p-values exact.
    let (mut plain, mut robust) = (1, 1);
    for _ in 0..permutations {
        let permuted = permute();
        plain += usize::from(permuted >= statistic - slack);
        robust += usize::from(permuted >= statistic - shift - slack);
    }
    let all = (1 + permutations) as f64;
    Ok(ShiftReport {
        statistic,
        shift,
        p_value: plain as f64 / all,
        robust_p_value: robust as f64 / all,
    })
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn equal_samples_are_not_told_apart() {
        let mut rng = SeedTree::new(1).rng();
        let report =
            two_sample(&[10, 20, 30], &[20, 40, 60], Gamma::default(), 99, &mut rng).unwrap();
        assert!(report.statistic < 1e-12);
        assert_eq!(report.p_value, 1.0);
    }

    #[test]
    fn large_differences_survive_lies() {
        let mut rng = SeedTree::new(2).rng();
        let gamma = Gamma::new(0.02).unwrap();
        let report = two_sample(&[700, 300], &[300, 700], gamma, 199, &mut rng).unwrap();
        assert!((report.statistic - 0.4).abs() < 1e-12);
        assert!((report.shift - 0.08).abs() < 1e-12);
        assert_eq!(report.robust_p_value, 1.0 / 200.0);
        let many = Gamma::new(0.1).unwrap();
        let report = two_sample(&[700, 300], &[300, 700], many, 199, &mut rng).unwrap();
        assert_eq!(report.robust_p_value, 1.0);
    }

    #[test]
    fn dependence_is_found() {
        let mut rng = SeedTree::new(3).rng();
        let gamma = Gamma::new(0.01).unwrap();
        let report = independence(&[400, 100, 100, 400], 2, gamma, 199, &mut rng).unwrap();
        assert!(report.robust_p_value < 0.05);
        let report = independence(&[250, 250, 250, 250], 2, gamma, 199, &mut rng).unwrap();
        assert_eq!(report.p_value, 1.0);
    }

    #[test]
    fn one_lie_changes_the_statistics_by_no_more_than_stated() {
        // Every single change of a small table.
        let mut rng = SeedTree::new(4).rng();
        let statistic = |table: &[u64], rng: &mut _| {
            independence(table, 3, Gamma::default(), 1, rng)
                .unwrap()
                .statistic
        };
        let table = [3, 1, 0, 2, 5, 1, 0, 0, 4];
        let before = statistic(&table, &mut rng);
        for from in 0..9 {
            for to in 0..9 {
                if table[from] > 0 && from != to {
                    let mut changed = table;
                    changed[from] -= 1;
                    changed[to] += 1;
                    let after = statistic(&changed, &mut rng);
                    assert!((after - before).abs() <= 3.0 / 16.0 + 1e-12);
                }
            }
        }
    }

    #[test]
    fn wrong_tables_are_refused() {
        let mut rng = SeedTree::new(5).rng();
        let none = Gamma::default();
        assert!(two_sample(&[1], &[1, 2], none, 9, &mut rng).is_err());
        assert!(two_sample(&[0], &[1], none, 9, &mut rng).is_err());
        assert!(independence(&[1, 2, 3], 2, none, 9, &mut rng).is_err());
        assert!(independence(&[], 0, none, 9, &mut rng).is_err());
        assert!(two_sample(&[1], &[1], none, 0, &mut rng).is_err());
        assert!(two_sample(&[1], &[1], none, 10_000_001, &mut rng).is_err());
    }

    #[test]
    fn sums_that_no_sample_has_are_refused() {
        let mut rng = SeedTree::new(6).rng();
        let none = Gamma::default();
        for huge in [u64::MAX, 1 << 63, 1 << 57, 1_000_000_000_001] {
            assert!(two_sample(&[huge, huge], &[1, 2], none, 9, &mut rng).is_err());
            assert!(two_sample(&[1, 2], &[huge, 0], none, 9, &mut rng).is_err());
            assert!(independence(&[huge, huge, 1, 1], 2, none, 9, &mut rng).is_err());
        }
    }
}
