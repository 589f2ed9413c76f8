//! Weights of curves: laws, an independent reference, and values of `SciPy`.

use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use septet_coded_serving::code::nodes::{Nodes, of_queries};
use septet_coded_serving::code::smoother::{berrut, spline};
use septet_coded_serving::code::{Interpolation, Slots, Smoother};

fn assert_rows_near(found: &[Vec<f64>], right: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), right.len());
    for (found, right) in found.iter().flatten().zip(right.iter().flatten()) {
        assert!((found - right).abs() <= tolerance, "{found} for {right}");
    }
}

#[test]
fn weights_of_berrut_sum_to_one_and_hit_nodes() {
    for k in 1..=64 {
        for w in 1..=64 {
            let queries = of_queries(k);
            let tasks = Nodes::Released.of_tasks(w);
            for (nodes, at) in [(&queries, &tasks), (&tasks, &queries)] {
                for row in berrut(nodes, at) {
                    assert!(row.iter().all(|weight| weight.is_finite()));
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                }
            }
        }
    }
    // The queries of two, cos(pi / 4) and cos(3 pi / 4), are tasks 1 and 3 of four.
    let rows = berrut(&of_queries(2), &Nodes::Released.of_tasks(4));
    assert_eq!(rows[1], [1.0, 0.0]);
    assert_eq!(rows[3], [0.0, 1.0]);
}

/// Signs by place among what arrived leave no pole, whatever is lost.
#[test]
fn no_pattern_of_losses_has_large_weights() {
    // Independent figures.
    for (lost, expected) in [(1, 3.4), (2, 5.8), (3, 8.94)] {
        let mut largest = 0.0_f64;
        for k in 2..=12 {
            let code = Interpolation::new(k, k + lost, lost, Smoother::Berrut);
            let Ok(code) = code else { panic!("{code:?}") };
            for pattern in patterns(k + lost, lost) {
                let arrived = Slots::below(k + lost).without(pattern);
                let Ok(weights) = code.decoding(k, arrived) else {
                    panic!("{k} {arrived:?} cannot be decoded")
                };
                let weights = weights.into_iter().flatten();
                let worst = weights.fold(0.0, |worst: f64, weight| worst.max(weight.abs()));
                largest = largest.max(worst);
            }
        }
        assert!((largest - expected).abs() < 0.06, "{lost}: {largest}");
    }
}

fn patterns(count: usize, size: usize) -> Vec<Slots> {
    let mut all = vec![Slots::EMPTY];
    for _ in 0..size {
        all = all
            .iter()
            .flat_map(|set| {
                let next = set.iter().last().map_or(0, |last| last + 1);
                (next..count).map(|slot| set.with(slot))
            })
            .collect();
    }
    all
}

/// The smoothing spline from its definition: natural cubic splines written in truncated powers, and the
/// normal equations of the penalized least squares, solved densely.
fn reference(t: &[f64], penalty: f64, at: &[f64]) -> Vec<Vec<f64>> {
    let n = t.len();
    let cube = |x: f64| x.max(0.0).powi(3);
    let scaled = |k: usize, x: f64| (cube(x - t[k]) - cube(x - t[n - 1])) / (t[n - 1] - t[k]);
    let basis = |j: usize, x: f64| match j {
        0 => 1.0,
        1 => x,
        _ => scaled(j - 2, x) - scaled(n - 2, x),
    };
    let bend_of = |k: usize, x: f64| {
        6.0 * ((x - t[k]).max(0.0) - (x - t[n - 1]).max(0.0)) / (t[n - 1] - t[k])
    };
    let bend = |j: usize, x: f64| {
        if j < 2 {
            0.0
        } else {
            bend_of(j - 2, x) - bend_of(n - 2, x)
        }
    };
    let values = DMatrix::from_fn(n, n, |i, j| basis(j, t[i]));
    // Simpson's rule is exact for the product of two lines.
    let bends = DMatrix::from_fn(n, n, |i, j| {
        t.windows(2)
            .map(|ends| {
                let product = |x| bend(i, x) * bend(j, x);
                let (a, b) = (ends[0], ends[1]);
                (b - a) / 6.0 * (product(a) + 4.0 * product(0.5 * (a + b)) + product(b))
            })
            .sum()
    });
    // For the values at the nodes instead of the coefficients: better conditioned.
    let Some(inverse) = values.try_inverse() else {
        panic!("the reference cannot be solved")
    };
    let system = DMatrix::identity(n, n) + penalty * inverse.transpose() * bends * &inverse;
    let Some(smoothed) = system.try_inverse() else {
        panic!("the reference cannot be solved")
    };
    let solution = inverse * smoothed;
    at.iter()
        .map(|&x| {
            let row = DVector::from_fn(n, |j, _| basis(j, x));
            (solution.transpose() * row).iter().copied().collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn the_spline_is_that_of_the_definition(
        gaps in prop::collection::vec(0.2..1.0_f64, 3..8),
        exponent in -6.0..1.0_f64,
        places in prop::collection::vec(-0.2..1.2_f64, 8),
    ) {
        let mut t = vec![-1.0];
        for gap in gaps {
            t.push(t[t.len() - 1] + gap);
        }
        let (first, last) = (t[0], t[t.len() - 1]);
        let at: Vec<f64> = places.iter().map(|place| first + place * (last - first)).collect();
        let penalty = 10_f64.powf(exponent);
        assert_rows_near(&spline(&t, penalty, &at), &reference(&t, penalty, &at), 1e-7);
    }

    /// The order of the nodes is that of the weights.
    #[test]
    fn nodes_may_come_in_any_order(turn in 0..7_usize, place in -1.2..1.2_f64) {
        let nodes = Nodes::Released.of_tasks(7);
        let mut turned = nodes.clone();
        turned.rotate_left(turn);
        let mut row = spline(&nodes, 1e-3, &[place])[0].clone();
        row.rotate_left(turn);
        assert_rows_near(&spline(&turned, 1e-3, &[place]), &[row], 1e-12);
    }
}

#[test]
fn without_a_penalty_it_interpolates_and_with_a_large_one_it_is_the_line() {
    let nodes = Nodes::Released.of_tasks(9);
    for (row, place) in spline(&nodes, 0.0, &nodes).into_iter().zip(0..) {
        for (weight, other) in row.into_iter().zip(0..) {
            let right = if other == place { 1.0 } else { 0.0 };
            assert!((weight - right).abs() < 1e-9);
        }
    }
    let line = |s: f64| -> Vec<f64> {
        let n = nodes.len() as f64;
        let mean = nodes.iter().sum::<f64>() / n;
        let square: f64 = nodes.iter().map(|t| (t - mean).powi(2)).sum();
        nodes
            .iter()
            .map(|t| 1.0 / n + (s - mean) * (t - mean) / square)
            .collect()
    };
    let at = [-1.5, -0.3, 0.0, 0.8, 1.4];
    assert_rows_near(&spline(&nodes, 1e9, &at), &at.map(line), 1e-6);
    // One and two nodes: a constant and a line.
    assert_eq!(spline(&[0.5], 1.0, &[3.0]), [[1.0]]);
    assert_rows_near(
        &spline(&[0.0, 2.0], 1.0, &[0.5]),
        &[vec![0.75, 0.25]],
        1e-12,
    );
}

/// `scipy.interpolate.make_smoothing_spline` of `SciPy` 1.17.1, interior points.
#[test]
fn the_spline_is_that_of_scipy() {
    let mut nodes = of_queries(6);
    nodes.reverse();
    let at = [0.9, 0.3, -0.05, -0.8];
    let unit = 1e-6;
    let expected = [
        [
            0.0010899371954955933,
            -0.003705873853303887,
            0.010288425395201152,
            -0.04189695789153658,
            0.3363168429953143,
            0.6979076263586297,
        ],
        [
            -0.005636394437165397,
            0.019164195158995558,
            -0.0532369755557589,
            0.9658160825493419,
            0.10439259684313164,
            -0.030499504558544607,
        ],
        [
            0.057276546133811855,
            -0.19475899219437598,
            0.7529761764309427,
            0.493253518523698,
            -0.1540552690529644,
            0.045308020158888206,
        ],
        [
            0.2838937184946454,
            0.7702971313173763,
            -0.06633587577070817,
            0.01628587500204459,
            -0.005866145173815969,
            0.0017252961304575955,
        ],
    ];
    assert_rows_near(&spline(&nodes, unit, &at), &expected.map(Vec::from), 1e-9);

    let nodes = [-1.0, -0.7, -0.1, 0.2, 0.25, 0.9];
    let values = [0.3, -1.0, 2.0, 0.5, 0.0, 1.5];
    let at = [-0.99, -0.4, 0.0, 0.22, 0.6];
    for (penalty, expected) in [
        (
            1e-8,
            [
                0.23381125472984962,
                0.4591571785623644,
                1.867932039950243,
                0.29693096122589147,
                -0.5667833808821942,
            ],
        ),
        (
            1e-4,
            [
                0.21946166195742067,
                0.5536471849353056,
                1.7259470619721577,
                0.2911900938590521,
                -0.17282904549259576,
            ],
        ),
        (
            1e-2,
            [
                -0.1002742835014608,
                0.41618889944845894,
                0.8842781152058263,
                0.6425138680776293,
                0.8150252054889974,
            ],
        ),
    ] {
        for (row, right) in spline(&nodes, penalty, &at).into_iter().zip(expected) {
            let found: f64 = row
                .iter()
                .zip(values)
                .map(|(weight, value)| weight * value)
                .sum();
            assert!((found - right).abs() < 1e-9, "{found} for {right}");
        }
    }
}

/// Nodes that coincide determine no curve: weights are still finite, and give a constant back.
#[test]
fn nodes_that_coincide_leave_finite_weights() {
    for nodes in [
        vec![0.3, 0.3],
        vec![0.3, 0.3, 0.9],
        vec![0.1, 0.1, 0.1, 0.1],
    ] {
        for penalty in [0.0, 1e-3] {
            for row in spline(&nodes, penalty, &[-1.0, 0.3, 0.5]) {
                assert_eq!(row.len(), nodes.len());
                let sum: f64 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{nodes:?} {penalty}: {row:?}");
            }
        }
    }
    assert_eq!(spline(&[0.3, 0.3], 0.0, &[0.7]), [[0.5, 0.5]]);
}

#[test]
fn weights_of_impossible_groups_are_refused() {
    for smoother in [Smoother::Berrut, Smoother::SPLINE] {
        let Ok(code) = Interpolation::new(4, 6, 1, smoother) else {
            panic!("the code is possible")
        };
        for queries in [0, 5, usize::MAX] {
            assert!(code.encoding(queries).is_err());
            assert!(code.decoding(queries, Slots::below(5)).is_err());
        }
        assert!(code.decoding(4, Slots::EMPTY).is_err());
        assert!(code.decoding(4, Slots::below(7)).is_err());
        // Three queries have five tasks.
        assert!(code.decoding(3, Slots::below(6)).is_err());
        assert_eq!(code.encoding(3).map(|rows| rows.len()), Ok(5));
        assert_eq!(
            code.decoding(3, Slots::below(4)).map(|rows| rows.len()),
            Ok(3)
        );
    }
}
