//! The guarantees of the combiners and of the robust algorithms.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use proptest::prelude::*;
use rand::Rng;
use septet_cache::combine::{Combined, Rule};
use septet_cache::learned::{FollowPrediction, Guard, Relaxation};
use septet_cache::policy::{Belady, Lru, Marker, OnlineMin, Policy, Sieve};
use septet_cache::request::Request;
use septet_cache::trace::Trace;
use septet_cache::{PolicySpec, SeedTree};

fn prediction() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => any::<f64>(),
        4 => (0..20).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn experts(capacity: usize, third: bool) -> Vec<Box<dyn Policy>> {
    let mut experts: Vec<Box<dyn Policy>> = vec![
        Box::new(FollowPrediction::new(capacity)),
        Box::new(Lru::new(capacity as u64)),
    ];
    if third {
        experts.push(Box::new(Marker::new(capacity, &SeedTree::new(1))));
    }
    experts
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(96))]

    /// While one expert is followed, the real cache misses at most as often as the expert, plus the
    /// number of the expert's pages that were absent when the phase began.
    #[test]
    fn lazy_following_costs_no_more_than_the_absent_pages(
        requests in prop::collection::vec((0..150_u32, prediction()), 1..3_000),
        capacity in 2..=64_usize,
        gamma in prop_oneof![Just(0.01), Just(0.1), Just(1.0)],
        third in any::<bool>(),
    ) {
        // Twins of the experts, to look into the caches that the combiner keeps to itself.
        let mut twins = experts(capacity, third);
        let rule = Rule::Doubling { gamma };
        let mut combined =
            Combined::new(capacity, experts(capacity, third), rule, &SeedTree::new(0)).unwrap();
        let (mut real, mut followed, mut absent) = (0_i64, 0_i64, 0_i64);
        let mut evicted = Vec::new();
        for (now, &(page, predicted)) in requests.iter().enumerate() {
            let request = Request { predicted, ..Request::new(page, now as u32) };
            let before = combined.followed();
            let held: Vec<Vec<u32>> = twins
                .iter()
                .map(|twin| (0..150).filter(|&page| twin.contains(page)).collect())
                .collect();
            let residents: Vec<bool> = (0..150).map(|page| combined.contains(page)).collect();
            let hits: Vec<bool> =
                twins.iter_mut().map(|twin| twin.access(&request, &mut evicted)).collect();
            let hit = combined.access(&request, &mut evicted);
            evicted.clear();
            let current = combined.followed();
            if current != before || now == 0 {
                real = 0;
                followed = 0;
                absent = held[current].iter().filter(|&&page| !residents[page as usize]).count()
                    as i64;
            }
            real += i64::from(!hit);
            followed += i64::from(!hits[current]);
            prop_assert!(real <= followed + absent, "request {now}: {real} > {followed} + {absent}");
        }
    }

    /// D <= 2 (1 + gamma)^2 min(A, B) + k (switches + 1) + 2.
    #[test]
    fn the_deterministic_combiner_keeps_its_bound(
        requests in prop::collection::vec((0..150_u32, prediction()), 1..5_000),
        capacity in 2..=64_usize,
        gamma in prop_oneof![Just(0.01), Just(0.1), Just(1.0)],
        adversarial in any::<bool>(),
    ) {
        let rule = Rule::Doubling { gamma };
        let mut combined =
            Combined::new(capacity, experts(capacity, false), rule, &SeedTree::new(0)).unwrap();
        let mut misses = 0_u64;
        let mut evicted = Vec::new();
        for (now, &(page, predicted)) in requests.iter().enumerate() {
            let page = if adversarial {
                (0..=capacity as u32).find(|&page| !combined.contains(page)).unwrap()
            } else {
                page
            };
            let request = Request { predicted, ..Request::new(page, now as u32) };
            misses += u64::from(!combined.access(&request, &mut evicted));
            evicted.clear();
        }
        let better = *combined.expert_misses().iter().min().unwrap() as f64;
        let worst = *combined.expert_misses().iter().max().unwrap() as f64;
        let switches = combined.switches() as f64;
        let bound =
            2.0 * (1.0 + gamma).powi(2) * better + capacity as f64 * (switches + 1.0) + 2.0;
        prop_assert!(misses as f64 <= bound, "{misses} > {bound}");
        prop_assert!(switches <= 2.0 + (1.0 + worst).ln() / gamma.ln_1p(), "{switches} switches");
    }
}

/// The followed expert has the distribution of the rule at every request: chi-squared over 10 000
/// seeds at nine requests. Rejected at 1e-7 each, so a false alarm has a probability below 1e-6.
#[test]
fn the_randomized_combiner_follows_its_distribution() {
    const SEEDS: u64 = 10_000;
    // The 1 - 1e-7 quantile of chi-squared with two degrees of freedom: -2 ln(1e-7).
    let limit = -2.0 * 1e-7_f64.ln();
    let mut rng = SeedTree::new(5).rng();
    let requests: Vec<Request> = (0..181)
        .map(|now| Request {
            predicted: rng.random_range(0.0..500.0),
            ..Request::new(rng.random_range(0..14), now)
        })
        .collect();
    let mut counts = vec![[0.0_f64; 3]; 9];
    let mut expected = vec![[0.0_f64; 3]; 9];
    for seed in 0..SEEDS {
        let experts: Vec<Box<dyn Policy>> = vec![
            Box::new(FollowPrediction::new(6)),
            Box::new(Lru::new(6)),
            Box::new(Sieve::new(6)),
        ];
        let rule = Rule::BlumBurch { epsilon: 0.2 };
        let mut combined = Combined::new(6, experts, rule, &SeedTree::new(seed)).unwrap();
        let mut evicted = Vec::new();
        for (now, request) in requests.iter().enumerate() {
            combined.access(request, &mut evicted);
            evicted.clear();
            if now % 20 == 19 {
                let checkpoint = now / 20;
                counts[checkpoint][combined.followed()] += 1.0;
                for (sum, p) in expected[checkpoint]
                    .iter_mut()
                    .zip(combined.probabilities().unwrap())
                {
                    *sum += p;
                }
            }
        }
    }
    for (counts, expected) in counts.iter().zip(&expected) {
        let statistic: f64 = counts
            .iter()
            .zip(expected)
            .map(|(count, expected)| (count - expected).powi(2) / expected)
            .sum();
        assert!(
            statistic < limit,
            "{counts:?} against {expected:?}: {statistic}"
        );
    }
    // The experts differ, or the test would show nothing.
    let last = expected[8];
    assert!(
        last.iter()
            .any(|&p| (p / SEEDS as f64 - 1.0 / 3.0).abs() > 0.05),
        "{last:?}"
    );
}

/// E[R] <= 1.05 min + 10 k / epsilon on alternating phases, the mean of 20 seeds.
#[test]
fn the_randomized_combiner_is_near_the_better_expert() {
    let capacity = 10;
    let mut rng = SeedTree::new(8).rng();
    let ids: Vec<u64> = (0..40_000_u64)
        .map(|now| {
            if now / 4_000 % 2 == 0 {
                now % 14
            } else {
                rng.random_range(0..6) + rng.random_range(0..12)
            }
        })
        .collect();
    let mut trace = Trace::from_ids(ids);
    let column = (0..trace.len())
        .map(|now| ((now * 7) % 1_000) as f64)
        .collect();
    trace.set_predictions(column).unwrap();
    let mut mean = 0.0;
    let mut better = u64::MAX;
    for seed in 0..20 {
        let rule = Rule::BlumBurch { epsilon: 0.01 };
        let mut combined = Combined::new(
            capacity,
            experts(capacity, false),
            rule,
            &SeedTree::new(seed),
        )
        .unwrap();
        mean += combined.replay(&trace).unwrap().misses as f64 / 20.0;
        better = better.min(*combined.expert_misses().iter().min().unwrap());
    }
    let bound = 1.05 * better as f64 + 10.0 * capacity as f64 / 0.01;
    assert!(mean <= bound, "{mean} > {bound}");
}

/// Requests drawn uniformly from k + 1 pages: no online algorithm beats the factor H_k.
fn uniform_adversary(capacity: u64, requests: usize, seed: u64) -> Trace {
    let mut rng = SeedTree::new(seed).child("uniform adversary").rng();
    let mut trace = Trace::from_ids((0..requests).map(|_| rng.random_range(0..=capacity)));
    trace.annotate();
    let column = (0..requests).map(|_| rng.random_range(0.0..1e6)).collect();
    trace.set_predictions(column).unwrap();
    trace
}

fn harmonic(k: u64) -> f64 {
    (1..=k).map(|i| 1.0 / i as f64).sum()
}

/// Means of 30 seeds; the competitive ratio of each run has a standard deviation below 2 %, so the
/// mean is within 5 % of its expectation beyond any doubt.
#[test]
fn robust_algorithms_keep_their_ratio_on_the_uniform_adversary() {
    let capacity = 8;
    let mut sums = [0_u64; 4];
    for seed in 0..30 {
        let trace = uniform_adversary(capacity, 200_000, seed);
        let tree = SeedTree::new(seed);
        let k = capacity as usize;
        let mut policies: [Box<dyn Policy>; 4] = [
            Box::new(Belady::new(capacity)),
            Box::new(OnlineMin::new(k, &tree)),
            Box::new(Guard::new(k, Relaxation::None, &tree)),
            Box::new(Marker::new(k, &tree)),
        ];
        for (sum, policy) in sums.iter_mut().zip(&mut policies) {
            *sum += policy.replay(&trace).unwrap().misses;
        }
    }
    let [optimum, online_min, guard, marker] = sums.map(|sum| sum as f64);
    assert!(
        online_min <= harmonic(capacity) * optimum * 1.05,
        "{online_min} / {optimum}"
    );
    let guarded = 2.0 * harmonic(capacity - 1) + 2.0;
    assert!(guard <= guarded * optimum * 1.05, "{guard} / {optimum}");
    assert!(
        marker <= 2.0 * harmonic(capacity) * optimum * 1.05,
        "{marker} / {optimum}"
    );
    // Any algorithm misses one request in k + 1 on average here.
    let share = online_min / (30.0 * 200_000.0) * (capacity as f64 + 1.0);
    assert!((share - 1.0).abs() < 0.01, "{share}");
}

#[test]
fn perfect_predictions_are_optimal_on_long_traces() {
    use septet_cache::predict::{Noise, oracle};
    let mut trace = uniform_adversary(60, 30_000, 3);
    let seed = SeedTree::new(1);
    let truth = oracle(&trace, Noise::None, &seed).unwrap();
    trace.set_predictions(truth).unwrap();
    for capacity in [3, 10, 40] {
        let optimum = Belady::new(capacity).replay(&trace).unwrap().misses;
        for name in ["FtP", "Guard", "RPB-OM", "F&R"] {
            let spec: PolicySpec = name.parse().unwrap();
            let misses = spec
                .build(capacity, &seed)
                .unwrap()
                .replay(&trace)
                .unwrap()
                .misses;
            assert_eq!(misses, optimum, "{name} with {capacity} slots");
        }
    }
}
