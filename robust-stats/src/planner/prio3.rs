//! The cost of Prio3, for comparison.

use serde::{Deserialize, Serialize};

use crate::parameter::Gamma;

/// The cost of a Prio3 histogram (draft-irtf-cfrg-vdaf) with two aggregators.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prio3 {
    /// Upload per client in bytes: computed from the specification, and equal to that of the library
    /// `prio` 0.18.1 for 128, 1024 and 4096 buckets.
    pub report_bytes: u64,
    /// Client computation in milliseconds, interpolated between measurements of `prio` 0.18.1 for
    /// 128, 1024 and 4096 buckets on one core of a busy server processor: accurate to a factor of two.
    pub client_milliseconds: f64,
    /// Computation per aggregator in milliseconds, from the same measurements.
    pub aggregator_milliseconds: f64,
    /// The maximum shift of the aggregate by corrupted clients: `gamma`.
    pub manipulation: f64,
}

impl Prio3 {
    /// The cost of a histogram of `buckets` buckets, in chunks of about their square root.
    #[must_use]
    pub fn histogram(buckets: usize, gamma: Gamma) -> Self {
        // The proof: two wire seeds per element of a chunk, and the coefficients of the gadget
        // polynomial, of degree 2 (P - 1) for the next power of two P above the number of calls.
        let length = buckets.max(1) as u64;
        let chunk = length.isqrt().max(1);
        let calls = length.div_ceil(chunk);
        let proof = 2 * chunk + 2 * ((calls + 1).next_power_of_two() - 1) + 1;
        // Elements of 16 bytes; the other 160 bytes are nonces, blinds and the helper's seed.
        let report_bytes = 16 * (length + proof) + 160;
        Self {
            report_bytes,
            client_milliseconds: interpolate(
                length as f64,
                [(128.0, 0.27), (1024.0, 1.69), (4096.0, 8.7)],
            ),
            aggregator_milliseconds: interpolate(
                length as f64,
                [(128.0, 0.11), (1024.0, 0.70), (4096.0, 3.9)],
            ),
            manipulation: gamma.get(),
        }
    }
}

/// Piecewise power-law interpolation, extrapolated beyond the last points.
fn interpolate(x: f64, points: [(f64, f64); 3]) -> f64 {
    let [a, b, c] = points;
    let (from, to) = if x < b.0 { (a, b) } else { (b, c) };
    let exponent = (to.1 / from.1).ln() / (to.0 / from.0).ln();
    from.1 * (x / from.0).powf(exponent)
}
