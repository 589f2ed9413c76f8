//! Invertible maps.

use std::fmt;

use super::{Batch, NetworkError};

/// An invertible map of `R^d` onto itself.
pub trait Bijection: Send + Sync + fmt::Debug {
    /// The dimension `d`.
    fn width(&self) -> usize;

    /// Maps a batch to its latents.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    fn forward(&self, x: &Batch) -> Result<Batch, NetworkError>;

    /// Maps latents back to inputs.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`]; [`NetworkError::NotConverged`] where the inverse is an iteration.
    fn inverse(&self, latents: &Batch) -> Result<Batch, NetworkError>;

    /// Upper bounds of the Lipschitz constants of the map and of its inverse. Computed at every call, by
    /// matrix products.
    fn lipschitz_bounds(&self) -> (f64, f64);

    /// Multiply-adds of the forward map for one example.
    fn operations(&self) -> u64;

    /// Multiply-adds of the inverse for one example; the maximum, where it is an iteration.
    fn inverse_operations(&self) -> u64;
}

/// The number of squarings in [`spectral_bound`].
const SQUARINGS: i32 = 9;

/// An upper bound of the largest singular value `sigma` of a matrix, less than 0.7 % too large for up to
/// 1000 rows or columns.
///
/// The `2^p`th power of the smaller of `W^T W` and `W W^T` has the spectral norm `sigma^(2^(p + 1))`. Its
/// Frobenius norm is at most the square root of its size larger, a factor that the root of order
/// `2^(p + 1)` brings close to 1.
pub(super) fn spectral_bound(matrix: &nalgebra::DMatrix<f32>) -> f64 {
    let matrix = matrix.map(f64::from);
    let mut power = if matrix.nrows() < matrix.ncols() {
        &matrix * matrix.transpose()
    } else {
        matrix.tr_mul(&matrix)
    };
    // Each power is normalized to avoid overflow; the logarithm of sigma^2 collects the factors.
    let mut logarithm = 0.0;
    for squaring in 0..=SQUARINGS {
        let norm = power.norm();
        if norm == 0.0 {
            return 0.0;
        }
        logarithm += norm.ln() / f64::from(1 << squaring);
        if squaring < SQUARINGS {
            power /= norm;
            power = &power * &power;
        }
    }
    // A margin for rounding errors, which are far below 1e-9.
    (0.5 * logarithm).exp() * (1.0 + 1e-9)
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    #[test]
    fn no_singular_value_exceeds_the_bound() {
        // The last two have equal largest values, which iterations cannot tell apart.
        for matrix in [
            DMatrix::from_fn(20, 30, |i, j| ((i * 31 + j * 17) as f32 * 0.37).sin()),
            DMatrix::from_fn(40, 3, |i, j| (i as f32 - 7.0 * j as f32) * 1e-4),
            DMatrix::from_element(5, 5, 1e6),
            DMatrix::identity(50, 50),
            DMatrix::from_diagonal(&nalgebra::DVector::from_fn(60, |i, _| {
                if i < 40 { 0.5 } else { 0.4999 }
            })),
        ] {
            let largest = f64::from(matrix.clone().singular_values()[0]);
            let bound = spectral_bound(&matrix);
            assert!(bound >= largest * (1.0 - 1e-6), "{bound} for {largest}");
            assert!(bound <= largest * 1.007, "{bound} for {largest}");
        }
        assert_eq!(spectral_bound(&DMatrix::zeros(3, 4)), 0.0);
    }
}
