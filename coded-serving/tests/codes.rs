//! Laws of the codes, and what they do with groups that cannot be decoded.

use proptest::prelude::*;
use septet_coded_serving::code::policy::EqualResources;
use septet_coded_serving::code::{
    ApproximateBackup, Code, Encoder, Inference, Interpolation, InvNet, MixedQueries, Model,
    Replication, Slot, Slots, Smoother, SumParity, Weights, combine,
};
use septet_coded_serving::{CodeError, Tensor};

fn tensor(values: &[f32]) -> Tensor {
    Tensor::vector(values.to_vec())
}

/// Queries without symmetry.
fn queries(count: usize, length: usize) -> Vec<Tensor> {
    (0..count)
        .map(|i| {
            Tensor::vector(
                (0..length)
                    .map(|j| ((i * 7 + j * 3) as f32 * 0.61).sin())
                    .collect(),
            )
        })
        .collect()
}

/// All subsets of the first `count` numbers with at most `size` members.
fn subsets(count: usize, size: usize) -> Vec<Slots> {
    let mut all = vec![Slots::EMPTY];
    let mut level = vec![Slots::EMPTY];
    for _ in 0..size {
        level = level
            .iter()
            .flat_map(|set| {
                let next = set.iter().last().map_or(0, |last| last + 1);
                (next..count).map(|slot| set.with(slot))
            })
            .collect();
        all.extend(&level);
    }
    all
}

/// The outputs of all slots but the lost ones.
fn without(outputs: &[Tensor], lost: Slots) -> Vec<(Slot, &Tensor)> {
    let here = outputs.iter().enumerate();
    here.filter(|(slot, _)| !lost.contains(*slot)).collect()
}

fn assert_near(found: &Tensor, right: &Tensor, tolerance: f32) {
    for (found, right) in found.values().iter().zip(right.values()) {
        assert!(
            (found - right).abs() <= tolerance * (1.0 + right.abs()),
            "{found} for {right}"
        );
    }
}

#[test]
fn a_linear_model_is_recovered_from_every_pattern_of_losses() {
    let model = |x: &Tensor| tensor(&[x.values()[0] - 2.0 * x.values()[1], x.values()[2], 3.0]);
    for (k, r) in [
        (1, 1),
        (2, 1),
        (4, 1),
        (10, 1),
        (12, 1),
        (2, 2),
        (8, 2),
        (10, 2),
        (6, 3),
    ] {
        let code = InvNet::new(k, r, MixedQueries).unwrap();
        let group = queries(k, 3);
        let parities = code.encode(&group).unwrap();
        assert!(parities.iter().all(|task| task.model == Model::Base));
        let all: Vec<Tensor> = group
            .iter()
            .chain(parities.iter().map(|task| &task.input))
            .map(model)
            .collect();
        for lost in subsets(k + r, r + 1) {
            let missing = lost.and(Slots::below(k));
            let decoded = code.decode(k, &without(&all, lost), missing);
            let parities_lost = lost.len() - missing.len();
            let arrived = Slots::below(k + r).without(lost);
            if missing.len() > r - parities_lost.min(r) {
                assert!(
                    matches!(decoded, Err(CodeError::Unrecoverable { .. })),
                    "{k} {r} {lost:?}"
                );
                assert_eq!(code.decodable(k, arrived), arrived.and(Slots::below(k)));
                continue;
            }
            assert_eq!(code.decodable(k, arrived), Slots::below(k));
            let decoded = decoded.unwrap();
            assert_eq!(decoded.len(), missing.len());
            for answer in decoded {
                // The condition of three parities of six answers costs three digits.
                let tolerance = if r < 3 { 1e-4 } else { 1e-3 };
                assert_near(&answer.output, &all[answer.query], tolerance);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// The exactness theorem in 64-bit arithmetic: whatever the answers are, mixtures of them
    /// determine those that are missing.
    #[test]
    fn mixtures_determine_what_is_missing(
        k in 2..=12_usize,
        r in 1..=2_usize,
        lost in any::<u64>(),
        answers in prop::collection::vec(-10.0..10.0_f64, 12),
    ) {
        let weights = Weights::cauchy(k, r).unwrap();
        let mixtures: Vec<f64> = (0..r)
            .map(|l| weights.row(l).iter().zip(&answers).map(|(a, z)| a * z).sum())
            .collect();
        let lost: Slots = [lost as usize % k, (lost >> 32) as usize % k][..r].iter().copied().collect();
        let recovery = weights.recovery(Slots::below(k + r).without(lost)).unwrap();
        for query in lost.iter() {
            let terms = recovery.sources().iter().zip(recovery.weights(query).unwrap());
            let found: f64 = terms
                .map(|(&slot, weight)| {
                    weight * if slot < k { answers[slot] } else { mixtures[slot - k] }
                })
                .sum();
            prop_assert!((found - answers[query]).abs() <= 1e-10 * recovery.amplification());
        }
        prop_assert!((0..k).all(|query| recovery.weights(query).is_none() || lost.contains(query)));
    }

    #[test]
    fn a_combination_is_that_of_the_definition(
        terms in prop::collection::vec((-2.0..2.0_f32, prop::collection::vec(-5.0..5.0_f32, 17)), 0..14),
    ) {
        let weights: Vec<f32> = terms.iter().map(|(weight, _)| *weight).collect();
        let inputs: Vec<&[f32]> = terms.iter().map(|(_, input)| input.as_slice()).collect();
        let mut out = [7.0; 17];
        combine(&weights, &inputs, &mut out).unwrap();
        for (place, &sum) in out.iter().enumerate() {
            let right: f64 = terms.iter().map(|(w, x)| f64::from(*w) * f64::from(x[place])).sum();
            prop_assert!((f64::from(sum) - right).abs() < 1e-4);
        }
    }

    /// The order in which outputs arrive changes nothing.
    #[test]
    fn order_of_arrival_does_not_matter(rotation in 0..11_usize, lost in 0..10_usize) {
        let code = SumParity::new(10, 1).unwrap();
        let outputs = queries(11, 4);
        let lost = Slots::EMPTY.with(lost);
        let mut arrived = without(&outputs, lost);
        let in_order = code.decode(10, &arrived, lost).unwrap();
        let middle = rotation % arrived.len();
        arrived.rotate_left(middle);
        prop_assert_eq!(code.decode(10, &arrived, lost).unwrap(), in_order);
    }
}

/// Nothing missing is nothing to solve, whatever arrived besides.
#[test]
fn complete_groups_need_no_solution() {
    for (k, r) in [(1, 1), (5, 1), (8, 2)] {
        let weights = Weights::cauchy(k, r).unwrap();
        for arrived in [Slots::below(k), Slots::below(k + r), Slots::below(128)] {
            let recovery = weights.recovery(arrived).unwrap();
            assert!(recovery.sources().is_empty());
            assert!((0..k).all(|query| recovery.weights(query).is_none()));
            assert_eq!(recovery.amplification(), 0.0);
        }
        assert!(weights.recovery(Slots::EMPTY).is_err() || r >= k);
    }
}

#[test]
fn mixtures_are_convex_and_one_is_the_mean() {
    for k in 1..=12 {
        for r in 1..=k.min(4) {
            let weights = Weights::cauchy(k, r).unwrap();
            for l in 0..r {
                let row = weights.row(l);
                assert!(row.iter().all(|&weight| weight > 0.0));
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        assert_eq!(Weights::cauchy(k, 1).unwrap(), Weights::mean(k).unwrap());
    }
}

#[test]
fn two_of_ten_multiply_errors_by_122_at_most() {
    let worst = |k, r| {
        let weights = Weights::cauchy(k, r).unwrap();
        subsets(k + r, r)
            .into_iter()
            .filter(|lost| !lost.and(Slots::below(k)).is_empty())
            .map(|lost| {
                let arrived = Slots::below(k + r).without(lost);
                weights.recovery(arrived).unwrap().amplification()
            })
            .fold(0.0, f64::max)
    };
    // From an independent implementation with NumPy.
    assert!((worst(10, 2) - 122.0).abs() < 1.0);
    assert!((worst(10, 3) / 6471.0 - 1.0).abs() < 1e-3);
    // For a single parity, k of the parity and 1 of each other answer.
    assert!((worst(10, 1) - 19.0).abs() < 1e-9);
}

#[test]
fn the_sum_of_parity_models_is_taken_apart() {
    let code = SumParity::new(4, 5).unwrap();
    let group = queries(4, 6);
    let task = &code.encode(&group).unwrap()[0];
    assert_eq!(task.slot, 4);
    assert!(matches!(&task.model, Model::Redundant(name) if &**name == "parity"));
    let sum: f32 = group.iter().map(|query| query.values()[0]).sum();
    assert!((task.input.values()[0] - sum / 2.0).abs() < 1e-6);

    let sum_of_all = (0..6).map(|place| group.iter().map(|query| query.values()[place]).sum());
    let parity = Tensor::vector(sum_of_all.collect());
    let outputs: Vec<Tensor> = group.iter().cloned().chain([parity]).collect();
    for lost in 0..4 {
        let lost = Slots::EMPTY.with(lost);
        let decoded = code.decode(4, &without(&outputs, lost), lost).unwrap();
        assert_near(&decoded[0].output, &group[decoded[0].query], 1e-5);
    }
    // The parity model knows full groups only.
    assert!(code.encode(&group[..3]).unwrap().is_empty());
    let two = Slots::below(2);
    assert_eq!(code.decodable(3, two), two);
    let lost = code.decode(3, &without(&outputs[..2], Slots::EMPTY), Slots::below(3));
    assert!(matches!(
        lost,
        Err(CodeError::Unrecoverable { missing: 1, .. })
    ));
}

#[test]
fn copies_stand_in_for_their_own_query() {
    for (code, model) in [
        (
            Box::new(Replication::new(3, 1).unwrap()) as Box<dyn Code>,
            Model::Base,
        ),
        (
            Box::new(ApproximateBackup::new(3, 9).unwrap()),
            Model::Redundant("student".into()),
        ),
    ] {
        let group = queries(3, 4);
        let tasks = code.encode(&group).unwrap();
        assert_eq!(tasks.len(), 3);
        for task in &tasks {
            assert_eq!(task.model, model);
            assert_eq!(task.input, group[task.slot - 3]);
        }
        let copy = tensor(&[1.0, 2.0]);
        let own = tensor(&[3.0, 4.0]);
        let outputs = [(0, &own), (5, &copy)];
        assert_eq!(
            code.decodable(3, [0, 5].into_iter().collect()),
            [0, 2].into_iter().collect()
        );
        let decoded = code.decode(3, &outputs, Slots::EMPTY.with(2)).unwrap();
        assert_eq!(decoded[0].output, copy);
        let lost = code.decode(3, &outputs, Slots::EMPTY.with(1));
        assert!(matches!(lost, Err(CodeError::Unrecoverable { .. })));
    }
    let none = Replication::new(5, 0).unwrap();
    assert!(none.encode(&queries(5, 2)).unwrap().is_empty());
}

#[test]
fn what_is_not_a_number_is_named_and_never_used() {
    let bad = tensor(&[f32::NAN, 0.0, 1.0]);
    let infinite = tensor(&[0.0, f32::INFINITY, 1.0]);
    let codes: Vec<Box<dyn Code>> = vec![
        Box::new(InvNet::new(3, 1, MixedQueries).unwrap()),
        Box::new(InvNet::new(3, 1, Box::new(MixedQueries) as Box<dyn Encoder>).unwrap()),
        Box::new(SumParity::new(3, 1).unwrap()),
        Box::new(ApproximateBackup::new(3, 1).unwrap()),
        Box::new(Replication::new(3, 1).unwrap()),
        Box::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap()),
        Box::new(Interpolation::new(3, 4, 1, Smoother::SPLINE).unwrap()),
    ];
    for code in codes {
        for spoiled in [&bad, &infinite] {
            let mut group = queries(3, 3);
            group[1] = spoiled.clone();
            assert_eq!(
                code.encode(&group),
                Err(CodeError::NotFinite {
                    what: "query",
                    index: 1
                }),
                "{}",
                code.name()
            );
            let good = queries(code.shape().tasks, 3);
            let mut outputs: Vec<(Slot, &Tensor)> = good.iter().enumerate().skip(1).collect();
            let redundant = outputs.iter_mut().find(|(slot, _)| *slot == 3).unwrap();
            redundant.1 = spoiled;
            assert_eq!(
                code.decode(3, &outputs, Slots::EMPTY.with(0)),
                Err(CodeError::NotFinite {
                    what: "output",
                    index: 3
                }),
                "{}",
                code.name()
            );
        }
        // Groups that are none, or too large, or of different shapes.
        assert!(code.encode(&[]).is_err());
        assert!(code.encode(&queries(4, 3)).is_err());
        let mut mixed = queries(3, 3);
        mixed[2] = tensor(&[0.0]);
        assert!(matches!(code.encode(&mixed), Err(CodeError::Shapes { .. })));
        // Slots that are not there, or twice.
        let answer = tensor(&[0.0, 1.0, 2.0]);
        let missing = Slots::EMPTY.with(0);
        assert!(code.decode(3, &[(99, &answer)], missing).is_err());
        assert!(
            code.decode(3, &[(1, &answer), (1, &answer)], missing)
                .is_err()
        );
        assert!(code.decode(0, &[], missing).is_err());
        assert!(code.decode(3, &[], Slots::EMPTY.with(3)).is_err());
    }
}

#[test]
fn sizes_that_no_group_can_have_are_refused() {
    for (k, r) in [
        (0, 1),
        (3, 0),
        (2, 3),
        (128, 1),
        (100, 100),
        (usize::MAX, 1),
    ] {
        assert!(InvNet::new(k, r, MixedQueries).is_err(), "{k} {r}");
    }
    assert!(Replication::new(64, 2).is_err());
    assert!(Replication::new(0, 1).is_err());
    assert!(ApproximateBackup::new(65, 1).is_err());
    let interpolation = |k, w, s| Interpolation::new(k, w, s, Smoother::Berrut);
    assert!(interpolation(4, 4, 1).is_err());
    assert!(interpolation(0, 4, 1).is_err());
    assert!(interpolation(4, 129, 1).is_err());
    assert!(interpolation(4, 8, usize::MAX).is_err());
    assert!(interpolation(4, 9, 0).unwrap().byzantine(1).is_ok());
    assert!(interpolation(4, 8, 0).unwrap().byzantine(1).is_err());
    let negative = Smoother::Spline {
        encode: -1.0,
        decode: 0.0,
    };
    assert!(Interpolation::new(4, 5, 1, negative).is_err());
}

#[test]
fn costs_are_those_of_the_work_done() {
    let base = Inference {
        operations: 1000,
        values: 20,
    };
    let cost = |code: &dyn Code| {
        let cost = code.cost(base);
        (cost.operations, cost.ingress)
    };
    assert_eq!(cost(&Replication::new(10, 1).unwrap()), (10.0, 10.0));
    assert_eq!(cost(&ApproximateBackup::new(10, 100).unwrap()), (1.0, 10.0));
    // The parity model, and 10 times 20 numbers summed.
    assert_eq!(cost(&SumParity::new(10, 800).unwrap()), (1.0, 1.0));
    assert_eq!(cost(&InvNet::new(10, 2, MixedQueries).unwrap()), (2.4, 2.0));
    let berrut = Interpolation::new(10, 11, 1, Smoother::Berrut).unwrap();
    assert_eq!(cost(&berrut), (3.2, 1.0));
}

#[test]
fn smooth_models_are_interpolated() {
    // Each answer is approximate; for a linear model and no lost output only the curve matters.
    let model = |x: &Tensor| Tensor::vector(x.values().iter().map(|v| 0.5 * v + 1.0).collect());
    for smoother in [
        Smoother::Berrut,
        Smoother::Spline {
            encode: 0.0,
            decode: 0.0,
        },
    ] {
        let code = Interpolation::new(8, 40, 2, smoother).unwrap();
        let group: Vec<Tensor> = (0..8)
            .map(|i| tensor(&[(i as f32 * 0.3).sin(), 0.1]))
            .collect();
        let outputs: Vec<Tensor> = code
            .encode(&group)
            .unwrap()
            .iter()
            .map(|task| model(&task.input))
            .collect();
        for lost in subsets(40, 1) {
            let decoded = code
                .decode(8, &without(&outputs, lost), Slots::below(8))
                .unwrap();
            assert_eq!(decoded.len(), 8);
            for answer in decoded {
                assert_near(&answer.output, &model(&group[answer.query]), 0.02);
            }
        }
        let three = without(&outputs, Slots::below(3));
        assert!(matches!(
            code.decode(8, &three, Slots::below(8)),
            Err(CodeError::Unrecoverable { .. })
        ));
        // A smaller group has as much redundancy.
        let fewer = code.encode(&group[..3]).unwrap();
        assert_eq!(fewer.len(), 35);
    }
}

#[test]
fn a_wrong_output_is_found_and_dropped() {
    let (k, errors) = (4, 1);
    let code = Interpolation::new(k, 2 * k + 2 * errors + 6, 0, Smoother::Berrut)
        .unwrap()
        .byzantine(errors)
        .unwrap();
    let model = |x: &Tensor| {
        let mixed = (0..10).map(|class| {
            let phase = class as f32 * 0.7;
            (x.values()[0] * phase.cos() + x.values()[1] * phase.sin()).tanh()
        });
        Tensor::vector(mixed.collect())
    };
    let group = queries(k, 2);
    let honest: Vec<Tensor> = code
        .encode(&group)
        .unwrap()
        .iter()
        .map(|task| model(&task.input))
        .collect();
    let trusting = Interpolation::new(k, honest.len(), 1, Smoother::Berrut).unwrap();
    for liar in 0..honest.len() {
        let mut outputs = honest.clone();
        let lie = outputs[liar].values().iter().enumerate();
        let lie = lie.map(|(class, value)| value + 5.0 * (class as f32 * 1.3 + 0.5).sin());
        outputs[liar] = Tensor::vector(lie.collect());
        let arrived = without(&outputs, Slots::EMPTY);
        let decoded = code.decode(k, &arrived, Slots::below(k)).unwrap();
        let others = without(&honest, Slots::EMPTY.with(liar));
        let right = trusting.decode(k, &others, Slots::below(k)).unwrap();
        assert_eq!(decoded, right, "the wrong output is {liar}");
    }
}

/// Losses and lies together, in full groups and in smaller ones.
#[test]
fn a_wrong_output_is_found_among_fewer() {
    let (k, stragglers) = (4, 2);
    let code = Interpolation::new(k, 2 * k + 7 + stragglers, stragglers, Smoother::Berrut)
        .and_then(|code| code.byzantine(1))
        .unwrap();
    // Linear in the query: what the honest outputs are lies exactly in the span of the curves.
    let model = |x: &Tensor| {
        let [a, b] = [x.values()[0], x.values()[1]];
        Tensor::vector((0..5).map(|class| a * (class as f32).cos() + b).collect())
    };
    for size in [k, 2, 1] {
        let outputs: Vec<Tensor> = code
            .encode(&queries(size, 2))
            .unwrap()
            .iter()
            .map(|task| model(&task.input))
            .collect();
        let tasks = outputs.len();
        assert_eq!(tasks, code.shape().tasks - (k - size));
        for lost in subsets(tasks, stragglers) {
            for liar in (0..tasks).filter(|slot| !lost.contains(*slot)) {
                let mut outputs = outputs.clone();
                let lie = outputs[liar].values().iter().map(|value| 3.0 - value);
                outputs[liar] = Tensor::vector(lie.collect());
                let everything = Slots::below(size);
                let decoded = code.decode(size, &without(&outputs, lost), everything);
                let here = Slots::below(tasks).without(lost.with(liar));
                let weights = code.decoding(size, here).unwrap();
                for answer in decoded.unwrap() {
                    let mut right = [0.0; 5];
                    for (slot, weight) in here.iter().zip(&weights[answer.query]) {
                        for (sum, value) in right.iter_mut().zip(outputs[slot].values()) {
                            *sum += *weight as f32 * value;
                        }
                    }
                    assert_near(&answer.output, &tensor(&right), 1e-4);
                }
            }
        }
        // One more is lost than the code survives.
        let few = without(&outputs, Slots::below(stragglers + 1));
        let refused = code.decode(size, &few, Slots::below(size));
        assert!(matches!(refused, Err(CodeError::Unrecoverable { .. })));
    }
}

#[test]
fn spare_workers_are_counted_without_overflow() {
    let pool = EqualResources::new(10, 2).unwrap();
    assert_eq!(pool.extra_workers(24), 4);
    assert_eq!(pool.extra_workers(usize::MAX), usize::MAX / 5);
    let many = EqualResources::new(1, usize::MAX).unwrap();
    assert_eq!(many.extra_workers(3), usize::MAX);
}

/// What a code says it can tell, it tells: also for large groups, where arithmetic sets a limit.
#[test]
fn what_is_decodable_is_decoded() {
    for (queries, parities) in [(1, 1), (5, 2), (12, 4), (40, 3), (40, 4), (100, 3)] {
        let code = InvNet::new(queries, parities, MixedQueries).unwrap();
        let queries_of: Vec<Tensor> = (0..queries)
            .map(|i| Tensor::vector(vec![i as f32, (i * i % 7) as f32]))
            .collect();
        let tasks = code.encode(&queries_of).unwrap();
        for first in 0..=queries.saturating_sub(parities) {
            let lost: Slots = (first..(first + parities).min(queries)).collect();
            let outputs: Vec<(usize, &Tensor)> = queries_of
                .iter()
                .enumerate()
                .filter(|(slot, _)| !lost.contains(*slot))
                .chain(tasks.iter().map(|task| (task.slot, &task.input)))
                .collect();
            let arrived: Slots = outputs.iter().map(|(slot, _)| *slot).collect();
            let promised = lost.without(code.decodable(queries, arrived)).is_empty();
            let decoded = code.decode(queries, &outputs, lost);
            assert_eq!(promised, decoded.is_ok(), "{queries} {parities} {lost:?}");
        }
    }
}

#[test]
fn one_query_is_its_own_parity_and_sums_overflow_by_name() {
    let code = InvNet::new(10, 2, MixedQueries).unwrap();
    let only = Tensor::vector(vec![0.3, -7.0]);
    let tasks = code.encode(std::slice::from_ref(&only)).unwrap();
    assert!(!tasks.is_empty() && tasks.iter().all(|task| task.input == only));
    let sum = SumParity::new(2, 1).unwrap();
    let (high, low) = (Tensor::vector(vec![3e38]), Tensor::vector(vec![-3e38]));
    let lost: Slots = [0].into_iter().collect();
    let error = sum.decode(2, &[(1, &low), (2, &high)], lost).unwrap_err();
    assert_eq!(error, CodeError::Overflow { what: "output" });
    assert!(
        Interpolation::new(3, 9, 1, Smoother::Berrut)
            .unwrap()
            .byzantine(usize::MAX)
            .is_err()
    );
}
