//! Exact probabilities: integer thresholds for which a privacy bound holds in rational arithmetic, and
//! draws that realize them without rounding.
//!
//! Probabilities computed in floating point leak: the realized ratio of two output probabilities can
//! exceed `e^epsilon` or be infinite. Here every probability is `threshold / 2^64`. The threshold is the
//! maximum for which the ratio, compared in integers, is at most a lower bound of `e^epsilon`, which is
//! itself computed in integers rounded down.

use rand_chacha::rand_core::RngCore;

use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Maximum epsilon of mechanisms. Above it a message is effectively the value itself, and
/// probabilities in steps of `2^-64` cannot approach the bound.
pub const MAX_EPSILON: f64 = 40.0;

/// Minimum epsilon of mechanisms. Below it the two support probabilities are equal in floating point,
/// and reports carry no information.
pub const MIN_EPSILON: f64 = 1e-9;

/// A lower bound of `e^epsilon`, as a multiple of `2^-63`, with a relative error below `2^-56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrivacyBound(u128);

impl PrivacyBound {
    /// # Errors
    ///
    /// When epsilon is not from [`MIN_EPSILON`] to [`MAX_EPSILON`].
    pub(crate) fn new(epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let epsilon = epsilon.get();
        if !(MIN_EPSILON..=MAX_EPSILON).contains(&epsilon) {
            return Err(RobustStatsError::parameter(
                "epsilon",
                alloc::format!("from {MIN_EPSILON:e} to {MAX_EPSILON}"),
                epsilon,
            ));
        }
        // e^epsilon = e^floor(epsilon) * e^fraction, with every factor and product rounded down.
        let fixed = fixed_point_120(epsilon);
        let whole = fixed >> 120;
        let e = exponential_below_two(1 << 120) >> 57;
        let mut bound = exponential_below_two(fixed & ((1 << 120) - 1)) >> 57;
        for _ in 0..whole {
            // The product has 126 fractional bits; keep 63.
            let (high, low) = wide_product(bound, e);
            bound = (high << 65) | (low >> 63);
        }
        Ok(Self(bound))
    }

    /// `e^epsilon` rounded to the nearest integer.
    pub(crate) fn rounded(self) -> u64 {
        u64::try_from((self.0 + (1 << 62)) >> 63).expect("e^40 is below 2^58")
    }

    /// `e^epsilon` rounded up.
    pub(crate) fn rounded_up(self) -> u64 {
        u64::try_from((self.0 + (1 << 63) - 1) >> 63).expect("e^40 is below 2^58")
    }

    /// `domain / (e^epsilon + 1)` rounded to the nearest integer.
    pub(crate) fn share_of(self, domain: u32) -> u32 {
        let whole = self.0 + (1 << 63);
        let share = ((u128::from(domain) << 63) + whole / 2) / whole;
        u32::try_from(share).expect("at most half of the domain")
    }

    /// The maximum threshold `T` for which `T a / ((2^64 - T) b)` is at most the bound: `T / 2^64` is
    /// the probability of the favored event, spread over `b` outputs, and its complement is spread
    /// over `a` outputs.
    #[must_use]
    pub(crate) fn threshold(self, a: u64, b: u64) -> u64 {
        self.largest(|threshold, rest| {
            let left = wide_product(u128::from(threshold) * u128::from(a), 1 << 63);
            // `rest` is at most 2^64 and `b` has 32 bits, so the product fits.
            let right = wide_product(self.0, rest * u128::from(b));
            left <= right
        })
    }

    /// The maximum threshold `T >= 2^63` for which `(T / (2^64 - T))^2` is at most the bound: two bits
    /// of the message depend on the value, and each may use half of epsilon.
    #[must_use]
    pub(crate) fn threshold_of_half(self) -> u64 {
        self.largest(|threshold, rest| {
            if u128::from(threshold) <= rest {
                return true;
            }
            let square = u128::from(threshold) * u128::from(threshold);
            wide_product(square, 1 << 63) <= wide_product(self.0, rest * rest)
        })
    }

    /// The maximum threshold for which `holds(threshold, 2^64 - threshold)`, by binary search.
    fn largest(self, holds: impl Fn(u64, u128) -> bool) -> u64 {
        // The predicate is monotone, so the bits are found from the top.
        let mut threshold = 0_u64;
        for bit in (0..64).rev() {
            let next = threshold | (1 << bit);
            if holds(next, (1 << 64) - u128::from(next)) {
                threshold = next;
            }
        }
        threshold
    }
}

/// `value * 2^120` rounded down, for a value from 0 to 127.
fn fixed_point_120(value: f64) -> u128 {
    // The bits of the number: exponent and mantissa, with the implicit leading one.
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = u128::from(bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 {
        (fraction, 1)
    } else {
        (fraction | (1 << 52), exponent)
    };
    // The value is mantissa * 2^(exponent - 1075).
    match i64::try_from(exponent).expect("eleven bits fit") - 1075 + 120 {
        left @ 0.. => mantissa << left,
        right => mantissa
            .checked_shr(u32::try_from(-right).unwrap_or(u32::MAX))
            .unwrap_or(0),
    }
}

/// A lower bound of `e^x * 2^120` by the power series, for `x * 2^120` from 0 to `2^120`.
fn exponential_below_two(x: u128) -> u128 {
    let mut sum: u128 = 1 << 120;
    let mut term = sum;
    for n in 1.. {
        // term * x / (2^120 n), truncated, so that the sum is a lower bound.
        let (high, low) = wide_product(term, x);
        term = ((high << 8) | (low >> 120)) / n;
        if term == 0 {
            break;
        }
        sum += term;
    }
    sum
}

/// The product of two 128-bit numbers: its upper and lower halves.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    // Schoolbook multiplication of 64-bit halves.
    let (a1, a0) = (a >> 64, a & LOW);
    let (b1, b0) = (b >> 64, b & LOW);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let other = a0 * b1 + (middle & LOW);
    (
        a1 * b1 + (middle >> 64) + (other >> 64),
        (other << 64) | (low & LOW),
    )
}

/// The probability of a threshold, `threshold / 2^64`.
pub(crate) fn probability(threshold: u64) -> f64 {
    threshold as f64 / 18_446_744_073_709_551_616.0
}

/// The threshold of a probability in `0..=1`; a probability of 1 becomes `1 - 2^-64`.
///
/// For probabilities given as numbers (RAPPOR's), whose guarantee is then computed from the threshold.
pub(crate) fn nearest_threshold(probability: f64) -> u64 {
    (probability * 18_446_744_073_709_551_616.0) as u64
}

/// An exactly uniform number below a bound (Lemire's method with rejection), in a time that is
/// independent of the number.
///
/// A draw is rejected with the same probability whatever the number: each has exactly
/// `floor(2^32 / bound)` accepted draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UniformBelow {
    bound: u32,
    /// `2^32 mod bound`.
    reject: u32,
}

impl UniformBelow {
    /// `bound` is at least 1.
    pub(crate) fn new(bound: u32) -> Self {
        let reject = bound.wrapping_neg() % bound;
        Self { bound, reject }
    }

    #[inline]
    pub(crate) fn draw<R: RngCore + ?Sized>(self, rng: &mut R) -> u32 {
        loop {
            let product = u64::from(rng.next_u32()) * u64::from(self.bound);
            if product as u32 >= self.reject {
                // The result is the high half.
                return (product >> 32) as u32;
            }
        }
    }
}

/// The same numbers from the same draws, for numbers that are public: the time to check a draw depends
/// on its number.
///
/// `bound` is at least 1.
pub(crate) fn uniform_below<R: RngCore + ?Sized>(rng: &mut R, bound: u32) -> u32 {
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    // The low half is rarely below the bound, so the division is rare.
    if (product as u32) < bound {
        let reject = bound.wrapping_neg() % bound;
        while (product as u32) < reject {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    // The result is the high half.
    (product >> 32) as u32
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_bound_is_below_and_close() {
        for epsilon in [1e-9, 0.1, 0.5, 1.0, 3.0_f64.ln(), 2.0, 4.0, 17.3, 40.0] {
            let bound = PrivacyBound::new(Epsilon::new(epsilon).unwrap()).unwrap();
            let value = bound.0 as f64 / 2.0_f64.powi(63);
            let relative = value / epsilon.exp() - 1.0;
            assert!(relative.abs() < 1e-14, "{epsilon}: {relative}");
        }
        for epsilon in [40.1, 9e-10, 1e-12, 1e-300, f64::MIN_POSITIVE / 2.0] {
            assert!(PrivacyBound::new(Epsilon::new(epsilon).unwrap()).is_err());
        }
    }

    // e * 2^63 rounded down, from Python's decimal module with 60 digits.
    #[test]
    fn e_to_the_last_bit() {
        let bound = PrivacyBound::new(Epsilon::new(1.0).unwrap()).unwrap();
        assert_eq!(bound.0, 25_071_724_604_899_628_341);
    }

    #[test]
    fn wide_products() {
        assert_eq!(wide_product(u128::MAX, u128::MAX), (u128::MAX - 1, 1));
        assert_eq!(wide_product(1 << 127, 6), (3, 0));
        assert_eq!(wide_product(0, u128::MAX), (0, 0));
    }

    #[test]
    fn uniform_numbers_are_even_and_below() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[uniform_below(&mut rng, 7) as usize] += 1;
        }
        // Five standard deviations of a binomial of mean 10 000.
        assert!(
            counts.iter().all(|c| c.abs_diff(10_000) < 463),
            "{counts:?}"
        );
        assert_eq!(uniform_below(&mut rng, 1), 0);
    }

    #[test]
    fn both_forms_give_the_same_numbers() {
        let (mut first, mut second) = (ChaCha8Rng::seed_from_u64(4), ChaCha8Rng::seed_from_u64(4));
        // The last bounds reject a third and half of all draws.
        for bound in [1, 2, 7, 1_000, 1 << 20, 3 << 30, (1 << 31) + 1] {
            let uniform = UniformBelow::new(bound);
            for _ in 0..200 {
                assert_eq!(uniform.draw(&mut first), uniform_below(&mut second, bound));
            }
        }
    }
}
