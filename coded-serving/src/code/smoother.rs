//! Interpolants and smoothers as matrices of weights.

use nalgebra::{DMatrix, DVector};

/// Points closer than this coincide.
const MIN_DISTANCE: f64 = 1e-12;

/// The weights of Berrut's rational interpolant: row `s` gives the value at `at[s]` as a combination
/// of the values at `nodes`.
///
/// `w_j(s) = ((-1)^j / (s - t_j)) / sum_m ((-1)^m / (s - t_m))`, with the nodes numbered in the order
/// in which they are given; sorted nodes leave no pole on the real line (J.-P. Berrut, 1988). At a
/// node the weight is 1.
#[must_use]
pub fn berrut(nodes: &[f64], at: &[f64]) -> Vec<Vec<f64>> {
    at.iter()
        .map(|&s| {
            if let Some(hit) = nodes.iter().position(|&t| (s - t).abs() < MIN_DISTANCE) {
                let mut unit = vec![0.0; nodes.len()];
                unit[hit] = 1.0;
                return unit;
            }
            // The signs alternate in the order of the nodes; dividing by the sum makes the weights sum to 1.
            let mut sign = -1.0;
            let mut row: Vec<f64> = nodes
                .iter()
                .map(|&t| {
                    sign = -sign;
                    sign / (s - t)
                })
                .collect();
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|weight| *weight /= sum);
            row
        })
        .collect()
}

/// The weights of the natural cubic smoothing spline, the curve `u` that minimizes
/// `sum_j |u(t_j) - y_j|^2 + penalty * integral |u''|^2`: row `s` gives the value at `at[s]`.
///
/// A penalty of 0 interpolates; a large one approaches the least-squares line. Outside the nodes the curve
/// is linear. `nodes` may be in any order and should be distinct: if some coincide, the value is that of
/// the nearest node, and for two nodes their mean. `O(n^3)` for `n` nodes.
///
/// P. J. Green, B. W. Silverman, "Nonparametric Regression and Generalized Linear Models" (1994),
/// chapter 2.
#[must_use]
pub fn spline(nodes: &[f64], penalty: f64, at: &[f64]) -> Vec<Vec<f64>> {
    // Sort the nodes; the weights are put back into the given order at the end.
    let n = nodes.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| nodes[a].total_cmp(&nodes[b]));
    let t: Vec<f64> = order.iter().map(|&index| nodes[index]).collect();
    if n < 3 {
        return at
            .iter()
            .map(|&s| restore_order(&order, &line(&t, s)))
            .collect();
    }
    let h: Vec<f64> = t.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let by_nearest = || {
        let rows = at.iter().map(|&s| restore_order(&order, &nearest(&t, s)));
        rows.collect()
    };
    if h.iter().any(|&gap| gap < MIN_DISTANCE) {
        return by_nearest();
    }
    // The band matrices Q (n x n-2) and R (n-2 x n-2) of Green and Silverman, section 2.1.2: with values g
    // at the nodes and second derivatives gamma at the inner ones, g is a natural spline iff Q^T g = R gamma.
    let mut q = DMatrix::zeros(n, n - 2);
    let mut r = DMatrix::zeros(n - 2, n - 2);
    for j in 0..n - 2 {
        q[(j, j)] = 1.0 / h[j];
        q[(j + 1, j)] = -1.0 / h[j] - 1.0 / h[j + 1];
        q[(j + 2, j)] = 1.0 / h[j + 1];
        r[(j, j)] = (h[j] + h[j + 1]) / 3.0;
        if j + 1 < n - 2 {
            r[(j, j + 1)] = h[j + 1] / 6.0;
            r[(j + 1, j)] = h[j + 1] / 6.0;
        }
    }
    // The Reinsch equations (section 2.3.3): (R + penalty Q^T Q) gamma = Q^T y, then g = y - penalty Q gamma.
    // Solving for all unit vectors y gives gamma and g as matrices acting on y.
    let system = &r + penalty * q.transpose() * &q;
    let Some(factor) = system.cholesky() else {
        // Nodes too close to each other for double precision.
        return by_nearest();
    };
    let curvature = factor.solve(&q.transpose());
    let value = DMatrix::identity(n, n) - penalty * &q * &curvature;
    let second = |node: usize| -> DVector<f64> {
        if node == 0 || node == n - 1 {
            DVector::zeros(n)
        } else {
            curvature.row(node - 1).transpose()
        }
    };
    let first = |node: usize| -> DVector<f64> { value.row(node).transpose() };
    // Evaluate the spline from its values and second derivatives: linear with the end slopes outside the
    // nodes, and the cubic of section 2.4.1 between two nodes.
    at.iter()
        .map(|&s| {
            let weights = if s <= t[0] {
                let slope = (first(1) - first(0)) / h[0] - second(1) * (h[0] / 6.0);
                first(0) + slope * (s - t[0])
            } else if s >= t[n - 1] {
                let slope =
                    (first(n - 1) - first(n - 2)) / h[n - 2] + second(n - 2) * (h[n - 2] / 6.0);
                first(n - 1) + slope * (s - t[n - 1])
            } else {
                let i = t.partition_point(|&node| node <= s) - 1;
                let (left, right) = (s - t[i], t[i + 1] - s);
                (first(i + 1) * left + first(i) * right) / h[i]
                    - (second(i + 1) * (1.0 + left / h[i]) + second(i) * (1.0 + right / h[i]))
                        * (left * right / 6.0)
            };
            restore_order(&order, weights.as_slice())
        })
        .collect()
}

/// The line through one or two nodes.
fn line(t: &[f64], s: f64) -> Vec<f64> {
    match *t {
        [] => Vec::new(),
        [_] => vec![1.0],
        [a, b, ..] if (b - a).abs() < MIN_DISTANCE => vec![0.5; 2],
        [a, b, ..] => {
            let part = (s - a) / (b - a);
            vec![1.0 - part, part]
        }
    }
}

/// The value of the nearest node.
fn nearest(t: &[f64], s: f64) -> Vec<f64> {
    let mut weights = vec![0.0; t.len()];
    let best = (0..t.len()).min_by(|&a, &b| (t[a] - s).abs().total_cmp(&(t[b] - s).abs()));
    if let Some(best) = best {
        weights[best] = 1.0;
    }
    weights
}

/// Permutes weights of sorted nodes back to the given order.
fn restore_order(order: &[usize], sorted: &[f64]) -> Vec<f64> {
    let mut weights = vec![0.0; order.len()];
    for (&index, &weight) in order.iter().zip(sorted) {
        weights[index] = weight;
    }
    weights
}
