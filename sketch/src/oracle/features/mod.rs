//! Features of keys: a fixed number of hashed values.

mod block;
mod flow;
mod text;

pub use block::BlockFeatures;
pub use flow::FlowFeatures;
pub use text::TextFeatures;

/// Turns a key into a fixed number of values, each hashed to 32 bits.
///
/// A model has a table of rows for every feature, and a hash selects one of them; values in the same
/// row share its weights. The hashes are part of the format of a stored model.
pub trait Features<K: ?Sized>: Send + Sync {
    /// The number of features of every key, at least 1.
    fn count(&self) -> usize;

    /// Writes the hashes of a key's values to `hashes`, of length [`Features::count`]. Their upper bits
    /// must be well mixed.
    fn hash(&self, key: &K, hashes: &mut [u32]);

    /// A description of everything that the hashes depend on. A stored model can only be read with
    /// features of the same description.
    fn describe(&self) -> String;
}

/// The hash of one value of a feature: two rounds of multiplication, the cheapest mixing whose upper
/// bits depend on every bit of the value.
#[inline]
pub(super) fn mix(feature: usize, value: u64) -> u32 {
    // Multiples of the golden ratio separate equal values of different features.
    let salt = (feature as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = (value ^ salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 32;
    (z.wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) as u32
}

/// The row that a hash selects among `rows`.
#[inline]
pub(crate) fn row_of(hash: u32, rows: usize) -> usize {
    ((u64::from(hash) * rows as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_evenly_filled_by_regular_values() {
        // Chi-squared with 255 degrees of freedom exceeds 400 with a probability below 1e-7.
        for step in [1u64, 16, 256, 1 << 16, 1 << 32] {
            for feature in 0..4 {
                let mut filled = [0u32; 256];
                for i in 0..65_536 {
                    filled[row_of(mix(feature, i * step), 256)] += 1;
                }
                let expected = 256.0;
                let chi: f64 = filled
                    .iter()
                    .map(|&n| (f64::from(n) - expected).powi(2) / expected)
                    .sum();
                assert!(chi < 400.0, "step {step}, feature {feature}: {chi}");
            }
        }
    }

    #[test]
    fn hashes_are_those_of_the_format() {
        assert_eq!(mix(0, 0), GOLDEN[0]);
        assert_eq!(mix(3, 443), GOLDEN[1]);
    }

    // From an independent computation with Python's integers.
    const GOLDEN: [u32; 2] = [0xc1b2_082a, 0xef40_b983];
}
