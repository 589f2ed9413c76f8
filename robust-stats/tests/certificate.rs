//! What designs keep of distances: the proof against an exact computation, a search, and attacks.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus, SupportedConeT,
};
use rand::Rng;
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adversary, Erasure, MaxCoupling, MaximalGain, PlantedShift, RandomReport, SameMessage,
    SignAlign, WrongGroup, attack,
};
use septet_robust_stats::decode::{Decoder, Estimate, Observation};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::simulate::{group_size, sample_counts};
use septet_robust_stats::{Gamma, Pmf};

fn parameters(symbols: usize, cells: usize, number: u64) -> DesignParameters {
    let mut seed = [0; 32];
    seed[24..].copy_from_slice(&number.to_be_bytes());
    DesignParameters::new(symbols, cells, seed).unwrap()
}

/// The design of a seed as it is.
fn design(symbols: usize, cells: usize, number: u64) -> DesignMatrix {
    let design = HashDesign::new(parameters(symbols, cells, number)).unwrap();
    DesignMatrix::from_design(&design).unwrap()
}

/// The design that is drawn from a seed.
fn drawn(symbols: usize, cells: usize, number: u64) -> DesignMatrix {
    let drawn = parameters(symbols, cells, number).drawn().unwrap();
    DesignMatrix::from_design(&HashDesign::new(drawn.parameters).unwrap())
        .unwrap()
        .with_certificate(drawn.certificate.unwrap())
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

fn decode(matrix: &DesignMatrix, counts: &CountMatrix, gamma: f64) -> Estimate {
    let observation = Observation::from_counts(matrix, counts).unwrap();
    Decoder::default()
        .decode(matrix, &observation, Gamma::new(gamma).unwrap())
        .unwrap()
}

/// The minimum of `||A x||_1 / (N ||x||_1)` over `x` of sum 0: a linear program for every sign pattern.
fn exact_minimum(matrix: &DesignMatrix) -> f64 {
    let k = matrix.symbols();
    (0..1_u32 << (k - 1))
        .map(|signs| {
            let sign = |symbol: usize| f64::from(1 - 2 * (signs >> symbol & 1) as i32);
            least_image(matrix, &(0..k).map(sign).collect::<Vec<_>>())
        })
        .fold(f64::INFINITY, f64::min)
}

/// `min ||A x||_1 / N` over `x` of sum 0 and norm 1 with the given signs; infinite if there is none.
fn least_image(matrix: &DesignMatrix, signs: &[f64]) -> f64 {
    let (k, rows) = (matrix.symbols(), matrix.groups() * matrix.cells());
    let columns = k + rows;
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    let mut push = |row: usize, column: usize, value: f64| {
        i.push(row);
        j.push(column);
        v.push(value);
    };
    // Sum 0 and norm 1.
    for (symbol, &sign) in signs.iter().enumerate() {
        push(0, symbol, 1.0);
        push(1, symbol, sign);
        // -sign x <= 0.
        push(2 + symbol, symbol, -sign);
    }
    // A x - t <= 0 and -A x - t <= 0.
    let first = 2 + k;
    for symbol in 0..k {
        for &row in matrix.rows_of(symbol) {
            push(first + row as usize, symbol, 1.0);
            push(first + rows + row as usize, symbol, -1.0);
        }
    }
    for row in 0..rows {
        push(first + row, k + row, -1.0);
        push(first + rows + row, k + row, -1.0);
    }
    let total = first + 2 * rows;
    let constraints = CscMatrix::new_from_triplets(total, columns, i, j, v);
    let mut right = vec![0.0; total];
    right[1] = 1.0;
    let mut costs = vec![0.0; columns];
    costs[k..].fill(1.0 / matrix.groups() as f64);
    let cones = [
        SupportedConeT::ZeroConeT(2),
        SupportedConeT::NonnegativeConeT(total - 2),
    ];
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .build()
        .unwrap();
    let quadratic = CscMatrix::zeros((columns, columns));
    let mut solver =
        DefaultSolver::new(&quadratic, &costs, &constraints, &right, &cones, settings).unwrap();
    solver.solve();
    match solver.solution.status {
        SolverStatus::Solved | SolverStatus::AlmostSolved => solver.solution.obj_val,
        _ => f64::INFINITY,
    }
}

#[test]
fn the_minimum_is_between_certificate_and_search() {
    for (symbols, cells) in [(3, 2), (4, 2), (5, 2), (6, 2), (6, 3), (5, 4)] {
        for number in 0..6 {
            let matrix = design(symbols, cells, number);
            let audit = matrix.audit();
            let (proven, found) = (
                audit.certificate.unwrap().kept,
                audit.weakest.unwrap().ratio,
            );
            let rank = audit.rank.unwrap();
            let exact = exact_minimum(&matrix);
            println!("{symbols}x{cells} {number}: {proven:.4} <= {exact:.4} <= {found:.4}");
            assert!(proven <= exact + 1e-6, "{proven} {exact}");
            assert!(exact <= found + 1e-6, "{exact} {found}");
            assert_eq!(rank < symbols, exact < 1e-6, "{exact}, rank {rank}");
            // Without full rank nothing is kept, and both sides say so.
            assert_eq!(rank < symbols, proven == 0.0);
            assert!(found <= 1.1 * exact + 1e-6, "{found} {exact}");
        }
    }
}

#[test]
fn weights_of_groups_enter_the_proof() {
    let matrix = design(6, 2, 0);
    let mut rng = SeedTree::new(3).child("weights").rng();
    for round in 0..8 {
        let mut weights: Vec<f64> = (0..matrix.groups()).map(|_| rng.random::<f64>()).collect();
        if round % 2 == 0 {
            weights[round] = 0.0;
        }
        let total: f64 = weights.iter().sum();
        let kept = matrix.certify_weighted(&weights).unwrap().kept;
        // No direction may be kept less.
        let mut image = vec![0.0; matrix.groups() * 2];
        for _ in 0..2_000 {
            let mut x: Vec<f64> = (0..6).map(|_| rng.random::<f64>() - 0.5).collect();
            let mean = x.iter().sum::<f64>() / 6.0;
            x.iter_mut().for_each(|x| *x -= mean);
            matrix.cell_masses(&x, &mut image);
            let norm: f64 = x.iter().map(|x| x.abs()).sum();
            let left: f64 = image
                .chunks_exact(2)
                .zip(&weights)
                .map(|(group, weight)| weight / total * (group[0].abs() + group[1].abs()))
                .sum();
            assert!(left >= kept * norm - 1e-12, "{left} {kept}");
        }
    }
}

#[test]
fn no_drawn_design_lacks_rank_and_the_proof_is_near_the_search() {
    for (symbols, cells, smallest) in [
        (4, 2, 0.5),
        (6, 3, 0.5),
        (8, 2, 0.5),
        (8, 4, 0.5),
        (12, 2, 0.5),
        (12, 4, 0.5),
        (16, 8, 0.5),
        (20, 2, 0.5),
        (32, 2, 0.5),
        (48, 2, 0.5),
        (64, 16, 0.3),
    ] {
        let (mut ratio, mut seeds): (f64, u64) = (1.0, if symbols > 20 { 2 } else { 12 });
        if symbols == 4 {
            // One in nine of these designs as they are lacks rank, the sixth among them.
            seeds = 40;
            assert!(design(4, 2, 6).rank() < 4);
        }
        for number in 0..seeds {
            let matrix = drawn(symbols, cells, number);
            let audit = matrix.audit();
            assert_eq!(audit.rank, Some(symbols));
            let kept = matrix.certificate().unwrap().kept;
            assert_eq!(
                Some(kept),
                audit.certificate.map(|c| c.kept),
                "not deterministic"
            );
            ratio = ratio.min(kept / audit.weakest.unwrap().ratio);
        }
        println!("{symbols}x{cells}: {ratio:.3}");
        assert!(
            (smallest..=1.0 + 1e-9).contains(&ratio),
            "{symbols}x{cells}: {ratio}"
        );
    }
}

#[test]
fn a_design_that_cannot_identify_is_refused() {
    let error = parameters(64, 4, 0)
        .with_groups(3)
        .unwrap()
        .drawn()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "groups: expected enough partitions to identify 64 symbols by 4 cells, found 3"
    );
    // One symbol, or every symbol in its own cell: nothing to lose.
    for (symbols, cells) in [(1, 2), (5, 8), (3_000, 4_000)] {
        let drawn = parameters(symbols, cells, 0).drawn().unwrap();
        assert_eq!(drawn.certificate.unwrap().kept, 1.0);
    }
}

/// Exact counts of a distribution, 10 000 for each group.
fn exact_counts(matrix: &DesignMatrix, masses: &[f64]) -> CountMatrix {
    let law = matrix.message_distribution(masses);
    let counts = law.iter().map(|mass| (10_000.0 * mass).round() as u64);
    CountMatrix::from_counts(matrix.groups(), matrix.cells(), counts.collect()).unwrap()
}

#[test]
fn two_distributions_with_the_same_messages_have_infinite_errors_and_a_bound_of_one() {
    // The eight partitions of this design are only two different ones.
    let matrix = design(4, 2, 6).certified();
    let counts = exact_counts(&matrix, &[0.0, 0.0, 0.5, 0.5]);
    assert_eq!(counts, exact_counts(&matrix, &[0.5, 0.5, 0.0, 0.0]));
    let estimate = decode(&matrix, &counts, 0.01);
    assert!(
        estimate
            .standard_errors
            .iter()
            .all(|error| error.is_infinite())
    );
    assert_eq!(estimate.manipulation_bound.unwrap().total(), 1.0);
    assert_eq!(estimate.error_bound, Some(1.0));
}

#[test]
fn attacks_on_the_least_kept_direction_stay_below_the_bound() {
    // 2 % of the reports of four groups, moved between two cells each: the estimate moves by 0.2133.
    let matrix = design(12, 4, 0).certified();
    let counts = |changed: [(usize, usize, usize); 3]| {
        let mut counts = CountMatrix::from_counts(12, 4, vec![5_000; 48]).unwrap();
        for (group, [low, high]) in [(1, [2, 3]), (2, [3, 2]), (3, [3, 1]), (6, [3, 2])] {
            counts.group_mut(group)[low] = 0;
            counts.group_mut(group)[high] = 10_000;
        }
        for (group, from, to) in changed {
            counts.group_mut(group)[from] -= 1_600;
            counts.group_mut(group)[to] += 1_600;
        }
        counts
    };
    let honest = decode(&matrix, &counts([(1, 3, 2), (1, 2, 3), (1, 0, 0)]), 0.02);
    let attacked = decode(&matrix, &counts([(1, 3, 2), (3, 1, 3), (6, 2, 3)]), 0.02);
    let moved = distance(&honest.masses, &attacked.masses);
    let bound = attacked.manipulation_bound.unwrap();
    println!("moved {moved}, {bound:?}");
    assert!((moved - 0.2133).abs() < 1e-3, "{moved}");
    assert!(bound.manipulation >= moved && bound.manipulation <= 3.0 * moved);
    assert!(honest.manipulation_bound.unwrap().noise < 1e-3);
}

#[test]
fn one_per_cent_of_the_reports_of_twenty_symbols_stays_below_the_bound() {
    // Of each group of 10 000 reports, those in the first cell: honest, and after 4 004 of all were moved.
    let honest: [u64; 40] = [
        6_842, 3_744, 4_102, 5_486, 4_365, 4_638, 4_919, 5_254, 5_172, 5_679, 3_507, 4_540, 4_036,
        6_361, 4_215, 4_780, 3_790, 5_964, 5_014, 3_942, 4_958, 5_014, 5_008, 5_160, 4_568, 4_317,
        6_016, 4_517, 5_641, 4_432, 4_514, 3_987, 5_462, 5_787, 5_300, 4_242, 4_075, 5_460, 5_221,
        4_359,
    ];
    let attacked: [u64; 40] = [
        6_842, 3_744, 4_102, 5_029, 4_365, 4_638, 4_919, 5_254, 5_172, 6_108, 4_758, 4_540, 4_036,
        6_188, 4_215, 4_780, 3_790, 5_367, 5_014, 3_942, 4_907, 4_679, 5_008, 5_160, 4_507, 4_317,
        6_016, 4_517, 5_641, 4_432, 4_514, 4_139, 5_462, 5_787, 5_300, 4_734, 4_075, 5_454, 5_221,
        4_359,
    ];
    let matrix = design(20, 2, 67).certified();
    let decoded = [honest, attacked].map(|first| {
        let counts = first.iter().flat_map(|&count| [count, 10_000 - count]);
        let counts = CountMatrix::from_counts(40, 2, counts.collect()).unwrap();
        decode(&matrix, &counts, 0.01001)
    });
    let moved = distance(&decoded[0].masses, &decoded[1].masses);
    let bound = decoded[1].manipulation_bound.unwrap();
    println!("moved {moved}, {bound:?}");
    assert!((moved - 0.4166).abs() < 1e-3, "{moved}");
    assert!(bound.manipulation >= moved && bound.manipulation <= 3.0 * moved);
}

#[test]
fn one_changed_report_stays_below_the_bound() {
    // The last group of this design, in which one report was moved.
    let common: [u64; 46] = [
        107, 101, 104, 104, 111, 81, 111, 113, 114, 103, 115, 84, 113, 106, 102, 95, 97, 103, 104,
        112, 95, 111, 105, 105, 110, 104, 101, 101, 108, 103, 99, 106, 103, 94, 101, 118, 114, 99,
        96, 107, 111, 106, 107, 92, 110, 100,
    ];
    let matrix = design(12, 4, 3).certified();
    let decoded = [[106, 100], [107, 99]].map(|last| {
        let counts = common.iter().chain(&last).copied().collect();
        let counts = CountMatrix::from_counts(12, 4, counts).unwrap();
        decode(&matrix, &counts, 0.000_200_321)
    });
    let moved = distance(&decoded[0].masses, &decoded[1].masses);
    let bound = decoded[1].manipulation_bound.unwrap();
    println!("moved {moved}, {bound:?}");
    // Far beyond the part that is proportional to one report of 4 992, so that the noise must enter.
    assert!(moved > 3.0 * bound.manipulation, "{moved} {bound:?}");
    assert!(moved <= bound.total(), "{moved} {bound:?}");
}

#[test]
fn one_suppressed_report_counts_as_manipulated() {
    // One of 40 clients, 2.5 %, is not received: 39 reports are left, of which 2.5 % is less than one.
    let matrix = drawn(8, 2, 0);
    let truth = Pmf::zipf(8, 1.0).unwrap();
    let counts = sample_counts(&matrix, &truth, 40, &mut SeedTree::new(17).rng()).unwrap();
    let honest = decode(&matrix, &counts, 0.0).masses;
    let mut moved: f64 = 0.0;
    for (place, _) in counts
        .counts()
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
    {
        let mut after = counts.clone();
        after.group_mut(place / 2)[place % 2] -= 1;
        let estimate = decode(&matrix, &after, 0.025);
        let distance = distance(&honest, &estimate.masses);
        assert!(
            distance <= estimate.manipulation_bound.unwrap().total(),
            "{place}"
        );
        moved = moved.max(distance);
    }
    assert!(moved > 0.01, "{moved}");
}

/// The largest movement relative to the bound over runs of all kinds of adversaries.
#[test]
fn no_adversary_moves_an_estimate_beyond_the_bound() {
    let seed = SeedTree::new(14).child("movement");
    let mut runs = 0;
    let mut nearest: f64 = 0.0;
    for (index, (symbols, cells, users)) in [
        (12, 4, 5_000),
        (20, 2, 20_000),
        (20, 4, 3_000),
        (16, 8, 100_000),
        (8, 2, 2_000),
        (64, 16, 2_000),
        (6, 3, 600),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed.index(index as u64);
        let mut rng = seed.rng();
        // Also groups of very different sizes.
        let matrix = drawn(symbols, cells, index as u64);
        let truth = Pmf::zipf(symbols, 1.0).unwrap();
        for round in 0..2_u64 {
            let mut counts = sample_counts(&matrix, &truth, users, &mut rng).unwrap();
            if round == 1 {
                let keep = group_size(users, matrix.groups(), 0) / 5;
                for count in counts.group_mut(0) {
                    *count = (*count).min(keep);
                }
            }
            let reports = counts.reports();
            let honest = decode(&matrix, &counts, 0.0).masses;
            for liars in [1, 2, 5, 20, 100] {
                let gamma = liars as f64 / reports as f64;
                let assumed = Gamma::new(gamma).unwrap();
                for which in 0..11 {
                    let mut rng = seed.index(round).index(liars).index(which).rng();
                    let Some(after) =
                        manipulated(which, &matrix, &counts, &truth, assumed, &mut rng)
                    else {
                        continue;
                    };
                    // A fraction of all clients, of whom some were added, or are not received.
                    let share = liars as f64 / after.reports().max(reports) as f64;
                    let estimate = decode(&matrix, &after, share * (1.0 + 1e-9));
                    let bound = estimate.manipulation_bound.unwrap();
                    let moved = distance(&honest, &estimate.masses);
                    nearest = nearest.max(moved / bound.total());
                    assert!(
                        moved <= bound.total() + 1e-9,
                        "{symbols}x{cells}, {liars} of {reports}, {which}: {moved} {bound:?}"
                    );
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} runs, nearest {nearest:.3}");
    assert!(runs >= 500);
}

/// The counts after an attack, or `None` if the adversary has nothing to do.
fn manipulated(
    which: u64,
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    truth: &Pmf,
    gamma: Gamma,
    rng: &mut impl Rng,
) -> Option<CountMatrix> {
    let mut adversary = match which {
        0 => Adversary::Oblivious(Box::new(SameMessage { symbol: 1 })),
        1 => Adversary::Oblivious(Box::new(RandomReport)),
        2 => Adversary::Oblivious(Box::new(SignAlign {
            rounds: 6,
            restarts: 1,
        })),
        3 => Adversary::Adaptive(Box::new(SignAlign {
            rounds: 6,
            restarts: 1,
        })),
        4 => Adversary::Oblivious(Box::new(MaximalGain {
            targets: vec![0, 1],
            best_groups: true,
        })),
        5 | 6 => {
            let reach = if which == 5 { 1.0 } else { 1.8 } * gamma.get();
            let shift = PlantedShift::search(matrix, truth, reach, 20, rng).ok()?;
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth: truth.clone(),
                target: shift.target,
            }))
        }
        9 => Adversary::Adaptive(Box::new(Erasure { symbol: 0 })),
        10 => Adversary::Adaptive(Box::new(WrongGroup { symbol: 1 })),
        7 => {
            // One report after the other at random.
            let mut after = counts.clone();
            for _ in 0..gamma.budget(counts.reports()) {
                let group = rng.random_range(0..matrix.groups());
                let from = rng.random_range(0..matrix.cells());
                let to = rng.random_range(0..matrix.cells());
                if after.group(group)[from] > 0 {
                    after.group_mut(group)[from] -= 1;
                    after.group_mut(group)[to] += 1;
                }
            }
            return Some(after);
        }
        _ => {
            // Fakes that encode honestly, on top of the honest reports.
            let mut after = counts.clone();
            for _ in 0..gamma.budget(counts.reports()) {
                let (group, symbol) = (
                    rng.random_range(0..matrix.groups()),
                    rng.random_range(0..matrix.symbols()),
                );
                let cell = matrix.rows_of(symbol)[group] as usize % matrix.cells();
                after.group_mut(group)[cell] += 1;
            }
            return Some(after);
        }
    };
    attack(matrix, counts, &mut adversary, gamma, rng)
        .ok()
        .map(|outcome| outcome.counts)
}

#[test]
fn the_noise_part_falls_as_the_root_of_the_reports() {
    let matrix = drawn(20, 2, 5);
    let truth = Pmf::zipf(20, 1.0).unwrap();
    let mut rng = SeedTree::new(15).rng();
    let mut noise = |users| {
        let counts = sample_counts(&matrix, &truth, users, &mut rng).unwrap();
        decode(&matrix, &counts, 0.01).manipulation_bound.unwrap()
    };
    let (few, many) = (noise(400_000), noise(40_000_000));
    println!("{few:?} {many:?}");
    assert!((7.0..14.0).contains(&(few.noise / many.noise)));
    // But for the last whole report, it is that of the fraction.
    assert!((few.manipulation / many.manipulation - 1.0).abs() < 1e-3);
    // No report may be manipulated: no movement.
    let counts = sample_counts(&matrix, &truth, 400_000, &mut SeedTree::new(1).rng()).unwrap();
    assert_eq!(
        decode(&matrix, &counts, 1e-6)
            .manipulation_bound
            .unwrap()
            .total(),
        0.0
    );
}

#[test]
fn the_error_bound_covers_noise_and_manipulation() {
    let seed = SeedTree::new(16).child("error bound");
    let matrix = drawn(20, 2, 1);
    let truth = Pmf::zipf(20, 1.0).unwrap();
    let mut nearest: f64 = 0.0;
    for run in 0..30 {
        let mut rng = seed.index(run).rng();
        let gamma = Gamma::new(0.01).unwrap();
        let counts = sample_counts(&matrix, &truth, 200_000, &mut rng).unwrap();
        let shift = PlantedShift::search(&matrix, &truth, 0.0099, 20, &mut rng).unwrap();
        let mut adversary = Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        }));
        let after = attack(&matrix, &counts, &mut adversary, gamma, &mut rng).unwrap();
        let estimate = decode(&matrix, &after.counts, 0.01);
        let share = distance(&estimate.masses, truth.masses()) / estimate.error_bound.unwrap();
        nearest = nearest.max(share);
    }
    println!("nearest {nearest:.3}");
    assert!(nearest <= 1.0);
    assert!(nearest >= 0.1, "a bound far from everything: {nearest}");
}
