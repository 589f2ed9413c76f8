//! LDPRecover: recovers genuine frequencies from poisoned estimates.

use crate::error::RobustStatsError;

use super::projection::to_simplex;

/// LDPRecover (Sun et al., ICDE 2024) for an unknown attack: the poisoned estimates are a mixture of
/// genuine and malicious ones, with `ratio` malicious clients per genuine one. The malicious estimates
/// are assumed to sum to `malicious_sum`, evenly over the symbols with a positive poisoned estimate;
/// the difference is projected to the simplex.
///
/// The sum follows from the protocol: a malicious report that supports one symbol decodes to a total
/// of 1 where every report supports one symbol in expectation, as in randomized response and hash
/// designs, and to `(1 - q k) / (p - q)` in general.
///
/// # Errors
///
/// When `ratio` is negative or not finite, or `malicious_sum` is not finite.
pub fn ldp_recover(
    poisoned: &[f64],
    ratio: f64,
    malicious_sum: f64,
) -> Result<Vec<f64>, RobustStatsError> {
    if !(ratio >= 0.0 && ratio.is_finite()) {
        return Err(RobustStatsError::parameter(
            "ratio",
            "a finite number of at least 0",
            ratio,
        ));
    }
    if !malicious_sum.is_finite() {
        return Err(RobustStatsError::parameter(
            "malicious_sum",
            "a finite number",
            malicious_sum,
        ));
    }
    // Invert the mixture poisoned = (genuine + ratio * malicious) / (1 + ratio).
    let promoted = poisoned.iter().filter(|&&estimate| estimate > 0.0).count();
    let each = malicious_sum / promoted.max(1) as f64;
    let mut genuine: Vec<f64> = poisoned
        .iter()
        .map(|&estimate| {
            let malicious = if estimate > 0.0 { each } else { 0.0 };
            (1.0 + ratio) * estimate - ratio * malicious
        })
        .collect();
    to_simplex(&mut genuine);
    Ok(genuine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_malice_it_is_the_projection() {
        let raw = [0.7, 0.4, -0.1];
        let mut projected = raw.to_vec();
        to_simplex(&mut projected);
        assert_eq!(ldp_recover(&raw, 0.0, 1.0).unwrap(), projected);
        assert!(ldp_recover(&raw, -0.1, 1.0).is_err());
        assert!(ldp_recover(&raw, 0.1, f64::NAN).is_err());
    }

    #[test]
    fn it_undoes_an_even_attack() {
        // Malicious clients promote all symbols evenly: the mixture is undone exactly.
        let genuine = [0.5, 0.3, 0.2];
        let ratio = 0.25;
        let poisoned: Vec<f64> = genuine
            .iter()
            .map(|g| (g + ratio / 3.0) / (1.0 + ratio))
            .collect();
        for (measured, expected) in ldp_recover(&poisoned, ratio, 1.0)
            .unwrap()
            .iter()
            .zip(genuine)
        {
            assert!((measured - expected).abs() < 1e-12);
        }
    }
}
