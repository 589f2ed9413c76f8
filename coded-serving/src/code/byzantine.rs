//! Finding outputs that are wrong, among points of a smooth curve.

use nalgebra::DMatrix;

/// The places of the `errors` outputs that fit least to the others.
///
/// `curves` has a row for each output and a column for each query: the weights with which that output's
/// task was made. What the outputs would be if the model were linear lies in its columns' span. All
/// coordinates are fitted by least squares; the output with the largest residual, for its leverage, is
/// dropped, and the rest fitted again.
///
/// With twice as many outputs as queries, and outputs of a network for different images, it finds what is
/// three times as far off as outputs differ; what is off by as much as they differ it finds in half of the
/// cases, the search of `ApproxIFER` (its algorithm 2) in a seventh (`reproduce-coded-serving`, claim Q5).
#[must_use]
pub fn locate(curves: &[Vec<f64>], outputs: &[&[f32]], errors: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..outputs.len().min(curves.len())).collect();
    let mut wrong = Vec::with_capacity(errors);
    while wrong.len() < errors && !left.is_empty() {
        let Some(place) = farthest(curves, outputs, &left) else {
            break;
        };
        wrong.push(left.remove(place));
    }
    wrong
}

/// The place in `left` of the output with the largest studentised residual.
fn farthest(curves: &[Vec<f64>], outputs: &[&[f32]], left: &[usize]) -> Option<usize> {
    let columns = curves[left[0]].len();
    let values = left.iter().map(|&place| outputs[place].len()).min()?;
    let design = DMatrix::from_fn(left.len(), columns, |row, column| {
        curves[left[row]].get(column).copied().unwrap_or(0.0)
    });
    let observed = DMatrix::from_fn(left.len(), values, |row, column| {
        f64::from(outputs[left[row]][column])
    });
    let basis = design.qr().q();
    let residual = &observed - &basis * basis.tr_mul(&observed);
    let score = |row: usize| {
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
