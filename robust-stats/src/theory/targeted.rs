//! What attacks that promote chosen symbols gain (Cao, Jia, Gong: "Data Poisoning Attacks to Local
//! Differential Privacy Protocols", USENIX Security 2021; derived anew).
//!
//! A pure protocol supports a client's own symbol with probability `p` and any other with `q`. When
//! a fraction of all reports is fake and each fake supports `s` of the targets in expectation, the
//! estimated masses of the targets rise together by `fraction ((s - r q) / (p - q) - f)`: `r` is
//! the number of targets and `f` their true mass.

use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// The probabilities with which a report supports the client's own symbol and any other one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PureProtocol {
    /// `p`: the own symbol.
    pub own: f64,
    /// `q`: another symbol.
    pub other: f64,
}

impl PureProtocol {
    /// Generalised randomised response over `symbols` symbols.
    #[must_use]
    pub fn generalized_response(symbols: usize, epsilon: Epsilon) -> Self {
        let e = epsilon.get().exp();
        let total = e + symbols as f64 - 1.0;
        Self {
            own: e / total,
            other: 1.0 / total,
        }
    }

    /// Optimised unary encoding.
    #[must_use]
    pub fn optimized_unary_encoding(epsilon: Epsilon) -> Self {
        Self {
            own: 0.5,
            other: 1.0 / (epsilon.get().exp() + 1.0),
        }
    }

    /// Local hashing into `cells` cells.
    #[must_use]
    pub fn local_hashing(cells: usize, epsilon: Epsilon) -> Self {
        let e = epsilon.get().exp();
        Self {
            own: e / (e + cells as f64 - 1.0),
            other: 1.0 / cells as f64,
        }
    }

    /// The variance of one estimated mass that is near zero, from `reports` reports:
    /// `q (1 - q) / (n (p - q)^2)`.
    #[must_use]
    pub fn variance(self, reports: f64) -> f64 {
        self.other * (1.0 - self.other) / (reports * (self.own - self.other).powi(2))
    }

    /// The total gain of the targets when each fake report supports `supported` of them in
    /// expectation.
    #[must_use]
    pub fn gain(self, poisoning: &Poisoning, supported: f64) -> f64 {
        let targets = poisoning.targets as f64;
        let each = (supported - targets * self.other) / (self.own - self.other);
        poisoning.fraction * (each - poisoning.true_mass)
    }

    /// Fakes encode a target honestly.
    #[must_use]
    pub fn random_item_gain(self, poisoning: &Poisoning) -> f64 {
        let targets = poisoning.targets as f64;
        self.gain(poisoning, self.own + (targets - 1.0) * self.other)
    }
}

/// An attack that promotes target symbols.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisoning {
    /// Fakes over all reports.
    pub fraction: f64,
    /// The number of targets.
    pub targets: usize,
    /// The true mass of the targets together.
    pub true_mass: f64,
}

impl Poisoning {
    /// # Errors
    ///
    /// When the fraction or the mass is outside `[0, 1]`, or there is no target.
    pub fn new(fraction: f64, targets: usize, true_mass: f64) -> Result<Self, RobustStatsError> {
        for (argument, value) in [("fraction", fraction), ("true_mass", true_mass)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(RobustStatsError::parameter(argument, "from 0 to 1", value));
            }
        }
        if targets == 0 {
            return Err(RobustStatsError::parameter(
                "targets",
                "at least 1",
                targets,
            ));
        }
        Ok(Self {
            fraction,
            targets,
            true_mass,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poisoning() -> Poisoning {
        Poisoning::new(0.05, 10, 0.048).unwrap()
    }

    #[test]
    fn the_general_form_gives_the_published_ones() {
        let epsilon = Epsilon::new(1.0).unwrap();
        let e = 1.0_f64.exp();
        let Poisoning {
            fraction: b,
            true_mass: f,
            ..
        } = poisoning();
        let (k, r) = (102.0, 10.0);
        let close = |measured: f64, expected: f64| {
            assert!((measured - expected).abs() < 1e-12, "{measured} {expected}");
        };
        let response = PureProtocol::generalized_response(102, epsilon);
        close(
            response.gain(&poisoning(), 1.0),
            b * (1.0 - f) + b * (k - r) / (e - 1.0),
        );
        close(response.gain(&poisoning(), r / k), b * (r / k - f));
        close(response.random_item_gain(&poisoning()), b * (1.0 - f));
        let unary = PureProtocol::optimized_unary_encoding(epsilon);
        close(
            unary.gain(&poisoning(), r),
            b * (2.0 * r - f) + 2.0 * b * r / (e - 1.0),
        );
        close(unary.gain(&poisoning(), r / 2.0), b * (r - f));
        let hashing = PureProtocol::local_hashing(4, epsilon);
        close(hashing.gain(&poisoning(), r / 4.0), -b * f);
        close(hashing.random_item_gain(&poisoning()), b * (1.0 - f));
    }

    #[test]
    fn the_prototype_cell() {
        // 1.580 for unary encoding and 2.73 for randomised response when the forms were derived.
        let epsilon = Epsilon::new(1.0).unwrap();
        let unary = PureProtocol::optimized_unary_encoding(epsilon).gain(&poisoning(), 10.0);
        assert!((unary - 1.580).abs() < 1e-3, "{unary}");
        let response = PureProtocol::generalized_response(102, epsilon).gain(&poisoning(), 1.0);
        assert!((response - 2.73).abs() < 6e-3, "{response}");
    }

    #[test]
    fn wrong_settings_are_refused() {
        assert!(Poisoning::new(1.5, 1, 0.0).is_err());
        assert!(Poisoning::new(0.5, 0, 0.0).is_err());
        assert!(Poisoning::new(f64::NAN, 1, 0.0).is_err());
    }
}
