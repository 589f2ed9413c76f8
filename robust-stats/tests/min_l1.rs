//! The min-L1 decoder against a solver of linear programs.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus, SupportedConeT,
};
use rand::Rng;
use rand::seq::SliceRandom;
use septet_core::seed::SeedTree;
use septet_robust_stats::decode::{MinL1Options, min_l1};
use septet_robust_stats::design::DesignMatrix;

struct Instance {
    matrix: DesignMatrix,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

/// A random balanced design with noisy, and sometimes manipulated, frequencies.
fn instance(number: u64) -> Instance {
    let mut rng = SeedTree::new(20)
        .child("linear programs")
        .index(number)
        .rng();
    let symbols = rng.random_range(2..=64_usize);
    let cells = [2, 3, 4, 8][rng.random_range(0..4)];
    let groups = (rng.random_range(1..=4) * symbols).div_ceil(cells);
    let partitions: Vec<Vec<usize>> = (0..groups)
        .map(|_| {
            let mut ranks: Vec<usize> = (0..symbols).collect();
            ranks.shuffle(&mut rng);
            ranks.iter().map(|rank| rank % cells).collect()
        })
        .collect();
    let matrix = DesignMatrix::new(symbols, cells, groups, |group, symbol| {
        partitions[group][symbol]
    })
    .unwrap();
    let weights: Vec<f64> = (0..symbols).map(|_| -rng.random::<f64>().ln()).collect();
    let total: f64 = weights.iter().sum();
    let masses: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let mut targets = vec![0.0; groups * cells];
    matrix.cell_masses(&masses, &mut targets);
    let noise = [0.001, 0.01, 0.1][rng.random_range(0..3)];
    for group in targets.chunks_exact_mut(cells) {
        for target in &mut *group {
            *target += noise * (rng.random::<f64>() - 0.5);
        }
        if rng.random::<f64>() < 0.05 {
            group.fill(0.0);
            group[0] = 1.0;
        }
    }
    let weights: Vec<f64> = (0..groups)
        .map(|_| rng.random::<f64>() / groups as f64)
        .collect();
    Instance {
        matrix,
        targets,
        weights,
    }
}

/// The optimum by an interior point method: `min sum t` with `-t <= w (A p - b) <= t`.
fn optimum(instance: &Instance) -> f64 {
    let Instance {
        matrix,
        targets,
        weights,
    } = instance;
    // The solver's tolerances are partly absolute.
    let scale = 1e4;
    let weights: Vec<f64> = weights.iter().map(|weight| scale * weight).collect();
    let (symbols, rows) = (matrix.symbols(), targets.len());
    let columns = symbols + rows;
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    let mut bounds = Vec::new();
    let mut push = |row: usize, column: usize, value: f64| {
        i.push(row);
        j.push(column);
        v.push(value);
    };
    // One equality, then the two sides of each row, then the signs.
    bounds.push(1.0);
    for x in 0..symbols {
        push(0, x, 1.0);
    }
    for (side, sign) in [(0, 1.0), (1, -1.0)] {
        let offset = 1 + side * rows;
        for x in 0..symbols {
            for &row in matrix.rows_of(x) {
                let row = row as usize;
                push(offset + row, x, sign * weights[row / matrix.cells()]);
            }
        }
        for row in 0..rows {
            push(offset + row, symbols + row, -1.0);
            bounds.push(sign * weights[row / matrix.cells()] * targets[row]);
        }
    }
    for x in 0..symbols {
        push(1 + 2 * rows + x, x, -1.0);
        bounds.push(0.0);
    }
    let constraints = CscMatrix::new_from_triplets(bounds.len(), columns, i, j, v);
    let cost: Vec<f64> = (0..columns).map(|c| f64::from(c >= symbols)).collect();
    let cones = [
        SupportedConeT::ZeroConeT(1),
        SupportedConeT::NonnegativeConeT(2 * rows + symbols),
    ];
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .build()
        .unwrap();
    let quadratic = CscMatrix::zeros((columns, columns));
    let mut solver =
        DefaultSolver::new(&quadratic, &cost, &constraints, &bounds, &cones, settings).unwrap();
    solver.solve();
    assert!(matches!(
        solver.solution.status,
        SolverStatus::Solved | SolverStatus::AlmostSolved
    ));
    solver.solution.obj_val / scale
}

#[test]
fn the_optimum_is_that_of_a_linear_program() {
    let options = MinL1Options {
        relative_tolerance: 5e-4,
        noise_tolerance: 0.0,
        max_iterations: 200_000,
    };
    for number in 0..50 {
        let instance = instance(number);
        let solution = min_l1::minimize(
            &instance.matrix,
            &instance.targets,
            &instance.weights,
            0.0,
            &options,
        )
        .unwrap();
        let optimum = optimum(&instance);
        let label = format!(
            "instance {number}: {} symbols, {} x {}: {} after {} iterations (bound {}), optimum {optimum}",
            instance.matrix.symbols(),
            instance.matrix.groups(),
            instance.matrix.cells(),
            solution.objective,
            solution.iterations,
            solution.lower_bound,
        );
        println!("{label}");
        assert!(solution.converged, "{label}");
        assert!(solution.objective <= 1.001 * optimum + 1e-9, "{label}");
        // The gap is an upper bound on the suboptimality; the other solver's own error is below
        // 1e-6 of the objective.
        let slack = 1e-6 * optimum.abs() + 1e-9;
        assert!(
            solution.objective - optimum <= solution.gap() + slack,
            "{label}"
        );
        assert!(solution.lower_bound <= optimum + slack, "{label}");
    }
}
