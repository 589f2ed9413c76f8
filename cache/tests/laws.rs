//! Laws that hold for every policy, checked on random traces.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use septet_cache::learned::FollowPrediction;
use septet_cache::miss_ratio_curve::LruCurve;
use septet_cache::policy::{Belady, Lru, Policy};
use septet_cache::predict::{Noise, Recency, oracle, predictions};
use septet_cache::request::Request;
use septet_cache::trace::{Record, Trace};
use septet_cache::{PolicySpec, SeedTree};

/// Every policy by name, and some combinations.
fn specs() -> Vec<PolicySpec> {
    PolicySpec::names()
        .chain([
            "RobustFtP_D",
            "RobustFtP_R",
            "BlindOracle_D",
            "LNonMarker_R",
            "FollowLeader(FtP, SIEVE, LRU, hysteresis=2)",
            "D(WTinyLFU, Guard, LIRS, gamma=0.5)",
            "R(S3FIFO, Trust&Doubt, Mark0, epsilon=0.3)",
            "D(R(FtP, LRU), F&R)",
        ])
        .map(|name| name.parse().unwrap())
        .collect()
}

/// Requests of pages below 40 with locality, arbitrary predictions among them.
fn requests() -> impl Strategy<Value = Vec<(u64, f64)>> {
    let page = prop_oneof![4 => 0..12_u64, 1 => 0..40_u64];
    let prediction = prop_oneof![
        8 => -50.0..600.0_f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(0.0),
    ];
    prop::collection::vec((page, prediction), 0..400)
}

fn trace_of(requests: &[(u64, f64)]) -> Trace {
    let mut trace = Trace::from_ids(requests.iter().map(|&(page, _)| page));
    trace.annotate();
    let column = requests.iter().map(|&(_, predicted)| predicted).collect();
    trace.set_predictions(column).unwrap();
    trace
}

fn request_at(trace: &Trace, index: usize) -> Request {
    Request {
        page: trace.pages()[index],
        size: trace.sizes().map_or(1, |sizes| sizes[index]),
        now: index as u32,
        next: trace.next().unwrap()[index],
        predicted: trace.predictions().map_or(0.0, |column| column[index]),
    }
}

/// Follows a policy from outside: what it says about hits, evictions and residents is consistent,
/// and the capacity holds after every request.
fn check_conduct(policy: &mut dyn Policy, trace: &Trace, capacity: u64) -> u64 {
    let name = policy.name();
    let mut resident: BTreeSet<u32> = BTreeSet::new();
    let mut size_of = vec![0_u64; trace.page_count()];
    let mut evicted = Vec::new();
    let mut misses = 0;
    for index in 0..trace.len() {
        let request = request_at(trace, index);
        let page = request.page;
        evicted.clear();
        let hit = policy.access(&request, &mut evicted);
        assert_eq!(
            hit,
            resident.contains(&page),
            "{name}, request {index}: hit"
        );
        misses += u64::from(!hit);
        if !hit {
            size_of[page as usize] = u64::from(request.size);
        }
        for victim in &evicted {
            assert!(
                resident.remove(victim),
                "{name}, request {index}: {victim} evicted but not resident"
            );
        }
        if policy.contains(page) {
            resident.insert(page);
        }
        for other in 0..trace.page_count() as u32 {
            assert_eq!(
                policy.contains(other),
                resident.contains(&other),
                "{name}, request {index}: page {other}"
            );
        }
        let used: u64 = resident.iter().map(|&page| size_of[page as usize]).sum();
        assert!(
            used <= capacity,
            "{name}, request {index}: {used} > {capacity}"
        );
    }
    misses
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_policy_is_consistent_and_no_better_than_the_optimum(
        requests in requests(),
        capacity in 1..12_u64,
        seed in any::<u64>(),
    ) {
        let trace = trace_of(&requests);
        let optimum = Belady::new(capacity).replay(&trace).unwrap().misses;
        for spec in specs() {
            let mut policy = spec.build(capacity, &SeedTree::new(seed)).unwrap();
            let misses = check_conduct(&mut *policy, &trace, capacity);
            // These need not admit what they serve, so the optimum does not bind them.
            let bypasses = ["BeladySize", "GDSF"].contains(&spec.to_string().as_str());
            prop_assert!(bypasses || misses >= optimum, "{spec}: {misses} < {optimum}");
            let mut again = spec.build(capacity, &SeedTree::new(seed)).unwrap();
            prop_assert_eq!(again.replay(&trace).unwrap().misses, misses, "{}", spec);
        }
    }

    #[test]
    fn policies_of_objects_keep_the_capacity_in_bytes(
        requests in prop::collection::vec((0..30_u64, 0..40_u32), 0..300),
        capacity in 1..100_u64,
        seed in any::<u64>(),
    ) {
        let mut trace = Trace::from_records(
            requests.iter().map(|&(id, size)| Ok(Record { size, ..Record::from_id(id) })),
        )
        .unwrap();
        trace.annotate();
        for spec in specs() {
            let mut policy = spec.build(capacity, &SeedTree::new(seed)).unwrap();
            if policy.needs().unit_sizes {
                if trace.sizes().is_some() {
                    prop_assert!(policy.replay(&trace).is_err(), "{spec} takes sizes");
                }
            } else {
                check_conduct(&mut *policy, &trace, capacity);
            }
        }
    }

    #[test]
    fn following_perfect_predictions_is_optimal(requests in requests(), capacity in 1..12_u64) {
        let mut trace = trace_of(&requests);
        let seed = SeedTree::new(0);
        let truth = oracle(&trace, Noise::None, &seed).unwrap();
        trace.set_predictions(truth).unwrap();
        let optimum = Belady::new(capacity).replay(&trace).unwrap().misses;
        for name in ["FtP", "Guard", "RPB-OM", "F&R"] {
            let spec: PolicySpec = name.parse().unwrap();
            let misses = spec.build(capacity, &seed).unwrap().replay(&trace).unwrap().misses;
            prop_assert_eq!(misses, optimum, "{}", name);
        }
    }

    #[test]
    fn following_recency_is_lru_miss_for_miss(requests in requests(), capacity in 1..12_usize) {
        let mut trace = trace_of(&requests);
        trace.set_predictions(predictions(&mut Recency, &trace)).unwrap();
        let mut follow = FollowPrediction::new(capacity);
        let mut lru = Lru::new(capacity as u64);
        let mut evicted = (Vec::new(), Vec::new());
        for index in 0..trace.len() {
            let request = request_at(&trace, index);
            prop_assert_eq!(
                follow.access(&request, &mut evicted.0),
                lru.access(&request, &mut evicted.1)
            );
            prop_assert_eq!(&evicted.0, &evicted.1);
        }
    }

    #[test]
    fn the_curve_of_one_pass_equals_a_run_for_each_size(requests in requests()) {
        let trace = trace_of(&requests);
        let curve = LruCurve::new(&trace);
        for capacity in 1..=41 {
            let misses = Lru::new(capacity).replay(&trace).unwrap().misses;
            prop_assert_eq!(curve.misses(capacity), misses, "capacity {}", capacity);
        }
    }

    #[test]
    fn replaying_parts_is_replaying_the_whole(
        requests in requests(),
        cut in 0.0..1.0_f64,
        capacity in 1..12_u64,
    ) {
        let trace = trace_of(&requests);
        let cut = (trace.len() as f64 * cut) as usize;
        for spec in specs() {
            let build = || spec.build(capacity, &SeedTree::new(3)).unwrap();
            let whole = build().replay(&trace).unwrap();
            let mut parts = build();
            let mut sum = parts.replay_range(&trace, 0..cut);
            sum += parts.replay_range(&trace, cut..trace.len());
            prop_assert_eq!(sum, whole, "{}", spec);
        }
    }
}

/// The least misses of any sequence of caches, by trying all evictions.
fn exhaustive_optimum(pages: &[u32], capacity: usize) -> u64 {
    let mut caches: Vec<(BTreeSet<u32>, u64)> = vec![(BTreeSet::new(), 0)];
    for &page in pages {
        let mut after: std::collections::BTreeMap<BTreeSet<u32>, u64> = Default::default();
        for (cache, cost) in caches {
            let mut reach = |cache: BTreeSet<u32>, cost: u64| {
                let best = after.entry(cache).or_insert(cost);
                *best = cost.min(*best);
            };
            if cache.contains(&page) {
                reach(cache, cost);
            } else if cache.len() < capacity {
                let mut cache = cache;
                cache.insert(page);
                reach(cache, cost + 1);
            } else {
                for victim in &cache {
                    let mut cache = cache.clone();
                    cache.remove(victim);
                    cache.insert(page);
                    reach(cache, cost + 1);
                }
            }
        }
        caches = after.into_iter().collect();
    }
    caches.iter().map(|(_, cost)| *cost).min().unwrap_or(0)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn belady_is_optimal(pages in prop::collection::vec(0..7_u64, 0..40), capacity in 1..5_usize) {
        let mut trace = Trace::from_ids(pages);
        trace.annotate();
        let misses = Belady::new(capacity as u64).replay(&trace).unwrap().misses;
        prop_assert_eq!(misses, exhaustive_optimum(trace.pages(), capacity));
    }
}
