//! Descriptions of a sample: mean, spread, quantiles.

/// The arithmetic mean; NaN for no values.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of a sample, with denominator `n - 1`; NaN for fewer than two values.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The `p`-quantile for `p` in `[0, 1]`, interpolated linearly between order statistics: type 7 of
/// Hyndman and Fan (1996), the default of R and NumPy. `O(n log n)`.
#[must_use]
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let all_finite = values.iter().all(|value| value.is_finite());
    if values.is_empty() || !all_finite || !(0.0..=1.0).contains(&p) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(quantile_of_sorted(&sorted, p))
}

/// The median: the `0.5`-quantile.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// As [`quantile`], of values that are sorted already and not empty.
pub(super) fn quantile_of_sorted(sorted: &[f64], p: f64) -> f64 {
    // The lowest value has position 0, the highest n - 1.
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = position - below as f64;
    sorted[below] + share * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_r() {
        // R 4: quantile(c(1, 2, 4, 8, 16), c(0, .1, .25, .5, .9, 1))
        let values = [16.0, 1.0, 4.0, 2.0, 8.0];
        for (p, expected) in [
            (0.0, 1.0),
            (0.1, 1.4),
            (0.25, 2.0),
            (0.5, 4.0),
            (0.9, 12.8),
            (1.0, 16.0),
        ] {
            let measured = quantile(&values, p).unwrap();
            assert!((measured - expected).abs() < 1e-12, "{p}: {measured}");
        }
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
    }

    #[test]
    fn undefined_quantiles_are_refused() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
        assert_eq!(quantile(&[1.0], 1.5), None);
        assert_eq!(quantile(&[1.0], f64::NAN), None);
    }

    #[test]
    fn spread_of_a_known_sample() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squares 32.
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), 5.0);
        assert!((standard_deviation(&values) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
        assert!(standard_deviation(&[1.0]).is_nan());
    }
}
