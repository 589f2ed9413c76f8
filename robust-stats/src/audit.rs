//! The exact privacy audit: the maximum ratio of a message's probabilities under two values, as a
//! rational number, against rational bounds of `e^epsilon`.
//!
//! The result does not depend on floating-point arithmetic. The bounds of `e^epsilon` are computed by
//! the power series with a bounded remainder, independently of the code that chose the thresholds.
//!
//! ```
//! use septet_robust_stats::Epsilon;
//! use septet_robust_stats::audit::audit;
//! use septet_robust_stats::mechanism::RandomizedResponse;
//!
//! let epsilon = Epsilon::new(1.0)?;
//! let report = audit(&RandomizedResponse::new(8, epsilon)?, 8, epsilon)?;
//! assert!(report.holds && report.tight && report.complete);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

use num_bigint::BigUint;

use crate::error::RobustStatsError;
use crate::mechanism::{Channel, ExactProbability};
use crate::parameter::Epsilon;

/// Maximum number of enumerated messages.
const MAX_MESSAGES: u64 = 1 << 16;

/// Bounds of `e^epsilon` are multiples of `2^-SCALE`.
const SCALE: u64 = 512;

/// The result of an audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditReport {
    /// Numbers of enumerated symbols and messages.
    pub enumerated: (usize, u64),
    /// The maximum ratio of the probabilities of a message under two symbols, rounded; infinite if a
    /// message is possible under one and impossible under the other.
    pub ratio: f64,
    /// Whether the ratio is at most `e^epsilon`, exactly.
    pub holds: bool,
    /// Whether the ratio is at least `e^epsilon (1 - 1e-9)`, exactly: no accuracy is lost to more
    /// privacy than required.
    pub tight: bool,
    /// Whether the probabilities of all messages sum to exactly 1 for every symbol.
    pub complete: bool,
}

/// A rational number of arbitrary precision.
#[derive(Clone)]
struct Fraction {
    numerator: BigUint,
    denominator: BigUint,
}

impl Fraction {
    fn of(probability: &ExactProbability) -> Self {
        let mut fraction = Self {
            numerator: BigUint::from(1_u8),
            denominator: BigUint::from(1_u8),
        };
        for (numerator, denominator) in &probability.factors {
            fraction.numerator *= *numerator;
            fraction.denominator *= *denominator;
        }
        fraction
    }

    fn is_above(&self, other: &Self) -> bool {
        &self.numerator * &other.denominator > &other.numerator * &self.denominator
    }

    fn plus(self, other: &Self) -> Self {
        if self.denominator == other.denominator {
            return Self {
                numerator: self.numerator + &other.numerator,
                denominator: self.denominator,
            };
        }
        Self {
            numerator: self.numerator * &other.denominator + &other.numerator * &self.denominator,
            denominator: self.denominator * &other.denominator,
        }
    }

    fn divided_by(&self, other: &Self) -> Self {
        Self {
            numerator: &self.numerator * &other.denominator,
            denominator: &self.denominator * &other.numerator,
        }
    }

    /// The nearest number by the 60 leading bits of the quotient.
    fn value(&self) -> f64 {
        // Scale so that the quotient has at least 60 significant bits.
        let shift = 60 + self.denominator.bits();
        let quotient = (&self.numerator << shift) / &self.denominator;
        let drop = quotient.bits().saturating_sub(60);
        let digits = u64::try_from(quotient >> drop).expect("60 bits");
        digits as f64 * 2.0_f64.powf(drop as f64 - shift as f64)
    }
}

/// Enumerates all messages of a channel under the symbols `0..domain`.
///
/// # Errors
///
/// When the channel has more than `2^16` messages.
pub fn audit(
    channel: &impl Channel,
    domain: usize,
    epsilon: Epsilon,
) -> Result<AuditReport, RobustStatsError> {
    let messages = channel.messages();
    if messages > MAX_MESSAGES {
        return Err(RobustStatsError::parameter(
            "messages",
            format!("at most {MAX_MESSAGES} to enumerate"),
            messages,
        ));
    }
    // 1. Enumerate all messages: their maximum probability ratio, and the sums of probabilities.
    let one = Fraction::of(&ExactProbability::one());
    let nothing = Fraction::of(&ExactProbability::zero());
    let mut sums = vec![nothing; domain];
    let mut worst = one;
    let mut unbounded = false;
    for message in 0..messages {
        let probabilities: Vec<Fraction> = (0..domain)
            .map(|symbol| Fraction::of(&channel.probability(symbol, message)))
            .collect();
        let mut extremes: Option<(&Fraction, &Fraction)> = None;
        for (sum, probability) in sums.iter_mut().zip(&probabilities) {
            *sum = sum.clone().plus(probability);
            extremes = Some(extremes.map_or((probability, probability), |(min, max)| {
                (
                    if min.is_above(probability) {
                        probability
                    } else {
                        min
                    },
                    if probability.is_above(max) {
                        probability
                    } else {
                        max
                    },
                )
            }));
        }
        let Some((min, max)) = extremes else {
            continue;
        };
        // A message that is impossible under all symbols never occurs; one that is impossible under
        // some symbols only has an infinite ratio.
        match (min.numerator.bits(), max.numerator.bits()) {
            (0, 0) => {}
            (0, _) => unbounded = true,
            _ => {
                let ratio = max.divided_by(min);
                if ratio.is_above(&worst) {
                    worst = ratio;
                }
            }
        }
    }
    // 2. Compare with rational bounds of e^epsilon, each rounded against the claim.
    let (lower, upper) = exponential(epsilon.get());
    let almost = Fraction {
        numerator: &upper.numerator * 999_999_999_u64,
        denominator: &upper.denominator * 1_000_000_000_u64,
    };
    Ok(AuditReport {
        enumerated: (domain, messages),
        ratio: if unbounded {
            f64::INFINITY
        } else {
            worst.value()
        },
        holds: !unbounded && !worst.is_above(&lower),
        tight: unbounded || !almost.is_above(&worst),
        complete: sums.iter().all(|sum| sum.numerator == sum.denominator),
    })
}

/// A lower and an upper bound of `e^x`, multiples of `2^-SCALE`.
fn exponential(x: f64) -> (Fraction, Fraction) {
    let one = BigUint::from(1_u8);
    let scale = &one << SCALE;
    // x * 2^SCALE, exact for x >= 2^-459; for smaller x the upper bound is one unit larger.
    // Decompose the floating-point number, which is a dyadic rational.
    let bits = x.to_bits();
    let exponent = bits >> 52;
    let mantissa = BigUint::from(bits & ((1 << 52) - 1) | u64::from(exponent > 0) << 52);
    let shift = exponent.max(1) + SCALE;
    let fixed = if shift >= 1_075 {
        mantissa << (shift - 1_075)
    } else {
        mantissa >> (1_075 - shift)
    };
    let above = if shift >= 1_023 {
        fixed.clone()
    } else {
        &fixed + &one
    };
    let (mut low_term, mut high_term) = (scale.clone(), scale.clone());
    let (mut low, mut high) = (scale.clone(), scale.clone());
    for n in 1_u64.. {
        // Terms x^n / n!, rounded down for the lower bound and up for the upper bound.
        low_term = ((low_term * &fixed) >> SCALE) / n;
        high_term = ((high_term * &above) >> SCALE) / n + 1_u8;
        low += &low_term;
        high += &high_term;
        // From here on each term is at most half the previous one, so the remainder is at most the
        // last term.
        if n as f64 > 2.0 * x && high_term.bits() < 64 {
            break;
        }
    }
    high += high_term + 1_u8;
    let fraction = |numerator| Fraction {
        numerator,
        denominator: scale.clone(),
    };
    (fraction(low), fraction(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_enclose_the_exponential() {
        for x in [1e-300, 1e-9, 0.1, 1.0, 3.0_f64.ln(), 4.0, 40.0] {
            let (low, high) = exponential(x);
            assert!(high.is_above(&low));
            for bound in [low, high] {
                assert!((bound.value() / x.exp() - 1.0).abs() < 1e-14, "{x}");
            }
        }
    }

    struct Leaky;

    impl Channel for Leaky {
        fn messages(&self) -> u64 {
            2
        }

        fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
            if symbol as u64 == message {
                ExactProbability::one()
            } else {
                ExactProbability::zero()
            }
        }
    }

    #[test]
    fn a_channel_that_tells_the_value_fails() {
        let report = audit(&Leaky, 2, Epsilon::new(4.0).unwrap()).unwrap();
        assert!(!report.holds && report.complete && report.ratio.is_infinite());
    }
}
