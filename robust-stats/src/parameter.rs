//! Validated parameters.

use crate::error::RobustStatsError;

/// The privacy parameter of local differential privacy: the probability of any message differs by at
/// most a factor `e^epsilon` between two values. Positive and finite. Above about 10 a report hardly
/// protects its client's value.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Epsilon(f64);

impl Epsilon {
    /// # Errors
    ///
    /// When `epsilon` is not positive and finite.
    pub fn new(epsilon: f64) -> Result<Self, RobustStatsError> {
        if epsilon > 0.0 && epsilon.is_finite() {
            Ok(Self(epsilon))
        } else {
            Err(RobustStatsError::parameter(
                "epsilon",
                "a positive number",
                epsilon,
            ))
        }
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The fraction of all received messages that may be manipulated: from 0 to below one half.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Gamma(f64);

impl Gamma {
    /// # Errors
    ///
    /// When `gamma` is outside `[0, 0.5)`: nothing can be said under a manipulated majority.
    pub fn new(gamma: f64) -> Result<Self, RobustStatsError> {
        if (0.0..0.5).contains(&gamma) {
            Ok(Self(gamma))
        } else {
            Err(RobustStatsError::parameter(
                "gamma",
                "a number in [0, 0.5)",
                gamma,
            ))
        }
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Number of messages that may be manipulated: `floor(gamma * messages)`. A product just below an
    /// integer by rounding counts as that integer: 0.29 of 100 is 29.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the product is not negative and below the number of messages"
    )]
    pub fn budget(self, messages: u64) -> u64 {
        let product = self.0 * messages as f64;
        let below = product as u64;
        let missing = (below + 1) as f64 - product;
        below + u64::from(missing <= 4.0 * f64::EPSILON * product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_those_of_whole_hundredths() {
        for hundredths in 0..50_u64 {
            let gamma = Gamma::new(hundredths as f64 / 100.0).unwrap();
            for messages in [1, 7, 99, 100, 200, 1_000, 12_345, 1_000_000, 1 << 40] {
                assert_eq!(gamma.budget(messages), hundredths * messages / 100);
            }
        }
    }

    #[test]
    fn half_of_the_messages_and_more_are_refused() {
        for gamma in [0.5, 0.500_1, 1.0, 2.0, -1e-9, f64::NAN, f64::INFINITY] {
            assert!(Gamma::new(gamma).is_err(), "{gamma}");
        }
        assert!(Gamma::new(0.499_999).is_ok());
    }
}
