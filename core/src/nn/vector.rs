//! Loops for the widest vector instructions of the processor.

use super::operation::Float;

/// How a kernel multiplies and adds: with one rounding where the processor has an instruction for it,
/// with two elsewhere.
///
/// A constant of each version of a kernel, so that [`Self::multiply_add`] is one or two instructions
/// without a branch.
#[derive(Clone, Copy)]
pub(super) struct Arithmetic {
    fused: bool,
}

impl Arithmetic {
    /// One rounding. Outside of [`vectorized`] it may be a call of the C library.
    #[cfg(test)]
    pub(super) const FUSED: Self = Self { fused: true };
    /// Two roundings.
    #[cfg(test)]
    pub(super) const SEPARATE: Self = Self { fused: false };

    /// `a * b + c`.
    #[inline(always)]
    pub(super) fn multiply_add(self, a: f32, b: f32, c: f32) -> f32 {
        if self.fused {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }

    /// Whether [`Self::multiply_add`] rounds once.
    #[inline(always)]
    pub(super) fn is_fused(self) -> bool {
        self.fused
    }
}

/// Runs a kernel as compiled for the widest vector instructions that the processor has. The kernel
/// and all that it calls in its inner loops must be `#[inline(always)]`: what is not inlined is
/// compiled for the oldest processor. Numbers that the inner loops use have to be moved into the kernel
/// or copied at its start: behind a reference the compiler must expect them to change, and does not
/// vectorize.
///
/// Rust neither reorders floating-point operations nor fuses them by itself. A kernel gives the same
/// bits on all processors that agree in the [`Arithmetic`], and on all processors if it does not use it.
#[inline(always)]
pub(super) fn vectorized<R>(kernel: impl FnOnce(Arithmetic) -> R) -> R {
    pulp::Arch::new().dispatch(Kernel(kernel))
}

struct Kernel<F>(F);

impl<R, F: FnOnce(Arithmetic) -> R> pulp::WithSimd for Kernel<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _instructions: S) -> R {
        // Vector instructions of these families include the fused one.
        let has_fused = cfg!(any(
            target_arch = "x86",
            target_arch = "x86_64",
            target_arch = "aarch64"
        ));
        (self.0)(Arithmetic {
            fused: has_fused && !S::IS_SCALAR,
        })
    }
}

/// Numbers of a block: what the first level of the cache holds for a handful of operands.
const BLOCK: usize = 512;

/// Applies a function to the elements of `inputs` position by position, and returns its results as
/// vectors. All inputs must have the length of the first.
///
/// Results pass through a block on the stack: the vectors are written once, never cleared before.
#[inline(always)]
pub(super) fn map<T: Float, const I: usize, const O: usize>(
    inputs: [&[T]; I],
    function: impl Fn(Arithmetic, [T; I]) -> [T; O],
) -> [Vec<T>; O] {
    let count = inputs[0].len();
    debug_assert!(inputs.iter().all(|input| input.len() == count));
    vectorized(
        #[inline(always)]
        move |arithmetic| {
            let mut results: [Vec<T>; O] = std::array::from_fn(|_| Vec::with_capacity(count));
            let mut block = [[T::zero(); BLOCK]; O];
            // Blocks are arrays: a loop of constant length vectorizes without a remainder.
            let parts = inputs.map(|input| input.as_chunks::<BLOCK>());
            for position in 0..parts[0].0.len() {
                apply(
                    parts.map(|(full, _)| &full[position]),
                    BLOCK,
                    arithmetic,
                    &function,
                    &mut block,
                );
                for (result, block) in results.iter_mut().zip(&block) {
                    result.extend_from_slice(block);
                }
            }
            // The last block is filled up with zeros, and its first results are kept.
            let length = count % BLOCK;
            if length > 0 {
                let padded = parts.map(|(_, rest)| {
                    let mut padded = [T::zero(); BLOCK];
                    padded[..length].copy_from_slice(rest);
                    padded
                });
                apply(padded.each_ref(), length, arithmetic, &function, &mut block);
                for (result, block) in results.iter_mut().zip(&block) {
                    result.extend_from_slice(&block[..length]);
                }
            }
            results
        },
    )
}

#[inline(always)]
fn apply<T: Float, const I: usize, const O: usize>(
    inputs: [&[T; BLOCK]; I],
    length: usize,
    arithmetic: Arithmetic,
    function: &impl Fn(Arithmetic, [T; I]) -> [T; O],
    results: &mut [[T; BLOCK]; O],
) {
    for i in 0..length.min(BLOCK) {
        let values = function(
            arithmetic,
            inputs.map(
                #[inline(always)]
                |input| input[i],
            ),
        );
        for (result, value) in results.iter_mut().zip(values) {
            result[i] = value;
        }
    }
}

/// Partial sums that a vector holds.
const LANES: usize = 32;

/// The sum of a function over a row, in partial sums of at most 16 terms each that are added pairwise
/// and then in f64. The order depends on the length alone.
#[inline(always)]
pub(super) fn sum<T: Float>(row: &[T], term: impl Fn(T) -> T) -> f64 {
    sum_of_pairs(
        row,
        row,
        #[inline(always)]
        |x, _| term(x),
    )
}

/// As [`sum`], of a function of two rows of the same length.
#[inline(always)]
pub(super) fn sum_of_pairs<T: Float>(a: &[T], b: &[T], term: impl Fn(T, T) -> T) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(16 * LANES).zip(b.chunks(16 * LANES)) {
        // At most 16 terms for each lane: few enough for the precision of the type.
        let mut lanes = [T::zero(); LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (&a, &b) in a.iter().zip(b) {
            // By value and without indices: at opt-level 3 an indexed loop is unrolled before it is
            // vectorized, and takes four times as long.
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += term(a, b);
            }
        }
        // What does not fill the lanes is added to the first ones.
        for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
            *lane += term(a, b);
        }
        // 32 lanes become 8, and these one in a tree of fixed order.
        let mut eighths = [T::zero(); 8];
        for part in lanes.as_chunks::<8>().0 {
            for i in 0..8 {
                eighths[i] += part[i];
            }
        }
        let [a, b, c, d, e, f, g, h] = eighths;
        total += (((a + e) + (c + g)) + ((b + f) + (d + h))).to_f64();
    }
    total
}

/// The sums of two functions of three rows of the same length, in partial sums of at most 32 terms each
/// that are added in f64. The order depends on the length alone.
#[inline(always)]
pub(super) fn two_sums<T: Float>(
    [a, b, c]: [&[T]; 3],
    terms: impl Fn(T, T, T) -> (T, T),
) -> (f64, f64) {
    /// Two sums of 16 lanes: the registers of a processor hold both.
    const LANES: usize = 16;
    const BLOCK: usize = 32 * LANES;
    let mut totals = (0.0, 0.0);
    for ((a, b), c) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(c.chunks(BLOCK)) {
        let (mut first, mut second) = ([T::zero(); LANES], [T::zero(); LANES]);
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let (c, c_rest) = c.as_chunks::<LANES>();
        for ((&a, &b), &c) in a.iter().zip(b).zip(c) {
            // By value and without indices, as in `sum_of_pairs`.
            let lanes = first.iter_mut().zip(&mut second);
            for ((lanes, (a, b)), c) in lanes.zip(a.into_iter().zip(b)).zip(c) {
                let terms = terms(a, b, c);
                *lanes.0 += terms.0;
                *lanes.1 += terms.1;
            }
        }
        // What does not fill the lanes is added to the first ones.
        let lanes = first.iter_mut().zip(&mut second);
        for ((lanes, (&a, &b)), &c) in lanes.zip(a_rest.iter().zip(b_rest)).zip(c_rest) {
            let terms = terms(a, b, c);
            *lanes.0 += terms.0;
            *lanes.1 += terms.1;
        }
        for (first, second) in first.into_iter().zip(second) {
            totals.0 += first.to_f64();
            totals.1 += second.to_f64();
        }
    }
    totals
}

/// The largest element of a row, negative infinity of an empty one. NaN is passed over.
#[inline(always)]
pub(super) fn maximum<T: Float>(row: &[T]) -> T {
    const WIDTH: usize = 16;
    let mut lanes = [T::NEGATIVE_INFINITY; WIDTH];
    for chunk in row.as_chunks::<WIDTH>().0 {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    // The last full vector of the row covers what remains; its beginning counts twice.
    if let Some(last) = row.last_chunk::<WIDTH>() {
        for (lane, &x) in lanes.iter_mut().zip(last) {
            *lane = larger(*lane, x);
        }
    } else {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            *lane = larger(*lane, x);
        }
    }
    // The upper half onto the lower one until one lane is left.
    let mut half = WIDTH / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = larger(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The larger of both, the first where the second is NaN: one instruction, other than `f32::max`.
#[inline(always)]
fn larger<T: Float>(first: T, second: T) -> T {
    if second > first { second } else { first }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn map_covers_every_length() {
        for length in [0, 1, 15, 511, 512, 513, 1024, 1500] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let b: Vec<f32> = a.iter().map(|x| 2.0 * x).collect();
            let [sums, products] = map([&a, &b], |_, [a, b]| [a + b, a * b]);
            assert_eq!(sums.len(), length);
            assert_eq!(products.len(), length);
            for (i, x) in a.iter().enumerate() {
                assert_eq!((sums[i], products[i]), (3.0 * x, 2.0 * x * x));
            }
        }
    }

    proptest! {
        #[test]
        fn reductions_are_those_of_a_plain_loop(
            row in proptest::collection::vec(-1e3f32..1e3, 0..2_000),
        ) {
            let exact: f64 = row.iter().map(|&x| f64::from(x)).sum();
            let size: f64 = row.iter().map(|&x| f64::from(x.abs())).sum();
            let found = sum(&row, |x| x);
            prop_assert!((found - exact).abs() <= 36.0 * f64::from(f32::EPSILON) * size);
            let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let found = sum_of_pairs(&row, &row, |x, y| x * y);
            prop_assert!((found - squares).abs() <= 36.0 * f64::from(f32::EPSILON) * squares);
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            prop_assert_eq!(maximum(&row), largest);
        }
    }
}
