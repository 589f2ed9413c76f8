//! Corrections for testing several hypotheses at once.

/// Holm's step-down adjusted p-values, in the order of the input: rejecting those below `α` keeps
/// the probability of any false rejection below `α` (Holm, Scandinavian Journal of Statistics 6,
/// 1979). `None` if a value is outside `[0, 1]`.
#[must_use]
pub fn holm(p_values: &[f64]) -> Option<Vec<f64>> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        // The p-value times the number of hypotheses that are left; the running maximum keeps the
        // order.
        let remaining = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[index] * remaining).min(1.0));
        adjusted[index] = largest;
    }
    Some(adjusted)
}

/// Benjamini and Hochberg's adjusted p-values, in the order of the input: rejecting those below
/// `q` keeps the expected share of false rejections below `q` for independent tests (Benjamini and
/// Hochberg, JRSS B 57, 1995). `None` if a value is outside `[0, 1]`.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Option<Vec<f64>> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        // p n / rank; the running minimum from the largest down keeps the order.
        let scale = p_values.len() as f64 / (rank + 1) as f64;
        smallest = smallest.min(p_values[index] * scale);
        adjusted[index] = smallest;
    }
    Some(adjusted)
}

/// The indices of the p-values in ascending order.
fn ascending(p_values: &[f64]) -> Option<Vec<usize>> {
    if !p_values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all_close(measured: &[f64], expected: &[f64]) {
        assert_eq!(measured.len(), expected.len());
        for (a, b) in measured.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{measured:?} is not {expected:?}");
        }
    }

    #[test]
    fn adjusted_values_are_those_of_r() {
        // R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm" and "BH")
        let p = [0.05, 0.01, 0.03, 0.02, 0.04];
        assert_all_close(&holm(&p).unwrap(), &[0.09, 0.05, 0.09, 0.08, 0.09]);
        assert_all_close(&benjamini_hochberg(&p).unwrap(), &[0.05; 5]);
    }

    #[test]
    fn the_first_example_of_benjamini_and_hochberg() {
        // Benjamini and Hochberg (1995), section 4.1: 15 p-values; at 0.05 Bonferroni and Holm
        // reject three hypotheses, the new procedure four.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        let rejected = |adjusted: Vec<f64>| adjusted.iter().filter(|&&p| p <= 0.05).count();
        assert_eq!(rejected(holm(&p).unwrap()), 3);
        assert_eq!(rejected(benjamini_hochberg(&p).unwrap()), 4);
    }

    #[test]
    fn values_outside_the_unit_interval_are_refused() {
        assert_eq!(holm(&[0.1, 1.1]), None);
        assert_eq!(benjamini_hochberg(&[f64::NAN]), None);
        assert_eq!(holm(&[]), Some(vec![]));
    }
}
