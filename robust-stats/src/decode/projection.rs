//! Projections of raw estimates to a distribution.

/// How to turn raw estimates, which may be negative and need not sum to 1, into masses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// No projection.
    None,
    /// The nearest distribution in Euclidean distance, in which it never amplifies an attack. The
    /// default.
    #[default]
    Simplex,
    /// Clips negative estimates to 0 and divides by the sum.
    ClipAndNormalize,
    /// Repeatedly clips negative estimates to 0 and shifts the others by a constant until they sum to
    /// one. Equal to [`Simplex`](Self::Simplex) if the sum is at least 1; otherwise positive
    /// estimates grow.
    NormSub,
    /// Sets estimates below the threshold to 0; the sum need not be 1.
    BaseCut,
    /// Subtracts the minimum from all and divides by the sum (the normalization of Cao, Jia and
    /// Gong, USENIX Security 2021).
    SubtractMinimum,
}

impl Projection {
    /// Applies the projection in place. `threshold` is used by [`BaseCut`](Self::BaseCut) only.
    /// O(k log k).
    pub fn apply(self, estimates: &mut [f64], threshold: f64) {
        match self {
            Self::None => {}
            Self::Simplex => to_simplex(estimates),
            Self::ClipAndNormalize => {
                for estimate in &mut *estimates {
                    *estimate = estimate.max(0.0);
                }
                normalize(estimates);
            }
            Self::NormSub => norm_sub(estimates),
            Self::BaseCut => {
                for estimate in estimates {
                    if *estimate < threshold {
                        *estimate = 0.0;
                    }
                }
            }
            Self::SubtractMinimum => {
                let minimum = estimates.iter().copied().fold(f64::INFINITY, f64::min);
                for estimate in &mut *estimates {
                    *estimate -= minimum;
                }
                normalize(estimates);
            }
        }
    }
}

/// Divides by the sum; uniform if the sum is not positive.
fn normalize(estimates: &mut [f64]) {
    let sum: f64 = estimates.iter().sum();
    let k = estimates.len() as f64;
    for estimate in estimates {
        *estimate = if sum > 0.0 { *estimate / sum } else { 1.0 / k };
    }
}

/// The nearest point of the probability simplex in Euclidean distance, by sorting.
pub(crate) fn to_simplex(estimates: &mut [f64]) {
    // The projection is max(x - shift, 0). The shift follows from the largest prefix of the sorted
    // values that stay positive.
    let mut sorted = estimates.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut shift = 0.0;
    for (rank, &value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (rank as f64 + 1.0);
        if value > candidate {
            shift = candidate;
        } else {
            break;
        }
    }
    for estimate in estimates {
        *estimate = (*estimate - shift).max(0.0);
    }
}

/// Norm-Sub (Wang et al., NDSS 2020).
fn norm_sub(estimates: &mut [f64]) {
    // Each round removes at least one positive estimate, or ends.
    for _ in 0..=estimates.len() {
        let mut positive = 0;
        let mut sum = 0.0;
        for estimate in &mut *estimates {
            *estimate = estimate.max(0.0);
            if *estimate > 0.0 {
                positive += 1;
                sum += *estimate;
            }
        }
        // Nothing left to scale: the uniform distribution.
        if positive == 0 {
            return normalize(estimates);
        }
        let shift = (1.0 - sum) / f64::from(positive);
        for estimate in &mut *estimates {
            if *estimate > 0.0 {
                *estimate += shift;
            }
        }
        if estimates.iter().all(|&estimate| estimate >= 0.0) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_distribution(masses: &[f64]) -> bool {
        let sum: f64 = masses.iter().sum();
        (sum - 1.0).abs() < 1e-9 && masses.iter().all(|&mass| mass >= 0.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

        #[test]
        fn the_simplex_projection_is_the_nearest_point(raw in prop::collection::vec(-2.0_f64..2.0, 1..9)) {
            let mut projected = raw.clone();
            to_simplex(&mut projected);
            prop_assert!(is_distribution(&projected));
            // Optimality: the residual has no positive component towards any vertex.
            let residual: Vec<f64> = raw.iter().zip(&projected).map(|(r, p)| r - p).collect();
            let inner: f64 = residual.iter().zip(&projected).map(|(r, p)| r * p).sum();
            for &r in &residual {
                prop_assert!(r <= inner + 1e-9);
            }
        }

        #[test]
        fn what_normalizes_gives_a_distribution(raw in prop::collection::vec(-2.0_f64..2.0, 1..9)) {
            for projection in [Projection::ClipAndNormalize, Projection::NormSub, Projection::SubtractMinimum] {
                let mut masses = raw.clone();
                projection.apply(&mut masses, 0.0);
                prop_assert!(is_distribution(&masses), "{projection:?} {masses:?}");
            }
        }

        #[test]
        fn norm_sub_is_the_projection_when_there_is_too_much(raw in prop::collection::vec(-0.5_f64..2.0, 1..9)) {
            prop_assume!(raw.iter().sum::<f64>() >= 1.0);
            let (mut a, mut b) = (raw.clone(), raw);
            Projection::NormSub.apply(&mut a, 0.0);
            Projection::Simplex.apply(&mut b, 0.0);
            for (a, b) in a.iter().zip(&b) {
                prop_assert!((a - b).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn base_cut_keeps_what_is_significant() {
        let mut masses = [0.5, 0.02, -0.1];
        Projection::BaseCut.apply(&mut masses, 0.05);
        assert_eq!(masses, [0.5, 0.0, 0.0]);
    }
}
