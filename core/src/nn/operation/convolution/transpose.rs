//! Transposition of a row of pixels between channels last and a plane for each channel, in tiles
//! of 8 x 8 that stay in vector registers.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__m256;

use crate::nn::operation::values::Float;

/// Numbers along each side of a tile.
const SIDE: usize = 8;

/// `to[c * to_stride + r] = from[r * from_stride + c]` for all `rows` and `columns`.
pub(super) struct Transposition<'a, T> {
    pub(super) from: &'a [T],
    pub(super) from_stride: usize,
    pub(super) to: &'a mut [T],
    pub(super) to_stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Types whose transpositions are compiled for the processor.
pub(super) trait Transpose: Float {
    fn transpose(work: Transposition<'_, Self>);
}

impl Transpose for f32 {
    fn transpose(work: Transposition<'_, Self>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            simd.vectorize(
                #[inline(always)]
                || work.run(simd),
            );
            return;
        }
        work.run(Portable);
    }
}

impl Transpose for f64 {
    fn transpose(work: Transposition<'_, Self>) {
        work.run(Portable);
    }
}

type Tile<T> = [[T; SIDE]; SIDE];

/// How a tile is transposed.
trait Transposer<T>: Copy {
    fn transposed(self, tile: Tile<T>) -> Tile<T>;
}

#[derive(Clone, Copy)]
struct Portable;

impl<T: Copy> Transposer<T> for Portable {
    #[inline(always)]
    fn transposed(self, tile: Tile<T>) -> Tile<T> {
        std::array::from_fn(|column| tile.map(|row| row[column]))
    }
}

#[cfg(target_arch = "x86_64")]
impl Transposer<f32> for pulp::x86::V3 {
    /// Interleaves pairs of rows, then pairs of pairs, within each half of the vectors; then
    /// exchanges halves. Compilers do not find these shuffles, which take about half the time of
    /// a loop.
    #[inline(always)]
    fn transposed(self, tile: Tile<f32>) -> Tile<f32> {
        let avx = self.avx;
        let pairs =
            |a: __m256, b: __m256| [avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b)];
        let fours = |a: __m256, b: __m256| {
            [
                avx._mm256_shuffle_ps::<0x44>(a, b),
                avx._mm256_shuffle_ps::<0xee>(a, b),
            ]
        };
        let low = |a: __m256, b: __m256| avx._mm256_permute2f128_ps::<0x20>(a, b);
        let high = |a: __m256, b: __m256| avx._mm256_permute2f128_ps::<0x31>(a, b);
        let rows: [__m256; SIDE] = pulp::cast(tile);
        // Columns 0 1 and 2 3 of rows 0 1, .. in the lower halves; 4 5 and 6 7 in the upper ones.
        let [a, b] = pairs(rows[0], rows[1]);
        let [c, d] = pairs(rows[2], rows[3]);
        let [e, f] = pairs(rows[4], rows[5]);
        let [g, h] = pairs(rows[6], rows[7]);
        // One column of four rows in each half.
        let ([a, b], [c, d]) = (fours(a, c), fours(b, d));
        let ([e, f], [g, h]) = (fours(e, g), fours(f, h));
        pulp::cast([
            low(a, e),
            low(b, f),
            low(c, g),
            low(d, h),
            high(a, e),
            high(b, f),
            high(c, g),
            high(d, h),
        ])
    }
}

impl<T: Float> Transposition<'_, T> {
    #[inline(always)]
    fn run(mut self, transposer: impl Transposer<T>) {
        let whole = [self.rows, self.columns].map(|count| count / SIDE * SIDE);
        // Along the lines that are farther apart, from end to end: each cache line is loaded once.
        if self.from_stride >= self.to_stride {
            for row in (0..whole[0]).step_by(SIDE) {
                for column in (0..whole[1]).step_by(SIDE) {
                    self.tile(row, column, transposer);
                }
            }
        } else {
            for column in (0..whole[1]).step_by(SIDE) {
                for row in (0..whole[0]).step_by(SIDE) {
                    self.tile(row, column, transposer);
                }
            }
        }
        // What does not fill a tile: columns behind the tiles, and rows below them.
        self.elements(0..whole[0], whole[1]..self.columns);
        self.elements(whole[0]..self.rows, 0..self.columns);
    }

    #[inline(always)]
    fn tile(&mut self, row: usize, column: usize, transposer: impl Transposer<T>) {
        let from = &self.from[row * self.from_stride + column..];
        let mut tile = [[T::zero(); SIDE]; SIDE];
        for (i, line) in tile.iter_mut().enumerate() {
            line.copy_from_slice(&from[i * self.from_stride..][..SIDE]);
        }
        let to = &mut self.to[column * self.to_stride + row..];
        for (j, line) in transposer.transposed(tile).iter().enumerate() {
            to[j * self.to_stride..][..SIDE].copy_from_slice(line);
        }
    }

    #[inline(always)]
    fn elements(&mut self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) {
        for column in columns {
            for row in rows.clone() {
                self.to[column * self.to_stride + row] = self.from[row * self.from_stride + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Transpose>(value: impl Fn(usize) -> T) {
        for (rows, columns, from_stride, to_stride) in [
            (8, 8, 8, 8),
            (16, 24, 100, 16),
            (24, 16, 17, 70),
            (11, 21, 30, 12),
            (3, 5, 5, 4),
            (0, 4, 4, 1),
        ] {
            let from: Vec<T> = (0..rows * from_stride).map(&value).collect();
            let mut to = vec![T::zero(); columns * to_stride];
            T::transpose(Transposition {
                from: &from,
                from_stride,
                to: &mut to,
                to_stride,
                rows,
                columns,
            });
            for column in 0..columns {
                for row in 0..to_stride {
                    // What lies between the lines stays as it was.
                    let expected = if row < rows {
                        from[row * from_stride + column]
                    } else {
                        T::zero()
                    };
                    let found = to[column * to_stride + row];
                    assert!(found == expected, "row {row}, column {column}");
                }
            }
        }
    }

    #[test]
    fn every_element_finds_its_place() {
        check(|index| 1.0 + index as f32);
        check(|index| 1.0 + index as f64);
    }
}
