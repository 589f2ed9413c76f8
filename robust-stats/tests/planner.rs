//! Predictions of the planner against simulation.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use rand::Rng;
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adversary, Aim, MaxCoupling, PlantedShift, SignAlign, ThresholdWalk, attack,
};
use septet_robust_stats::decode::{Decoder, Observation};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::planner::{Constraint, Feasibility, Plan, Request, Task, plan};
use septet_robust_stats::simulate::{central, sample_counts};
use septet_robust_stats::testing::{ExactPmf, IdentityTest};
use septet_robust_stats::{Epsilon, Gamma, Pmf};

fn parameters(
    plan: &Plan,
    symbols: usize,
    constraint: Constraint,
    seed: [u8; 32],
) -> DesignParameters {
    let parameters = DesignParameters::new(symbols, plan.cells, seed)
        .unwrap()
        .with_groups(plan.groups)
        .unwrap();
    match constraint {
        Constraint::Private(epsilon) => parameters.with_epsilon(epsilon).unwrap(),
        Constraint::Central | Constraint::Bits(_) => parameters,
    }
}

fn matrix_of(plan: &Plan, symbols: usize, constraint: Constraint, seed: [u8; 32]) -> DesignMatrix {
    if constraint == Constraint::Central {
        return central(symbols).unwrap();
    }
    let design = HashDesign::new(parameters(plan, symbols, constraint, seed)).unwrap();
    DesignMatrix::from_design(&design).unwrap()
}

/// A design that meets what the plan requires.
fn drawn(plan: &Plan, symbols: usize, constraint: Constraint, seed: [u8; 32]) -> DesignMatrix {
    if constraint == Constraint::Central {
        return central(symbols).unwrap();
    }
    let drawn = parameters(plan, symbols, constraint, seed)
        .drawn_with(plan.kept.unwrap())
        .unwrap();
    let design = HashDesign::new(drawn.parameters).unwrap();
    DesignMatrix::from_design(&design).unwrap()
}

/// The total variation between the min-L1 estimate and the truth.
fn decoded_error(matrix: &DesignMatrix, counts: &CountMatrix, truth: &Pmf) -> f64 {
    let observation = Observation::from_counts(matrix, counts).unwrap();
    let decoder = Decoder::default();
    let estimate = decoder
        .decode(matrix, &observation, Gamma::default())
        .unwrap();
    error(&estimate.masses, truth)
}

fn feasible(request: &Request) -> Option<Plan> {
    match plan(request).unwrap() {
        Feasibility::Feasible(plan) => Some(plan),
        Feasibility::Infeasible { .. } => None,
    }
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
    while checked < 24 {
        // As many small domains as large ones.
        let symbols = rng.random_range(2.0..8.0_f64).exp2() as usize;
        let constraint = match rng.random_range(0..3) {
            0 => Constraint::Central,
            1 => Constraint::Bits(rng.random_range(1..=4)),
            _ => Constraint::Private(Epsilon::new(rng.random_range(0.5..4.0)).unwrap()),
        };
        let gamma = Gamma::new([0.0, 0.002, 0.01][rng.random_range(0..3)]).unwrap();
        let request = Request {
            task: Task::Learning,
            symbols,
            constraint,
            gamma,
            target: rng.random_range(0.05..0.2),
        };
        let Some(plan) = feasible(&request) else {
            continue;
        };
        if plan.cells >= symbols && constraint != Constraint::Central {
            continue;
        }
        let seed = seed.index(checked);
        let ratios = simulated_ratios(&plan, &request, &seed);
        println!(
            "{request:?}: L {}, n {}, ratios {ratios:.3?}",
            plan.cells, plan.users
        );
        assert!((0.8..1.2).contains(&ratios.0), "{ratios:?}");
        assert!((0.8..1.2).contains(&ratios.1), "{ratios:?}");
        checked += 1;
    }
}

/// The mean error of honest reports, and that of the worst design under the coupling attack, relative to
/// the predictions.
fn simulated_ratios(plan: &Plan, request: &Request, seed: &SeedTree) -> (f64, f64) {
    let Request {
        symbols,
        constraint,
        gamma,
        ..
    } = *request;
    let truth = Pmf::uniform(symbols).unwrap();
    // Designs of more symbols hardly differ, and take long to certify.
    let designs = if symbols <= 64 { 4 } else { 1 };
    let runs = (1_000 / symbols).max(8) / designs;
    let (mut honest, mut worst) = (0.0, 0.0_f64);
    for number in 0..designs {
        let key = [16 + number as u8; 32];
        let matrix = if symbols <= 64 {
            drawn(plan, symbols, constraint, key)
        } else {
            matrix_of(plan, symbols, constraint, key)
        };
        let mut rng = seed.index(number as u64).rng();
        // The central attack moves samples from symbols that lack to symbols that have too many.
        let mut adversary = if constraint == Constraint::Central {
            Adversary::Adaptive(Box::new(ThresholdWalk {
                aim: Aim::FalseAlarm,
                reference: truth.clone(),
            }))
        } else {
            let reach = 0.99 * gamma.get();
            let shift = PlantedShift::search(&matrix, &truth, reach, 60, &mut rng).unwrap();
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth: truth.clone(),
                target: shift.target,
            }))
        };
        let mut attacked = 0.0;
        for _ in 0..runs {
            let counts = sample_counts(&matrix, &truth, plan.users, &mut rng).unwrap();
            honest += decoded_error(&matrix, &counts, &truth) / (runs * designs) as f64;
            let after = attack(&matrix, &counts, &mut adversary, gamma, &mut rng).unwrap();
            attacked += decoded_error(&matrix, &after.counts, &truth) / runs as f64;
        }
        worst = worst.max(attacked);
    }
    (
        honest / plan.statistical_error,
        worst / plan.predicted_error,
    )
}

/// The worst of several designs and attacks relative to the plan: the shift, the mean error under
/// an undetectable attack, that under any, and the largest error.
fn worst_ratios(plan: &Plan, request: &Request, designs: u8, seed: &SeedTree) -> [f64; 4] {
    let Request {
        symbols,
        constraint,
        gamma,
        ..
    } = *request;
    let mut ratios = [0.0_f64; 4];
    let mut raise = |index: usize, value: f64| ratios[index] = ratios[index].max(value);
    let runs = (400 / symbols).clamp(4, 40);
    for number in 0..designs {
        let matrix = drawn(plan, symbols, constraint, [64 + number; 32]);
        for (truth, is_uniform) in [
            (Pmf::uniform(symbols).unwrap(), true),
            (Pmf::zipf(symbols, 1.0).unwrap(), false),
        ] {
            let seed = seed.index(u64::from(number)).index(u64::from(is_uniform));
            let mut rng = seed.rng();
            for which in 0..3 {
                let reach = [1.0, 1.8, 0.0][which] * gamma.get();
                let mut adversary = if which < 2 {
                    let shift = PlantedShift::search(&matrix, &truth, reach, 60, &mut rng).unwrap();
                    if which == 0 && is_uniform {
                        raise(0, shift.shift / plan.manipulation_floor);
                    }
                    Adversary::Adaptive(Box::new(MaxCoupling {
                        truth: truth.clone(),
                        target: shift.target,
                    }))
                } else {
                    Adversary::Adaptive(Box::new(SignAlign {
                        rounds: 6,
                        restarts: 1,
                    }))
                };
                let mut mean = 0.0;
                for _ in 0..runs {
                    let counts = sample_counts(&matrix, &truth, plan.users, &mut rng).unwrap();
                    let after = attack(&matrix, &counts, &mut adversary, gamma, &mut rng).unwrap();
                    let error = decoded_error(&matrix, &after.counts, &truth);
                    mean += error / runs as f64;
                    raise(3, error / plan.guarantee.unwrap());
                }
                if is_uniform {
                    raise(2, mean / plan.predicted_error);
                    if which == 0 {
                        raise(1, mean / plan.predicted_error);
                    }
                }
            }
        }
    }
    ratios
}

#[test]
fn no_attack_on_few_symbols_exceeds_a_plan() {
    let seed = SeedTree::new(13).child("small domains");
    for (index, (symbols, bits)) in [
        (8, 2),
        (12, 1),
        (12, 2),
        (14, 1),
        (16, 1),
        (16, 3),
        (20, 1),
        (20, 2),
        (24, 3),
        (32, 1),
        (48, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let gamma = [0.005, 0.01, 0.02][index % 3];
        let request = Request {
            task: Task::Learning,
            symbols,
            constraint: Constraint::Bits(bits),
            gamma: Gamma::new(gamma).unwrap(),
            target: 1e-6,
        };
        // A target near the floor.
        let Feasibility::Infeasible {
            manipulation_floor: floor,
        } = plan(&request).unwrap()
        else {
            panic!("{request:?}");
        };
        let request = Request {
            target: 1.2 * floor,
            ..request
        };
        let plan = feasible(&request).unwrap();
        let ratios = worst_ratios(&plan, &request, 4, &seed.index(index as u64));
        println!(
            "{symbols}x{} gamma {gamma}, n {}: floor {floor:.4}, predicted {:.4}, guarantee {:.4}: \
             ratios {ratios:.3?}",
            plan.cells,
            plan.users,
            plan.predicted_error,
            plan.guarantee.unwrap(),
        );
        // The search for shifts starts from other signs; the largest of four means of 8 runs or more has
        // noise.
        let [floor, undetectable, any, largest] = ratios;
        assert!((0.75..=1.02).contains(&floor), "{ratios:?}");
        assert!((0.8..=1.2).contains(&undetectable), "{ratios:?}");
        assert!(any <= 1.3, "{ratios:?}");
        assert!(largest <= 1.0, "{ratios:?}");
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
                let parameters = parameters(&plan, symbols, constraint, [design; 32]);
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
