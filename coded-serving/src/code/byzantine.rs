//! Locating wrong outputs among points of a smooth curve.

use nalgebra::DMatrix;

/// The indices of the `errors` outputs that fit the others worst.
///
/// `curves` has one row per output and one column per query: the weights with which the task of that output
/// was encoded. The outputs of a linear model lie in the span of its columns. All coordinates are fitted by
/// least squares, the output with the largest studentized residual is removed, and the rest is fitted
/// again. One QR decomposition per removed output.
///
/// With twice as many outputs as queries, on a network and different images, it finds errors of three times
/// the spread of the outputs; errors of the same size as the spread it finds in half of the cases, where
/// the search of `ApproxIFER` (algorithm 2) finds a seventh (`reproduce-coded-serving`, claim Q5).
#[must_use]
pub fn locate(curves: &[Vec<f64>], outputs: &[&[f32]], errors: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..outputs.len().min(curves.len())).collect();
    let mut wrong = Vec::with_capacity(errors);
    while wrong.len() < errors && !left.is_empty() {
        let Some(worst) = worst_fit(curves, outputs, &left) else {
            break;
        };
        wrong.push(left.remove(worst));
    }
    wrong
}

/// The index in `left` of the output with the largest studentized residual.
fn worst_fit(curves: &[Vec<f64>], outputs: &[&[f32]], left: &[usize]) -> Option<usize> {
    let columns = curves[left[0]].len();
    let values = left.iter().map(|&index| outputs[index].len()).min()?;
    let design = DMatrix::from_fn(left.len(), columns, |row, column| {
        curves[left[row]].get(column).copied().unwrap_or(0.0)
    });
    let observed = DMatrix::from_fn(left.len(), values, |row, column| {
        f64::from(outputs[left[row]][column])
    });
    // Residuals of the projection onto the column space: (I - Q Q^T) y, for all coordinates at once.
    let basis = design.qr().q();
    let residual = &observed - &basis * basis.tr_mul(&observed);
    let score = |row: usize| {
        // An output pulls the fit towards itself by its leverage, the diagonal entry of Q Q^T.
        let free = 1.0 - basis.row(row).norm_squared();
        if free < 1e-9 {
            // The fit goes through this output, whatever it is.
            0.0
        } else {
            residual.row(row).norm_squared() / free
        }
    };
    (0..left.len()).max_by(|&a, &b| score(a).total_cmp(&score(b)))
}
