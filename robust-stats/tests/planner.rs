//! Predictions of the planner against simulation.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use rand::Rng;
use septet_core::seed::SeedTree;
use septet_robust_stats::attack::{Adversary, MaxCoupling, PlantedShift, attack};
use septet_robust_stats::decode::{Decoder, Observation};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::planner::{Constraint, Feasibility, Plan, Request, Task, plan};
use septet_robust_stats::simulate::{central, sample_counts};
use septet_robust_stats::testing::{ExactPmf, IdentityTest};
use septet_robust_stats::{Epsilon, Gamma, Pmf};

fn matrix_of(plan: &Plan, symbols: usize, constraint: Constraint, seed: [u8; 32]) -> DesignMatrix {
    if constraint == Constraint::Central {
        return central(symbols).unwrap();
    }
    let mut parameters = DesignParameters::new(symbols, plan.cells, seed)
        .unwrap()
        .with_groups(plan.groups)
        .unwrap();
    if let Constraint::Private(epsilon) = constraint {
        parameters = parameters.with_epsilon(epsilon).unwrap();
    }
    DesignMatrix::from_design(&HashDesign::new(parameters).unwrap()).unwrap()
}

fn error(masses: &[f64], truth: &Pmf) -> f64 {
    let pairs = masses.iter().zip(truth.masses());
    pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

#[test]
fn predicted_errors_are_those_of_simulations() {
    let seed = SeedTree::new(11).child("plans");
    let mut rng = seed.rng();
    let mut checked = 0;
    while checked < 20 {
        // With fewer symbols the planner asks for too many users: see `expected_error`.
        let symbols = rng.random_range(48..=256_usize);
        let constraint = match rng.random_range(0..3) {
            0 => Constraint::Central,
            1 => Constraint::Bits(rng.random_range(1..=4)),
            _ => Constraint::Private(Epsilon::new(rng.random_range(0.5..4.0)).unwrap()),
        };
        let gamma = Gamma::new([0.0, 0.002, 0.01][rng.random_range(0..3)]).unwrap();
        let target = rng.random_range(0.05..0.2);
        let request = Request {
            task: Task::Learning,
            symbols,
            constraint,
            gamma,
            target,
        };
        let Feasibility::Feasible(plan) = plan(&request).unwrap() else {
            continue;
        };
        if plan.cells >= symbols && constraint != Constraint::Central {
            continue;
        }
        let truth = Pmf::uniform(symbols).unwrap();
        let matrix = matrix_of(&plan, symbols, constraint, [checked as u8; 32]);
        let runs = 6;
        let (mut clean, mut attacked_error) = (0.0, 0.0);
        for run in 0..runs {
            let mut rng = seed.index(checked).index(run).rng();
            let counts = sample_counts(&matrix, &truth, plan.users, &mut rng).unwrap();
            let decode = |counts| {
                let observation = Observation::from_counts(&matrix, counts).unwrap();
                let estimate = Decoder::default()
                    .decode(&matrix, &observation, gamma)
                    .unwrap();
                error(&estimate.masses, &truth)
            };
            clean += decode(&counts) / runs as f64;
            // The central attack moves samples from symbols that lack to symbols that have too many.
            if constraint == Constraint::Central {
                let mut walk =
                    Adversary::Adaptive(Box::new(septet_robust_stats::attack::ThresholdWalk {
                        aim: septet_robust_stats::attack::Aim::FalseAlarm,
                        reference: truth.clone(),
                    }));
                let after = attack(&matrix, &counts, &mut walk, gamma, &mut rng).unwrap();
                attacked_error += decode(&after.counts) / runs as f64;
            } else if gamma.get() > 0.0 {
                let shift = PlantedShift::search(&matrix, &truth, 0.98 * gamma.get(), 60, &mut rng)
                    .unwrap();
                let mut coupling = Adversary::Adaptive(Box::new(MaxCoupling {
                    truth: truth.clone(),
                    target: shift.target,
                }));
                let after = attack(&matrix, &counts, &mut coupling, gamma, &mut rng).unwrap();
                attacked_error += decode(&after.counts) / runs as f64;
            } else {
                attacked_error = clean;
            }
        }
        let ratios = (
            clean / plan.statistical_error,
            attacked_error / plan.predicted_error,
        );
        println!(
            "k {symbols}, {constraint:?}, gamma {}, target {target:.3}: L {}, n {}, ratios {ratios:.3?}",
            gamma.get(),
            plan.cells,
            plan.users
        );
        assert!((0.8..1.2).contains(&ratios.0), "{ratios:?}");
        assert!((0.8..1.2).contains(&ratios.1), "{ratios:?}");
        assert!(
            attacked_error <= plan.guarantee,
            "{attacked_error} {plan:?}"
        );
        checked += 1;
    }
}

#[test]
fn a_planned_test_has_its_power() {
    let seed = SeedTree::new(12).child("tests");
    for (index, (symbols, constraint, gamma, target)) in [
        (500, Constraint::Central, 0.01, 0.15),
        (2_000, Constraint::Central, 0.0, 0.2),
        (128, Constraint::Bits(2), 0.002, 0.2),
        (
            64,
            Constraint::Private(Epsilon::new(1.5).unwrap()),
            0.001,
            0.2,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed.index(index as u64);
        let gamma = Gamma::new(gamma).unwrap();
        let request = Request {
            task: Task::Testing {
                level: 0.05,
                power: 0.8,
            },
            symbols,
            constraint,
            gamma,
            target,
        };
        let Feasibility::Feasible(plan) = plan(&request).unwrap() else {
            panic!("{request:?}");
        };
        let uniform = Pmf::uniform(symbols).unwrap();
        let mut rng = seed.child("runs").rng();
        let mut rejected = [0_u32; 2];
        let runs = 60;
        for design in 0..6 {
            let matrix = matrix_of(&plan, symbols, constraint, [design; 32]);
            let sizes: Vec<u64> = (0..plan.groups)
                .map(|group| {
                    septet_robust_stats::simulate::group_size(plan.users, plan.groups, group)
                })
                .collect();
            let test = if constraint == Constraint::Central {
                let reference = ExactPmf::uniform(symbols).unwrap();
                IdentityTest::exact(reference, plan.users, 399, &seed).unwrap()
            } else {
                let mut parameters = DesignParameters::new(symbols, plan.cells, [design; 32])
                    .unwrap()
                    .with_groups(plan.groups)
                    .unwrap();
                if let Constraint::Private(epsilon) = constraint {
                    parameters = parameters.with_epsilon(epsilon).unwrap();
                }
                let design = HashDesign::new(parameters).unwrap();
                IdentityTest::distributed(&design, &uniform, sizes, 399, &seed).unwrap()
            };
            for _ in 0..runs / 6 {
                let far = Pmf::paninski(symbols, target, &mut rng).unwrap();
                for (which, truth) in [&uniform, &far].into_iter().enumerate() {
                    let counts = sample_counts(&matrix, truth, plan.users, &mut rng).unwrap();
                    // The plan pays for corrupted clients that work against it: the worst of them lower the
                    // statistic by their share, and the test takes off as much again. Honest
                    // clients of the reference are not helped by corrupted clients.
                    let liars = if which == 0 { 1.0 } else { 2.0 };
                    let taken = Gamma::new(liars * gamma.get()).unwrap();
                    let report = test.run_groups(&counts, taken, 0.05).unwrap();
                    rejected[which] += u32::from(report.robust_p_value <= 0.05);
                }
            }
        }
        println!("{constraint:?}: {plan:?} {rejected:?} of {runs}");
        assert!(rejected[0] <= 9, "{rejected:?}");
        assert!(rejected[1] >= 42, "{rejected:?}");
    }
}
