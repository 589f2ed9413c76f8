//! What adversaries can and cannot do.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use rand::RngCore;
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adaptive, AdaptivePoisoning, Adversary, Aim, Destination, EmdQuantile, EmdSorted, Erasure,
    HillClimb, MaxCoupling, MaximalGain, Move, Oblivious, Plant, PlantedShift, Protocol,
    RandomItem, RandomReport, Replay, RowTakeover, SameMessage, SignAlign, ThresholdWalk,
    WrongGroup, attack, inject,
};
use septet_robust_stats::decode::{Decoder, Observation, Projection};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::simulate::{central, sample_counts};
use septet_robust_stats::{Gamma, Pmf};

fn gamma(gamma: f64) -> Gamma {
    Gamma::new(gamma).unwrap()
}

fn design(symbols: usize, cells: usize) -> DesignMatrix {
    let parameters = DesignParameters::new(symbols, cells, [3; 32]).unwrap();
    DesignMatrix::from_design(&HashDesign::new(parameters).unwrap()).unwrap()
}

/// How many messages must differ, counted here on its own.
fn difference(before: &CountMatrix, after: &CountMatrix) -> u64 {
    (0..before.groups())
        .map(|group| {
            let kept: u64 = before
                .group(group)
                .iter()
                .zip(after.group(group))
                .map(|(a, b)| a.min(b))
                .sum();
            before.group_reports(group).max(after.group_reports(group)) - kept
        })
        .sum()
}

/// Every adversary on hash designs.
fn adversaries<'a>(matrix: &'a DesignMatrix, truth: &Pmf) -> Vec<(&'static str, Adversary<'a>)> {
    let symbols = matrix.symbols();
    let mut rng = SeedTree::new(8).rng();
    let shift = PlantedShift::search(matrix, truth, 0.02, 5, &mut rng).unwrap();
    let targets: Vec<usize> = (0..symbols.div_ceil(10)).collect();
    let reversed: Vec<f64> = truth.masses().iter().rev().copied().collect();
    let before = truth.clone();
    let damage = move |counts: &CountMatrix| {
        let observation = Observation::from_counts(matrix, counts).unwrap();
        let estimate = Decoder::LeastSquares(Projection::None)
            .decode(matrix, &observation, Gamma::default())
            .unwrap();
        let pairs = estimate.masses.iter().zip(before.masses());
        pairs.map(|(a, b)| (a - b).abs()).sum()
    };
    vec![
        (
            "same message",
            Adversary::Oblivious(Box::new(SameMessage {
                symbol: symbols / 2,
            })),
        ),
        (
            "random report",
            Adversary::Oblivious(Box::new(RandomReport)),
        ),
        (
            "random item",
            Adversary::Oblivious(Box::new(RandomItem {
                targets: targets.clone(),
            })),
        ),
        (
            "maximal gain",
            Adversary::Oblivious(Box::new(MaximalGain {
                targets: targets.clone(),
                best_groups: false,
            })),
        ),
        (
            "maximal gain, best groups",
            Adversary::Oblivious(Box::new(MaximalGain {
                targets,
                best_groups: true,
            })),
        ),
        (
            "adaptive poisoning",
            Adversary::Oblivious(Box::new(AdaptivePoisoning::towards(
                &Pmf::from_weights(&reversed).unwrap(),
            ))),
        ),
        (
            "sign alignment, adding",
            Adversary::Oblivious(Box::new(SignAlign::default())),
        ),
        (
            "sign alignment, replacing",
            Adversary::Adaptive(Box::new(SignAlign::default())),
        ),
        (
            "row takeover",
            Adversary::Adaptive(Box::new(RowTakeover { group: 1, cell: 0 })),
        ),
        (
            "coupling",
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth: truth.clone(),
                target: shift.target,
            })),
        ),
        (
            "erasure",
            Adversary::Adaptive(Box::new(Erasure { symbol: 0 })),
        ),
        (
            "replay",
            Adversary::Adaptive(Box::new(Replay { symbol: 0 })),
        ),
        (
            "wrong group",
            Adversary::Adaptive(Box::new(WrongGroup { symbol: 0 })),
        ),
        (
            "hill climbing",
            Adversary::Adaptive(Box::new(HillClimb {
                damage: Box::new(damage),
                steps: 30,
                start: None,
            })),
        ),
    ]
}

#[test]
fn attacks_stay_within_the_budget() {
    let mut rng = SeedTree::new(1).child("budget").rng();
    for (symbols, cells, users) in [(24, 2, 3_000), (30, 4, 501), (7, 3, 60), (16, 16, 1_000)] {
        let matrix = design(symbols, cells);
        let truth = Pmf::zipf(symbols, 1.0).unwrap();
        for fraction in [0.0, 0.003, 0.02, 0.3, 0.49] {
            for (name, mut adversary) in adversaries(&matrix, &truth) {
                let counts = sample_counts(&matrix, &truth, users, &mut rng).unwrap();
                let attacked =
                    attack(&matrix, &counts, &mut adversary, gamma(fraction), &mut rng).unwrap();
                let budget = (fraction * 1_000.0_f64).round() as u64 * users / 1_000;
                let changed = difference(&counts, &attacked.counts);
                assert!(changed <= budget, "{name}: {changed} of {budget}");
                assert_eq!(
                    (attacked.changed, attacked.budget),
                    (changed, budget),
                    "{name}"
                );
                if name == "wrong group" {
                    assert_eq!(attacked.rejected, changed);
                    assert_eq!(attacked.counts.reports(), users - changed);
                }
            }
        }
    }
}

#[test]
fn central_attacks_stay_within_the_budget() {
    let mut rng = SeedTree::new(2).child("central").rng();
    for (symbols, users) in [(2, 50), (40, 400), (300, 100)] {
        let uniform = Pmf::uniform(symbols).unwrap();
        let far = Pmf::paninski(symbols, 0.3, &mut rng).unwrap();
        let matrix = central(symbols).unwrap();
        for aim in [Aim::Hide, Aim::FalseAlarm] {
            let truth = if aim == Aim::Hide { &far } else { &uniform };
            let other = if aim == Aim::Hide { &uniform } else { &far };
            let mut adversaries = [
                Adversary::Adaptive(Box::new(EmdQuantile { aim, alpha: 0.3 })),
                Adversary::Adaptive(Box::new(EmdSorted {
                    target: other.clone(),
                })),
                Adversary::Adaptive(Box::new(ThresholdWalk {
                    aim,
                    reference: uniform.clone(),
                })),
            ];
            for fraction in [0.0, 0.02, 0.45] {
                for adversary in &mut adversaries {
                    let counts = sample_counts(&matrix, truth, users, &mut rng).unwrap();
                    let attacked =
                        attack(&matrix, &counts, adversary, gamma(fraction), &mut rng).unwrap();
                    assert_eq!(attacked.changed, difference(&counts, &attacked.counts));
                    assert!(attacked.changed <= attacked.budget);
                    assert_eq!(attacked.counts.reports(), users);
                }
            }
        }
    }
}

/// Plans more than it may, in every way.
struct Cheat(usize);

impl Adaptive for Cheat {
    fn plan(
        &mut self,
        _protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        _rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let step = |group, from, to, number| Move {
            group,
            from,
            to: Destination::Cell(to),
            number,
        };
        let first = counts.group(0)[0];
        match self.0 {
            0 => vec![step(0, 0, 1, budget + 1)],
            1 => vec![step(0, 0, 1, first), step(0, 0, 1, 1)],
            2 => vec![step(counts.groups(), 0, 1, 1)],
            3 => vec![step(0, 0, counts.cells(), 1)],
            _ => vec![step(0, counts.cells(), 0, 1)],
        }
    }
}

/// The same without knowledge.
struct BlindCheat;

impl Oblivious for BlindCheat {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        _budget: u64,
        _rng: &mut dyn RngCore,
    ) -> Vec<Plant> {
        vec![Plant {
            group: 0,
            to: Destination::Cell(0),
            number: protocol.sizes()[0] + 1,
        }]
    }
}

#[test]
fn the_harness_catches_cheats() {
    let matrix = design(8, 2);
    let mut rng = SeedTree::new(3).rng();
    let counts = sample_counts(&matrix, &Pmf::uniform(8).unwrap(), 1_600, &mut rng).unwrap();
    for way in 0..5 {
        let mut cheat = Adversary::Adaptive(Box::new(Cheat(way)));
        assert!(
            attack(&matrix, &counts, &mut cheat, gamma(0.01), &mut rng).is_err(),
            "{way}"
        );
    }
    let mut cheat = Adversary::Oblivious(Box::new(BlindCheat));
    assert!(attack(&matrix, &counts, &mut cheat, gamma(0.4), &mut rng).is_err());
}

#[test]
fn coupled_messages_follow_the_target() {
    // 100 runs, each judged by chi-squared over all cells at 1e-3; the expected false alarms are 0.1.
    let matrix = design(32, 4);
    let truth = Pmf::zipf(32, 0.5).unwrap();
    let mut rng = SeedTree::new(4).rng();
    let shift = PlantedShift::search(&matrix, &truth, 0.02, 20, &mut rng).unwrap();
    assert!(shift.shift > 0.04 && shift.cost <= 0.02, "{shift:?}");
    let law = matrix.message_distribution(shift.target.masses());
    let users = 640_000;
    let mut rejected = 0;
    let mut most = 0;
    for _ in 0..100 {
        let counts = sample_counts(&matrix, &truth, users, &mut rng).unwrap();
        let mut adversary = Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target.clone(),
        }));
        let attacked = attack(&matrix, &counts, &mut adversary, gamma(0.025), &mut rng).unwrap();
        most = most.max(attacked.changed);
        let mut chi_squared = 0.0;
        for group in 0..matrix.groups() {
            let size = attacked.counts.group_reports(group) as f64;
            let laws = &law[group * matrix.cells()..];
            for (count, law) in attacked.counts.group(group).iter().zip(laws) {
                chi_squared += (*count as f64 - size * law).powi(2) / (size * law);
            }
        }
        // 32 groups of 3 degrees of freedom: the 0.999 quantile of chi-squared with 96 is 143.3.
        assert_eq!(matrix.groups(), 32);
        rejected += u32::from(chi_squared > 143.3);
    }
    assert!(rejected <= 1, "{rejected}");
    assert!(
        most as f64 <= users as f64 * shift.cost * 1.05 + 3.0,
        "{most}"
    );
}

#[test]
fn fakes_get_their_groups_from_the_server() {
    let matrix = design(16, 2);
    let mut rng = SeedTree::new(5).rng();
    let counts = sample_counts(&matrix, &Pmf::uniform(16).unwrap(), 9_000, &mut rng).unwrap();
    let mut sybil = MaximalGain {
        targets: vec![0],
        best_groups: true,
    };
    let attacked = inject(&matrix, &counts, &mut sybil, gamma(0.1), &mut rng).unwrap();
    assert_eq!(attacked.changed, 1_000);
    assert_eq!(attacked.counts.reports(), 10_000);
    // 32 groups: each has about 31 fakes; ten standard deviations.
    for group in 0..matrix.groups() {
        let fakes = attacked.counts.group_reports(group) - counts.group_reports(group);
        assert!(fakes < 90, "{fakes}");
    }
}
