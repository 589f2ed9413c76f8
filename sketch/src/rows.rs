//! Where a hash falls in each row.
//!
//! The upper half of the product of the hash with the odd constant of a row is a fraction of 2^32,
//! and that fraction of the width, rounded down, is the offset (D. Lemire, "Fast random integer
//! generation in an interval", 2019): any width, no division. Independent products, rather than
//! sums of two hashes, keep the rows from colliding together.
//!
//! These positions are part of the format of a stored sketch.

#![expect(
    unsafe_code,
    reason = "instructions that were detected, and buffers that are not cleared first: measured"
)]

use core::mem::MaybeUninit;

use crate::simd::Simd;

/// The largest depth.
pub const MAX_DEPTH: usize = 16;

/// How many hashes a batch takes at a time.
pub(crate) const BATCH: usize = 512;

/// The largest width: offsets are fractions of 2^32.
pub(crate) const MAX_WIDTH: usize = u32::MAX as usize;

/// Odd constants, one a row, and one more for choices that are not offsets.
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

/// Thirty-two more bits of a hash: the signs of the rows, or the slots in a line.
#[inline(always)]
pub(crate) fn choices(hash: u64) -> u32 {
    upper_half(hash, MAX_DEPTH) as u32
}

/// The places of up to [`BATCH`] hashes. It is large, and not filled before it is used.
pub(crate) struct Places {
    offsets: [[MaybeUninit<u32>; BATCH]; MAX_DEPTH],
    choices: [MaybeUninit<u32>; BATCH],
    /// Rows and hashes that were found last.
    rows: usize,
    hashes: usize,
}

impl Places {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            offsets: [[MaybeUninit::uninit(); BATCH]; MAX_DEPTH],
            choices: [MaybeUninit::uninit(); BATCH],
            rows: 0,
            hashes: 0,
        }
    }

    /// Finds the places of at most [`BATCH`] hashes in the first `rows` rows.
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
        assert!(row < self.rows, "only these rows were asked for");
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

/// One text for all instruction sets: the compiler makes vectors of these loops.
#[inline(always)]
fn find(places: &mut Places, hashes: &[u64], rows: usize, width: u32) {
    assert!(hashes.len() <= BATCH && rows <= MAX_DEPTH, "one batch");
    for (row, offsets) in places.offsets[..rows].iter_mut().enumerate() {
        for (place, &hash) in offsets.iter_mut().zip(hashes) {
            place.write(offset(hash, row, width));
        }
    }
    for (choice, &hash) in places.choices.iter_mut().zip(hashes) {
        choice.write(choices(hash));
    }
    places.rows = rows;
    places.hashes = hashes.len();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn find_avx2(places: &mut Places, hashes: &[u64], rows: usize, width: u32) {
    find(places, hashes, rows, width);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn find_avx512(places: &mut Places, hashes: &[u64], rows: usize, width: u32) {
    find(places, hashes, rows, width);
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
                let mut places = Places::new();
                places.find(simd, &hashes, MAX_DEPTH, width);
                for (i, &hash) in hashes.iter().enumerate() {
                    for row in 0..MAX_DEPTH {
                        let found = places.row(row)[i];
                        assert_eq!(found, offset(hash, row, width), "{simd}");
                        assert!(found < width);
                    }
                    assert_eq!(places.choices()[i], choices(hash), "{simd}");
                }
            }
        }
    }
}
