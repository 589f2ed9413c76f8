//! The distribution of the content of one counter: the sum of the counts of the keys in it.
//!
//! Each of the residual keys falls into a given counter with probability `q = 1 / width`,
//! independently of the others. The generating function of the content is the product over keys of
//! `1 - q + q z^count`, and its logarithm, as a power series, is a sum over the histogram:
//! `n ln(1 - q)` for the constant term and `n (-1)^(m+1) r^m / m` at `m count`, with
//! `r = q / (1 - q)` (the first term alone gives the compound Poisson distribution). The exponential is
//! computed with a Fourier transform.
//!
//! Counts can be large, so the tail is computed in levels: the first in steps of one (or of a few
//! thousandths of the typical content), each further one in steps sixteen times as large. A key whose
//! count lies beyond a level exceeds the level's end for certain, so only the probability of such a key
//! matters there. Aliasing of the transform is damped by exponential tilting (R. Grübel,
//! R. Hermesmeier, "Computation of compound distributions I", 1999).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::histogram::Histogram;

/// Steps in a level.
const SIZE: usize = 1 << 15;

/// The ratio of the steps of consecutive levels.
const LEVEL_RATIO: usize = 16;

/// Aliasing is damped by e^-TILT; rounding errors grow by up to e^TILT.
const TILT: f64 = 18.0;

/// A tail below this probability is cut off unless single keys reach beyond it. It exceeds the rounding
/// errors under the tilt, and its square is negligible.
const NEGLIGIBLE: f64 = 1e-7;

/// The distribution of the content of one counter.
pub(super) struct Content {
    pub(super) levels: Vec<Level>,
}

/// A part of the tail.
pub(super) struct Level {
    /// The size of a step.
    pub(super) unit: f64,
    /// The first step that is not covered by an earlier level.
    pub(super) first: usize,
    /// `P(content > t)` for `t` from `k unit` to below `(k + 1) unit`.
    pub(super) survival: Vec<f64>,
}

impl Content {
    /// The content of a counter of a count-min sketch.
    pub(super) fn plain(residual: &Histogram, width: usize) -> Self {
        let transform = Transform::new();
        let probability = 1.0 / width as f64;
        let typical = typical(residual, width, |count| count) * probability;
        let total = residual.total();
        Self::in_levels(residual, 4.0 * typical, total, |unit| {
            transform.plain(residual, probability, unit)
        })
    }

    /// The content of a counter of a count-sketch, to which a count is added or subtracted with equal
    /// probability. It is symmetric; this is its upper half.
    pub(super) fn signed(residual: &Histogram, width: usize) -> Self {
        let transform = Transform::new();
        let probability = 1.0 / width as f64;
        let typical = (typical(residual, width, |count| count * count) * probability).sqrt();
        let total = residual.total();
        let mut content = Self::in_levels(residual, 32.0 * typical, total, |unit| {
            transform.signed(residual, probability, unit)
        });
        // Only a quarter of the transform is free of aliasing.
        for level in content.levels.iter_mut().skip(1) {
            level.first = SIZE / 4 / LEVEL_RATIO;
        }
        content
    }

    /// Computes levels until they cover the tail. `reach` is the bulk of the content, `survival` the
    /// survival function in steps of a given size.
    fn in_levels(
        residual: &Histogram,
        reach: f64,
        total: f64,
        survival: impl Fn(f64) -> Vec<f64>,
    ) -> Self {
        let largest = residual.entries().last().map_or(0, |entry| entry.0) as f64;
        // Steps of one if the bulk of the content then lies in the first level.
        let mut unit = (reach / SIZE as f64).max(1.0).ceil();
        let mut levels = Vec::new();
        let mut first = 0;
        loop {
            let survival = survival(unit);
            let end = survival.len() as f64 * unit;
            let beyond = survival.last().copied().unwrap_or(0.0);
            levels.push(Level {
                unit,
                first,
                survival,
            });
            if end >= total || (largest < end && beyond < NEGLIGIBLE) {
                return Self { levels };
            }
            unit *= LEVEL_RATIO as f64;
            first = SIZE / LEVEL_RATIO;
        }
    }

    /// The integral over `t` from 0 of `term(P(content > t))`, where `term(0) = 0`.
    pub(super) fn integrate(&self, term: impl Fn(f64) -> f64) -> f64 {
        let levels = self.levels.iter();
        levels
            .map(|level| {
                level.unit
                    * level.survival[level.first..]
                        .iter()
                        .map(|s| term(*s))
                        .sum::<f64>()
            })
            .sum()
    }

    /// [`integrate`](Self::integrate) for the content without one key of this count. In levels with
    /// steps larger than the count, the key makes no difference.
    pub(super) fn integrate_without(
        &self,
        count: u64,
        width: usize,
        term: impl Fn(f64) -> f64,
    ) -> f64 {
        let probability = 1.0 / width as f64;
        let mut sum = 0.0;
        let mut without = Vec::with_capacity(SIZE);
        for level in &self.levels {
            let steps = (count as f64 / level.unit).round() as usize;
            if steps == 0 {
                sum += level.unit
                    * level.survival[level.first..]
                        .iter()
                        .map(|s| term(*s))
                        .sum::<f64>();
                continue;
            }
            // P(content > t) = q P(without > t - count) + (1 - q) P(without > t), solved for the
            // content without the key in ascending order of t.
            without.clear();
            for (step, with) in level.survival.iter().enumerate() {
                let shifted = if step < steps {
                    1.0
                } else {
                    without[step - steps]
                };
                without
                    .push(((with - probability * shifted) / (1.0 - probability)).clamp(0.0, 1.0));
            }
            sum += level.unit * without[level.first..].iter().map(|s| term(*s)).sum::<f64>();
        }
        sum
    }
}

/// The sum over keys of `term(count)` without the heaviest `width / 2` keys, which most counters do not
/// contain.
fn typical(residual: &Histogram, width: usize, term: impl Fn(f64) -> f64) -> f64 {
    let mut left_out = width as f64 / 2.0;
    let mut sum = 0.0;
    for &(count, keys) in residual.entries().iter().rev() {
        let kept = (keys - left_out).max(0.0);
        left_out = (left_out - keys).max(0.0);
        sum += kept * term(count as f64);
    }
    sum
}

/// The forward and inverse transforms of a level.
struct Transform {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl Transform {
    fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(SIZE),
            inverse: planner.plan_fft_inverse(SIZE),
        }
    }

    /// The exponential of a power series whose constant term is `constant`, modulo `z^SIZE - 1`.
    fn exponential(&self, constant: f64, series: &mut [f64]) {
        let mut spectrum = vec![Complex::default(); SIZE / 2 + 1];
        self.forward
            .process(series, &mut spectrum)
            .expect("the buffers have the sizes of the plan");
        for value in &mut spectrum {
            *value = (*value + constant).exp() / SIZE as f64;
        }
        // The first and last values of a real series are real; the inverse transform requires it exactly.
        spectrum[0].im = 0.0;
        spectrum[SIZE / 2].im = 0.0;
        self.inverse
            .process(&mut spectrum, series)
            .expect("the buffers have the sizes of the plan");
    }

    /// The survival function of a count-min counter in steps of `unit`.
    fn plain(&self, residual: &Histogram, probability: f64, unit: f64) -> Vec<f64> {
        let mut constant = 0.0;
        let mut series = vec![0.0; SIZE];
        // The logarithm of the generating function, term by term until the terms are negligible.
        let odds = probability / (1.0 - probability);
        on_steps(residual, unit, |step, keys| {
            constant += keys * (-probability).ln_1p();
            let mut power = keys * odds;
            let mut multiple = 1;
            while multiple * step < SIZE {
                let term = power / multiple as f64;
                series[multiple * step] += if multiple % 2 == 1 { term } else { -term };
                if term < 1e-15 {
                    break;
                }
                power *= odds;
                multiple += 1;
            }
        });
        // Tilt, take the exponential, and undo the tilt.
        let tilt = |step: usize| (TILT * step as f64 / SIZE as f64).exp();
        for (step, term) in series.iter_mut().enumerate() {
            *term /= tilt(step);
        }
        self.exponential(constant, &mut series);
        // From the probabilities of values to the survival function.
        let mut left = 1.0_f64;
        for (step, value) in series.iter_mut().enumerate() {
            // The unclamped remainder is carried on, so that rounding errors cancel.
            left -= *value * tilt(step);
            *value = left.clamp(0.0, 1.0);
        }
        series
    }

    /// The survival function of a count-sketch counter, with a quarter of the size.
    fn signed(&self, residual: &Histogram, probability: f64, unit: f64) -> Vec<f64> {
        const REACH: usize = SIZE / 4;
        let mut log_without_heavy = 0.0;
        let mut constant = 0.0;
        let mut series = vec![0.0; SIZE];
        on_steps(residual, unit, |step, keys| {
            if step >= REACH {
                log_without_heavy += keys * (-probability).ln_1p();
                return;
            }
            // The logarithm of 1 + q (cos - 1) to second order; a cosine has two coefficients.
            let mut add = |index: usize, term: f64| {
                series[index] += term / 2.0;
                series[SIZE - index] += term / 2.0;
            };
            constant -= keys * (probability + 0.75 * probability * probability);
            add(step, keys * (probability + probability * probability));
            add(2 * step, -keys * probability * probability / 4.0);
        });
        self.exponential(constant, &mut series);
        // Sum up from the end of the alias-free part.
        let without_heavy = log_without_heavy.exp();
        let mut above: f64 = series[REACH..SIZE / 2].iter().sum();
        let mut survival = vec![0.0; REACH];
        for step in (0..REACH).rev() {
            // A heavy key moves the content beyond the level, in either direction.
            let heavy = (1.0 - without_heavy) / 2.0;
            survival[step] = (without_heavy * above + heavy).clamp(0.0, 0.5);
            above += series[step].max(0.0);
        }
        survival
    }
}

/// The histogram in steps: a count between two steps is split between them so that the mean is kept.
/// Of keys below one step, only the fraction in the first step is visited.
fn on_steps(residual: &Histogram, unit: f64, mut visit: impl FnMut(usize, f64)) {
    for &(count, keys) in residual.entries() {
        let steps = count as f64 / unit;
        let below = steps.floor();
        let part = steps - below;
        // All steps beyond the level are equivalent.
        let below = (below as usize).min(SIZE);
        if below > 0 && part < 1.0 {
            visit(below, keys * (1.0 - part));
        }
        if part > 0.0 {
            visit(below + 1, keys * part);
        }
    }
}
