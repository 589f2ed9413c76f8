//! The search for wrong outputs of `ApproxIFER`, for comparison: it locates fewer than that of the library.

use nalgebra::{DMatrix, DVector};

/// The maximum number of coordinates of the outputs that are used.
const MAX_COORDINATES: usize = 32;

/// The indices of the `errors` outputs that fit the others worst, by algorithm 2 of `ApproxIFER`.
///
/// For each coordinate a rational function `p / q`, both of degree `queries + errors - 1`, is fitted to
/// the outputs by linear least squares: `p(t_i) = y_i q(t_i)`. Where an output is wrong, `q` has to be
/// small; the coordinates vote. The polynomials are in the Chebyshev basis, with the coefficient 1 for degree
/// 0 in `q`. `2 (queries + errors) - 1` outputs determine the fit.
pub(crate) fn locate_rational(
    nodes: &[f64],
    outputs: &[&[f32]],
    queries: usize,
    errors: usize,
) -> Vec<usize> {
    if nodes.len() != outputs.len() {
        return Vec::new();
    }
    let values = outputs.iter().map(|output| output.len()).min().unwrap_or(0);
    // Wide outputs are sampled evenly, which bounds the cost; ten classes all have a vote.
    let step = values.div_ceil(MAX_COORDINATES).max(1);
    let degrees = queries + errors;
    // The basis depends on the nodes only, and serves all coordinates.
    let basis: Vec<Vec<f64>> = nodes.iter().map(|&t| chebyshev(t, degrees)).collect();
    let mut votes = vec![0_usize; nodes.len()];
    for coordinate in (0..values).step_by(step) {
        let ys: Vec<f64> = outputs
            .iter()
            .map(|output| output[coordinate].into())
            .collect();
        // A coordinate without a fit has no vote.
        let Some(q) = denominator(&basis, &ys, degrees) else {
            continue;
        };
        for place in smallest(&q, errors) {
            votes[place] += 1;
        }
    }
    let mut places: Vec<usize> = (0..nodes.len()).collect();
    // The sort is stable: of equal votes the first index wins.
    places.sort_by_key(|&place| std::cmp::Reverse(votes[place]));
    places.truncate(errors);
    places
}

/// The absolute values of `q` at the nodes.
fn denominator(basis: &[Vec<f64>], ys: &[f64], degrees: usize) -> Option<Vec<f64>> {
    let largest = ys.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
    // The decomposition does not terminate on values that are not finite.
    if largest == 0.0 || degrees == 0 || !ys.iter().all(|y| y.is_finite()) {
        return None;
    }
    // Columns: the coefficients of p, then those of q without the first.
    let system = DMatrix::from_fn(ys.len(), 2 * degrees - 1, |row, column| {
        if column < degrees {
            basis[row][column]
        } else {
            -ys[row] / largest * basis[row][column - degrees + 1]
        }
    });
    let right = DVector::from_iterator(ys.len(), ys.iter().map(|y| y / largest));
    let solution = system.svd(true, true).solve(&right, 1e-12).ok()?;
    let q = basis.iter().map(|row| {
        let rest: f64 = (1..degrees)
            .map(|degree| row[degree] * solution[degrees + degree - 1])
            .sum();
        (1.0 + rest).abs()
    });
    Some(q.collect())
}

/// The Chebyshev polynomials of degrees below `degrees`.
fn chebyshev(t: f64, degrees: usize) -> Vec<f64> {
    let mut values = vec![1.0, t];
    for degree in 2..degrees {
        values.push(2.0 * t * values[degree - 1] - values[degree - 2]);
    }
    values.truncate(degrees);
    values
}

fn smallest(values: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    places.truncate(count);
    places
}
