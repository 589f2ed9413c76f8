//! Matrix products on slices, on the calling thread.

use gemm::Parallelism;

use super::values::Float;

/// A matrix that is a view of a slice: element `(i, j)` is at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a, T: Float> Matrix<'a, T> {
    /// The first `rows * columns` values, row after row.
    pub(super) fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        Self {
            values: &values[..rows * columns],
            rows,
            columns,
            row: columns,
            column: 1,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
        }
    }
}

/// `out = a b`, or `out += a b`; `out` holds the product row after row.
///
/// # Panics
/// When the inner dimensions differ or `out` has another size: the callers checked their shapes.
pub(super) fn multiply<T: Float>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    accumulate: bool,
) {
    assert_eq!(a.columns, b.rows, "inner dimensions");
    assert_eq!(out.len(), a.rows * b.columns, "size of the product");
    if out.is_empty() {
        return;
    }
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers; it is five times as fast as loops"
    )]
    // SAFETY: each view covers rows * columns values of its slice, `out` has exactly the size of
    // the product and is borrowed mutably, so that it overlaps neither. T is f32 or f64, for
    // which gemm is defined.
    unsafe {
        // dst = alpha dst + beta lhs rhs, where dst is read only when accumulating; strides are
        // given as column, then row.
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn the_product_is_that_of_the_definition(
            (m, k, n) in (1..20_usize, 0..20_usize, 1..20_usize),
            a_transposed: bool,
            b_transposed: bool,
            accumulate: bool,
        ) {
            let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.7).sin()).collect();
            let b: Vec<f64> = (0..k * n).map(|i| (i as f64 * 1.3).cos()).collect();
            let view = |values, rows, columns, transposed| {
                if transposed {
                    Matrix::new(values, columns, rows).transposed()
                } else {
                    Matrix::new(values, rows, columns)
                }
            };
            let (left, right) = (view(&a, m, k, a_transposed), view(&b, k, n, b_transposed));
            let mut out = vec![0.5; m * n];
            multiply(left, right, &mut out, accumulate);
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k)
                        .map(|l| {
                            left.values[i * left.row + l * left.column]
                                * right.values[l * right.row + j * right.column]
                        })
                        .sum();
                    let expected = sum + if accumulate { 0.5 } else { 0.0 };
                    prop_assert!((out[i * n + j] - expected).abs() < 1e-12);
                }
            }
        }
    }
}
