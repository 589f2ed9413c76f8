//! The offset of a hash in each row.
//!
//! The hash is multiplied by an odd constant of the row; the upper half of the product is a fraction
//! of 2^32, and that fraction of the width, rounded down, is the offset (D. Lemire, "Fast random
//! integer generation in an interval", 2019): any width, no division. Independent products, rather
//! than sums of two hashes, prevent two keys from colliding in all rows at once.
//!
//! These positions are part of the format of a stored sketch.

#![expect(
    unsafe_code,
    reason = "detected vector instructions and uninitialized buffers: measured"
)]

use core::mem::MaybeUninit;

use crate::simd::Simd;

/// The largest depth.
pub const MAX_DEPTH: usize = 16;

/// Hashes in a batch.
pub(crate) const BATCH: usize = 512;

/// The largest width: offsets are fractions of 2^32.
pub(crate) const MAX_WIDTH: usize = u32::MAX as usize;

/// Odd constants, one for each row, and one more for [`choices`].
const MULTIPLIERS: [u64; MAX_DEPTH + 1] = {
    let mut multipliers = [0; MAX_DEPTH + 1];
    let mut row = 0;
    while row < multipliers.len() {
        multipliers[row] = crate::key::hash_integer(row as u64, 0x726f_7773) | 1;
        row += 1;
    }
    multipliers
};

#[inline(always)]
fn upper_half(hash: u64, constant: usize) -> u64 {
    hash.wrapping_mul(MULTIPLIERS[constant]) >> 32
}

/// The offset of a hash in a row of this width.
#[inline(always)]
pub(crate) fn offset(hash: u64, row: usize, width: u32) -> u32 {
    // Below `width`, so that nothing is cut off.
    ((upper_half(hash, row) * u64::from(width)) >> 32) as u32
}

/// 32 more bits of a hash: the signs of the rows, or the slots in a line.
#[inline(always)]
pub(crate) fn choices(hash: u64) -> u32 {
    upper_half(hash, MAX_DEPTH) as u32
}

/// The positions of up to [`BATCH`] hashes. It is large (34 KiB), so it is not cleared when created.
pub(crate) struct Positions {
    offsets: [[MaybeUninit<u32>; BATCH]; MAX_DEPTH],
    choices: [MaybeUninit<u32>; BATCH],
    /// The rows and hashes of the last call of [`find`](Self::find): what is initialized.
    rows: usize,
    hashes: usize,
}

impl Positions {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            offsets: [[MaybeUninit::uninit(); BATCH]; MAX_DEPTH],
            choices: [MaybeUninit::uninit(); BATCH],
            rows: 0,
            hashes: 0,
        }
    }

    /// Finds the positions of at most [`BATCH`] hashes in the first `rows` rows.
    #[inline]
    pub(crate) fn find(&mut self, simd: Simd, hashes: &[u64], rows: usize, width: u32) {
        match simd {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Simd` is used only after `Simd::check` or `Simd::detect`.
            Simd::Avx2 => unsafe { find_avx2(self, hashes, rows, width) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Simd::Avx512 => unsafe { find_avx512(self, hashes, rows, width) },
            _ => find(self, hashes, rows, width),
        }
    }

    /// The offsets of the hashes in a row.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[u32] {
        assert!(row < self.rows, "`find` has computed this row");
        // SAFETY: `find` filled this row up to this length.
        unsafe { initialized(&self.offsets[row][..self.hashes]) }
    }

    /// The choices of the hashes.
    #[inline(always)]
    pub(crate) fn choices(&self) -> &[u32] {
        // SAFETY: `find` filled them up to this length, which is 0 before.
        unsafe { initialized(&self.choices[..self.hashes]) }
    }
}

/// # Safety
///
/// All numbers have been written.
#[inline(always)]
unsafe fn initialized(numbers: &[MaybeUninit<u32>]) -> &[u32] {
    // SAFETY: `MaybeUninit` has the layout of what is in it.
    unsafe { &*(core::ptr::from_ref(numbers) as *const [u32]) }
}

/// Compiled once for each instruction set: the compiler vectorizes these loops.
#[inline(always)]
fn find(positions: &mut Positions, hashes: &[u64], rows: usize, width: u32) {
    assert!(hashes.len() <= BATCH && rows <= MAX_DEPTH, "one batch");
    for (row, offsets) in positions.offsets[..rows].iter_mut().enumerate() {
        for (position, &hash) in offsets.iter_mut().zip(hashes) {
            position.write(offset(hash, row, width));
        }
    }
    for (choice, &hash) in positions.choices.iter_mut().zip(hashes) {
        choice.write(choices(hash));
    }
    positions.rows = rows;
    positions.hashes = hashes.len();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn find_avx2(positions: &mut Positions, hashes: &[u64], rows: usize, width: u32) {
    find(positions, hashes, rows, width);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn find_avx512(positions: &mut Positions, hashes: &[u64], rows: usize, width: u32) {
    find(positions, hashes, rows, width);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_finds_the_same_places() {
        let hashes: [u64; 64] =
            core::array::from_fn(|i| crate::key::hash_integer(i as u64, 5) ^ u64::MAX << i);
        for width in [1, 2, 1000, 1 << 20, u32::MAX] {
            for simd in Simd::ALL.into_iter().filter(|simd| simd.is_available()) {
                let mut positions = Positions::new();
                positions.find(simd, &hashes, MAX_DEPTH, width);
                for (i, &hash) in hashes.iter().enumerate() {
                    for row in 0..MAX_DEPTH {
                        let found = positions.row(row)[i];
                        assert_eq!(found, offset(hash, row, width), "{simd}");
                        assert!(found < width);
                    }
                    assert_eq!(positions.choices()[i], choices(hash), "{simd}");
                }
            }
        }
    }
}
