//! Exponential functions in f32, for whole slices at a time.
//!
//! Each function exists for one number and for a slice. Both give the same bits on one machine: a
//! function is a fixed sequence of additions, multiplications and divisions without branches or
//! tables. A product and the sum that follows it are rounded once where the processor has an
//! instruction for both (x86-64 with FMA, aarch64), and twice elsewhere, so that the last bits differ
//! between such machines. The bounds of the errors hold for both.
//!
//! Slices are computed with the widest vector instructions at hand, an order of magnitude faster than
//! a call of the platform's mathematical library for each number. The functions of one number look up
//! the instructions in each call; they are for single numbers, not for loops.
//!
//! Errors are given in units in the last place (ulp) of the result, as the distance from the exact
//! value. They hold wherever the result is a normal number; a result below `2^-126` has an absolute
//! error of at most `2^-149` times the same figure. NaN gives NaN.
//!
//! ```
//! use septet_core::nn::elementary;
//!
//! let mut values = [0.0, 1.0, f32::NEG_INFINITY];
//! elementary::exp_slice(&mut values);
//! assert_eq!(values, [1.0, elementary::exp(1.0), 0.0]);
//! ```

use super::vector::{Arithmetic, vectorized};

/// `e^x`, within 1.1 ulp; infinite above 88.72 and 0 below -103.97.
#[must_use]
pub fn exp(x: f32) -> f32 {
    single(x, Arithmetic::exp)
}

/// The hyperbolic tangent, within 3 ulp.
#[must_use]
pub fn tanh(x: f32) -> f32 {
    single(x, Arithmetic::tanh)
}

/// The logistic function `1 / (1 + e^-x)`, within 3 ulp down to -88; 0 below, where the exact value is
/// under `2^-126`.
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    single(x, Arithmetic::sigmoid)
}

/// The error function `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `x`, within 2 ulp.
#[must_use]
pub fn erf(x: f32) -> f32 {
    single(x, Arithmetic::erf)
}

/// The distribution function and the density of the standard normal distribution at `x`: within 6 ulp
/// and 2 ulp, in the lower tail too. Both are 0 where the density is below `2^-127`: beyond 13.2.
#[must_use]
pub fn normal(x: f32) -> (f32, f32) {
    single(x, Arithmetic::normal)
}

/// [`exp`] of each value, in place.
pub fn exp_slice(values: &mut [f32]) {
    in_place(values, Arithmetic::exp);
}

/// [`tanh`] of each value, in place.
pub fn tanh_slice(values: &mut [f32]) {
    in_place(values, Arithmetic::tanh);
}

/// [`sigmoid`] of each value, in place.
pub fn sigmoid_slice(values: &mut [f32]) {
    in_place(values, Arithmetic::sigmoid);
}

/// [`erf`] of each value, in place.
pub fn erf_slice(values: &mut [f32]) {
    in_place(values, Arithmetic::erf);
}

#[inline(always)]
fn single<R>(x: f32, function: impl Fn(Arithmetic, f32) -> R) -> R {
    vectorized(
        #[inline(always)]
        |arithmetic| function(arithmetic, x),
    )
}

#[inline(always)]
fn in_place(values: &mut [f32], function: impl Fn(Arithmetic, f32) -> f32) {
    vectorized(
        #[inline(always)]
        |arithmetic| {
            for value in values {
                *value = function(arithmetic, *value);
            }
        },
    );
}

/// The functions for kernels of [`vectorized`], which inline them.
impl Arithmetic {
    /// As the function [`exp`].
    #[inline(always)]
    pub(super) fn exp(self, x: f32) -> f32 {
        // Beyond these bounds the result is infinite or 0, and the exponent stays in range.
        let (power, rest) = self.reduced(x.clamp(-104.0, 89.0), 0.0);
        self.scaled(rest, power)
    }

    /// [`exp`] for `x <= 0` in a quarter less time, because its results stay normal numbers: 0 below
    /// -87.
    #[inline(always)]
    pub(super) fn exp_nonpositive(self, x: f32) -> f32 {
        // From this bound on 2^n is a normal number, so that one factor suffices. The comparison
        // keeps NaN.
        let bounded = if x < -87.0 { -87.0 } else { x };
        let (power, rest) = self.reduced(bounded, 0.0);
        let value = (self.exp_minus_one(rest) + 1.0) * two_to(power);
        if x < -87.0 { 0.0 } else { value }
    }

    /// As the function [`tanh`].
    #[inline(always)]
    pub(super) fn tanh(self, x: f32) -> f32 {
        // With t = e^(2 |x|) - 1, found without cancellation, the value is t / (t + 2). It rounds to
        // 1 well before the bound.
        let (power, rest) = self.reduced((2.0 * x.abs()).clamp(0.0, 20.0), 0.0);
        let power = two_to(power);
        // For y = n ln(2) + r: e^y - 1 = (e^r - 1) 2^n + (2^n - 1).
        let t = self.multiply_add(self.exp_minus_one(rest), power, power - 1.0);
        (t / (t + 2.0)).copysign(x)
    }

    /// As the function [`sigmoid`].
    #[inline(always)]
    pub(super) fn sigmoid(self, x: f32) -> f32 {
        1.0 / (1.0 + self.exp(-x))
    }

    /// As the function [`erf`].
    #[inline(always)]
    pub(super) fn erf(self, x: f32) -> f32 {
        // Near 0, x times a polynomial in x^2 keeps the relative error; elsewhere the complement is
        // the smaller part. It vanishes beside 1 before the bound.
        let near = self.multiply_add(x, self.polynomial(x * x, ERF), x);
        let magnitude = x.abs().clamp(0.0, 4.0);
        // erfc(x) = e^(-x^2) times the scaled complement. The square has two parts, since an absolute
        // error of the exponent is a relative error of the result.
        let (high, low) = self.squared(magnitude);
        let (power, rest) = self.reduced(-high, -low);
        let (numerator, denominator) = self.scaled_complement(magnitude);
        let far = 1.0 - numerator / denominator * self.scaled(rest, power);
        // A selection of two results, not a branch: the loop over a slice stays vectorized.
        if magnitude < 0.875 {
            near
        } else {
            far.copysign(x)
        }
    }

    /// As the function [`normal`].
    #[inline(always)]
    pub(super) fn normal(self, x: f32) -> (f32, f32) {
        // Up to this bound e^(-x^2 / 2) is a normal number, so that one factor suffices. Comparisons
        // keep NaN.
        const BOUND: f32 = 13.2;
        let magnitude = if x.abs() > BOUND { BOUND } else { x.abs() };
        let (high, low) = self.squared(magnitude);
        let (power, rest) = self.reduced(-0.5 * high, -0.5 * low);
        let power = (self.exp_minus_one(rest) + 1.0) * two_to(power);
        let power = if x.abs() > BOUND { 0.0 } else { power };
        // P(X > |x|) = erfc(|x| / sqrt(2)) / 2. For negative x that is the result itself, so that the
        // lower tail keeps its relative error.
        let (numerator, denominator) =
            self.scaled_complement(magnitude * std::f32::consts::FRAC_1_SQRT_2);
        let tail = numerator * (0.5 * power) / denominator;
        let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
        (cumulative, power * INVERSE_ROOT_OF_TWO_PI)
    }

    /// A polynomial by Horner's rule, the constant coefficient first.
    #[inline(always)]
    fn polynomial<const N: usize>(self, x: f32, coefficients: [f32; N]) -> f32 {
        let mut power = N - 1;
        let mut sum = coefficients[power];
        // A plain loop: it is unrolled, as iterators in reverse are not.
        while power > 0 {
            power -= 1;
            sum = self.multiply_add(sum, x, coefficients[power]);
        }
        sum
    }

    /// `e^rest 2^power` for the results of [`Self::reduced`], with an argument in `[-104, 89]`.
    #[inline(always)]
    fn scaled(self, rest: f32, power: i32) -> f32 {
        // In two factors: the power alone is not always a normal number.
        let half = power >> 1;
        (self.exp_minus_one(rest) + 1.0) * two_to(half) * two_to(power.wrapping_sub(half))
    }

    /// The integer `n` and the rest `r` such that `high + low = n ln(2) + r` with `|r| <= ln(2) / 2`,
    /// as accurate as if the sum had not been rounded.
    #[inline(always)]
    fn reduced(self, high: f32, low: f32) -> (i32, f32) {
        // Adding 1.5 * 2^23 rounds to an integer and leaves it in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        // ln(2) is the sum of both; products with the first, which has nine bits, are exact.
        const LN_2_HIGH: f32 = 355.0 / 512.0;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let shifted = self.multiply_add(high + low, std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        // Reduction after Cody and Waite: the parts that cancel are subtracted first.
        let rest = self.multiply_add(-n, LN_2_HIGH, high);
        let rest = self.multiply_add(-n, LN_2_LOW, rest) + low;
        // Adjacent bit patterns of the shifted sum are adjacent integers.
        let integer = shifted.to_bits().wrapping_sub(ROUND.to_bits());
        (integer.cast_signed(), rest)
    }

    /// `e^rest - 1` for a rest of [`Self::reduced`].
    #[inline(always)]
    fn exp_minus_one(self, rest: f32) -> f32 {
        self.multiply_add(self.polynomial(rest, EXP) * rest, rest, rest)
    }

    /// The square of a number as a sum: the first part is a rounded square or the square of the
    /// leading bits, the second the rest.
    #[inline(always)]
    fn squared(self, x: f32) -> (f32, f32) {
        if self.is_fused() {
            let square = x * x;
            return (square, self.multiply_add(x, x, -square));
        }
        // The leading 12 bits, whose square is exact; x^2 - l^2 = (x - l)(x + l).
        let leading = f32::from_bits(x.to_bits() & 0xffff_f000);
        (leading * leading, (x - leading) * (x + leading))
    }

    /// Numerator and denominator of `e^(x^2) erfc(x)` for `x >= 0`.
    #[inline(always)]
    fn scaled_complement(self, x: f32) -> (f32, f32) {
        (
            self.polynomial(x, COMPLEMENT.0),
            self.polynomial(x, COMPLEMENT.1),
        )
    }
}

/// `2^n` for `n` in `[-126, 127]`.
#[inline(always)]
fn two_to(n: i32) -> f32 {
    // The biased exponent above the 23 bits of the fraction.
    f32::from_bits(n.wrapping_add(127).cast_unsigned().wrapping_shl(23))
}

const INVERSE_ROOT_OF_TWO_PI: f32 = 0.398_942_3;

/// Coefficients of `(e^r - 1 - r) / r^2` for `|r| <= ln(2) / 2`, constant first. These and the two
/// below are minimax fits (iteratively reweighted least squares on Chebyshev nodes) of the relative
/// error of the function: at most 1.4e-8 here, 8.6e-9 and 6.1e-9 below.
const EXP: [f32; 5] = [
    0.499_999_97,
    0.166_665_42,
    0.041_667_204,
    0.008_366_654,
    0.001_388_249_1,
];

/// Coefficients of `erf(x) / x - 1` in `x^2`, for `|x| <= 0.875`.
const ERF: [f32; 6] = [
    0.128_379_15,
    -0.376_125_5,
    0.112_824_55,
    -0.026_791_466,
    0.005_032_186_4,
    -0.000_620_327_95,
];

/// Coefficients of numerator and denominator of `e^(x^2) erfc(x)` in `x`, for `x` in `[0, 10.4]`. They are
/// positive, so that no rounding error grows by cancellation.
const COMPLEMENT: ([f32; 5], [f32; 6]) = (
    [1.0, 1.240_867_6, 0.734_181_3, 0.230_448_57, 0.033_055_138],
    [
        1.0,
        2.369_247_4,
        2.407_580_9,
        1.330_179_9,
        0.408_484_7,
        0.058_588_05,
    ],
);

#[cfg(test)]
mod tests {
    use statrs::function::erf;

    use super::*;

    /// The distance of a result from the exact value, in units of the last place of that value.
    fn ulps(found: f32, exact: f64) -> f64 {
        if f64::from(found) == exact || (found.is_infinite() && exact.abs() >= 3.402_823_57e38) {
            return 0.0;
        }
        let rounded = (exact as f32).abs().clamp(f32::MIN_POSITIVE, f32::MAX);
        let unit = f64::from(rounded) - f64::from(rounded.next_down());
        (f64::from(found) - exact).abs() / unit
    }

    /// Asserts the bound over bit patterns of all exponents and both signs for which `within` holds.
    #[track_caller]
    fn assert_error(
        bound: f64,
        within: impl Fn(f32) -> bool,
        function: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) {
        let mut worst = (0.0, 0.0);
        for bits in (0..u32::MAX).step_by(2_003) {
            let x = f32::from_bits(bits);
            if x.is_finite() && within(x) {
                let error = ulps(function(x), exact(f64::from(x)));
                assert!(!error.is_nan(), "{x}: {}", function(x));
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
        assert!(worst.0 <= bound, "{} ulp at {}", worst.0, worst.1);
        assert!(worst.0 > bound / 3.0, "{} ulp: the bound is loose", worst.0);
    }

    #[test]
    fn errors_are_within_their_bounds() {
        for form in [Arithmetic::FUSED, Arithmetic::SEPARATE] {
            assert_error(1.1, |_| true, |x| form.exp(x), f64::exp);
            let nonpositive = |x: f32| (-87.0..=0.0).contains(&x);
            assert_error(1.1, nonpositive, |x| form.exp_nonpositive(x), f64::exp);
            assert_error(3.0, |_| true, |x| form.tanh(x), f64::tanh);
            let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
            assert_error(3.0, |x| x >= -88.0, |x| form.sigmoid(x), logistic);
            assert_error(2.0, |_| true, |x| form.erf(x), erf::erf);
            let root = std::f64::consts::SQRT_2;
            let lower = |x: f64| 0.5 * erf::erfc(-x / root);
            assert_error(6.0, |x| x > -12.9, |x| form.normal(x).0, lower);
            let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert_error(2.0, |x| x.abs() < 13.0, |x| form.normal(x).1, density);
        }
    }

    #[test]
    fn limits_are_exact() {
        let infinity = f32::INFINITY;
        for (function, low, zero, high) in [
            (exp as fn(f32) -> f32, 0.0, 1.0, infinity),
            (tanh, -1.0, 0.0, 1.0),
            (sigmoid, 0.0, 0.5, 1.0),
            (super::erf, -1.0, 0.0, 1.0),
            (|x| normal(x).0, 0.0, 0.5, 1.0),
            (|x| normal(x).1, 0.0, INVERSE_ROOT_OF_TWO_PI, 0.0),
        ] {
            for large in [infinity, f32::MAX, 200.0] {
                assert_eq!(function(-large), low);
                assert_eq!(function(large), high);
            }
            assert_eq!(function(0.0), zero);
            assert!(function(f32::NAN).is_nan());
        }
        // The smallest numbers of all, and the sign of zero.
        for x in [-0.0, 1e-45, -1e-45, 1e-40] {
            assert_eq!(tanh(x).to_bits(), x.to_bits());
            assert_eq!(exp(x), 1.0);
        }
        for form in [Arithmetic::FUSED, Arithmetic::SEPARATE] {
            assert_eq!(form.exp_nonpositive(-infinity), 0.0);
            assert_eq!(form.exp_nonpositive(0.0), 1.0);
            assert!(form.exp_nonpositive(f32::NAN).is_nan());
        }
        assert_eq!(super::erf(-0.0).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn slices_have_the_bits_of_single_numbers() {
        let values: Vec<f32> = (0..u32::MAX)
            .step_by(900_007)
            .map(f32::from_bits)
            .filter(|x| !x.is_nan())
            .collect();
        type Pair = (fn(&mut [f32]), fn(f32) -> f32);
        let pairs: [Pair; 4] = [
            (exp_slice, exp),
            (tanh_slice, tanh),
            (sigmoid_slice, sigmoid),
            (erf_slice, super::erf),
        ];
        for (slice, single) in pairs {
            // Every length of what remains behind full vectors.
            for length in (0..70).chain([values.len()]) {
                let mut found = values[..length].to_vec();
                slice(&mut found);
                for (found, &x) in found.iter().zip(&values) {
                    assert_eq!(found.to_bits(), std::hint::black_box(single(x)).to_bits());
                }
            }
        }
    }
}
