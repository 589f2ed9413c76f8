//! What other keys put into one counter: its distribution.
//!
//! Each of the residual keys falls into a given counter with probability `q = 1 / width`,
//! independently of the others. The generating function of the content is the product over keys of
//! `1 - q + q z^count`, and its logarithm, as a power series, is a sum over the histogram:
//! `n ln(1 - q)` for the constant term and `n (-1)^(m+1) r^m / m` at `m count`, with
//! `r = q / (1 - q)` (the first term alone would be the compound-Poisson law). A Fourier transform
//! takes the exponential.
//!
//! Counts can be large, so the tail is worked out in levels: a first one in steps of one (or of a few
//! thousandths of the typical content), and beyond its end others in steps sixteen times as large
//! each. A key whose count lies beyond a level takes the content over the level's end for certain;
//! only the probability of such a key matters there. What the transform wraps around is damped by
//! tilting (R. Grübel, R. Hermesmeier, "Computation of compound distributions I", 1999).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::histogram::Histogram;

/// Steps of a level.
const SIZE: usize = 1 << 15;

/// By how much the steps of a level are larger than those of the one before.
const COARSER: usize = 16;

/// The damping of what wraps around is e^-TILT; rounding errors grow by up to e^TILT.
const TILT: f64 = 18.0;

/// A tail below this probability is not followed further unless single keys reach beyond it: larger
/// than rounding errors under the tilt, and its square is nothing.
const NEGLIGIBLE: f64 = 1e-7;

/// The distribution of the content of one counter.
pub(super) struct Content {
    pub(super) levels: Vec<Level>,
}

/// A part of the tail.
pub(super) struct Level {
    /// The step.
    pub(super) unit: f64,
    /// The first step that no earlier level has.
    pub(super) first: usize,
    /// `P(content > t)` for `t` from `k unit` to below `(k + 1) unit`.
    pub(super) survival: Vec<f64>,
}

impl Content {
    /// The content of a counter of a count-min sketch: the sum of the counts in it.
    pub(super) fn plain(residual: &Histogram, width: usize) -> Self {
        let transform = Transform::new();
        let probability = 1.0 / width as f64;
        let typical = typical(residual, width, |count| count) * probability;
        let total = residual.total();
        Self::in_levels(residual, 4.0 * typical, total, |unit| {
            transform.plain(residual, probability, unit)
        })
    }

    /// The content of a counter of a count-sketch, in which a count is added or subtracted with equal
    /// probability. It is symmetric, and this is its upper half.
    pub(super) fn signed(residual: &Histogram, width: usize) -> Self {
        let transform = Transform::new();
        let probability = 1.0 / width as f64;
        let typical = (typical(residual, width, |count| count * count) * probability).sqrt();
        let total = residual.total();
        let mut content = Self::in_levels(residual, 32.0 * typical, total, |unit| {
            transform.signed(residual, probability, unit)
        });
        // Only a quarter of the transform is the upper half without what wraps around.
        for level in content.levels.iter_mut().skip(1) {
            level.first = SIZE / 4 / COARSER;
        }
        content
    }

    fn in_levels(
        residual: &Histogram,
        reach: f64,
        total: f64,
        survival: impl Fn(f64) -> Vec<f64>,
    ) -> Self {
        let largest = residual.entries().last().map_or(0, |entry| entry.0) as f64;
        // Steps of one as long as the bulk of the content lies in the first level.
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
            unit *= COARSER as f64;
            first = SIZE / COARSER;
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

    /// [`integrate`](Self::integrate) for the content without one key of this count. In a level whose
    /// steps are larger than the count, the key makes no difference.
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
            // With the key: with probability q it is in the counter and the others need `count` less.
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

/// The sum over keys of `term(count)` without the heaviest `width / 2` keys: most counters hold none
/// of them.
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

/// The two transforms of a level's size.
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
        // Of a real series the first and the last value are real; the transform insists.
        spectrum[0].im = 0.0;
        spectrum[SIZE / 2].im = 0.0;
        self.inverse
            .process(&mut spectrum, series)
            .expect("the buffers have the sizes of the plan");
    }

    fn plain(&self, residual: &Histogram, probability: f64, unit: f64) -> Vec<f64> {
        let mut constant = 0.0;
        let mut series = vec![0.0; SIZE];
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
        let tilt = |step: usize| (TILT * step as f64 / SIZE as f64).exp();
        for (step, term) in series.iter_mut().enumerate() {
            *term /= tilt(step);
        }
        self.exponential(constant, &mut series);
        // From probabilities to the probability that there is more.
        let mut left = 1.0_f64;
        for (step, value) in series.iter_mut().enumerate() {
            // Rounding errors of either sign stay in the sum, where they cancel out.
            left -= *value * tilt(step);
            *value = left.clamp(0.0, 1.0);
        }
        series
    }

    /// As [`plain`](Self::plain), for counts that are subtracted as often as added. The result has a
    /// quarter of the size.
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
            // The logarithm of 1 + q (cos - 1) to the second order, a cosine on two places.
            let mut add = |place: usize, term: f64| {
                series[place] += term / 2.0;
                series[SIZE - place] += term / 2.0;
            };
            constant -= keys * (probability + 0.75 * probability * probability);
            add(step, keys * (probability + probability * probability));
            add(2 * step, -keys * probability * probability / 4.0);
        });
        self.exponential(constant, &mut series);
        let without_heavy = log_without_heavy.exp();
        let mut above: f64 = series[REACH..SIZE / 2].iter().sum();
        let mut survival = vec![0.0; REACH];
        for step in (0..REACH).rev() {
            // One of the heavy keys takes the content beyond the level, to either side.
            let heavy = (1.0 - without_heavy) / 2.0;
            survival[step] = (without_heavy * above + heavy).clamp(0.0, 0.5);
            above += series[step].max(0.0);
        }
        survival
    }
}

/// The histogram in steps: a count between two steps is divided among them so that the mean stays.
/// Keys below half a step fall out in part.
fn on_steps(residual: &Histogram, unit: f64, mut visit: impl FnMut(usize, f64)) {
    for &(count, keys) in residual.entries() {
        let steps = count as f64 / unit;
        let below = steps.floor();
        let part = steps - below;
        // Steps beyond the level are all alike.
        let below = (below as usize).min(SIZE);
        if below > 0 && part < 1.0 {
            visit(below, keys * (1.0 - part));
        }
        if part > 0.0 {
            visit(below + 1, keys * part);
        }
    }
}
