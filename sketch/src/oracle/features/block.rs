//! Features of block numbers.

use super::{Features, mix};
use crate::error::SketchError;

/// Prefixes of a number such as that of a disk block: neighbors share the prefixes of larger shifts.
///
/// The features are, in this order: the number without its last `shift` bits, for each shift; its
/// last four bits; and the number of trailing zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFeatures {
    shifts: Vec<u8>,
}

impl Default for BlockFeatures {
    /// Shifts by 0, 2, 4, .., 16 and 20 bits: twelve features.
    fn default() -> Self {
        Self {
            shifts: vec![0, 2, 4, 6, 8, 10, 12, 14, 16, 20],
        }
    }
}

impl BlockFeatures {
    /// Features with these shifts, in bits.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a shift of 64 or more.
    pub fn new(shifts: &[u8]) -> Result<Self, SketchError> {
        match shifts.iter().find(|&&shift| shift >= 64) {
            Some(shift) => Err(SketchError::parameter("shifts", "0 to 63 bits", shift)),
            None => Ok(Self {
                shifts: shifts.to_vec(),
            }),
        }
    }
}

impl Features<u64> for BlockFeatures {
    fn count(&self) -> usize {
        self.shifts.len() + 2
    }

    #[inline]
    fn hash(&self, key: &u64, hashes: &mut [u32]) {
        let shifted = self.shifts.iter().map(|&shift| key >> shift);
        let ends = [key & 0xf, u64::from(key.trailing_zeros())];
        for (index, value) in shifted.chain(ends).enumerate() {
            hashes[index] = mix(index, value);
        }
    }

    fn describe(&self) -> String {
        format!("block, shifts {:?}", self.shifts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_share_their_prefixes() {
        let features = BlockFeatures::new(&[0, 4, 8]).unwrap();
        let hashes = |key: u64| {
            let mut hashes = [0; 5];
            features.hash(&key, &mut hashes);
            hashes
        };
        let changed = |a, b| -> Vec<usize> {
            let (a, b) = (hashes(a), hashes(b));
            (0..5).filter(|&i| a[i] != b[i]).collect()
        };
        assert_eq!(changed(0x1234, 0x1235), [0, 3, 4]);
        assert_eq!(changed(0x1231, 0x1241), [0, 1]);
        assert_eq!(changed(0x1231, 0x2231), [0, 1, 2]);
        assert!(BlockFeatures::new(&[64]).is_err());
    }
}
