//! Estimates are unbiased with the stated variance, shards add up, and wrong reports are rejected.

use proptest::prelude::*;
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::{
    Aggregate, Countable, DesignAggregator, FrequencyOracle, MAX_REPORTS, RejectCounts,
    RejectReason, checked_total,
};
use septet_robust_stats::design::{
    Assignment, DesignParameters, DesignReport, DesignTag, GroupClient,
};
use septet_robust_stats::mechanism::*;
use septet_robust_stats::{Epsilon, Pmf};

/// Runs a mechanism many times on the same values and compares the squared errors, summed over all
/// symbols, with the stated variance.
///
/// The sum over runs and symbols has a relative standard deviation of about `sqrt(2 / (runs * k))`, at
/// most 0.016 here, and up to `sqrt(4 / (runs * k))` where a sketch has as many places as there are
/// symbols; with the fixed seeds all lie within 0.05.
fn check_variance<M>(name: &str, values: &[usize], runs: u64, make: impl Fn(u64) -> M)
where
    M: Mechanism<Report = <M as Countable>::Report> + FrequencyOracle,
{
    let domain = make(0).domain();
    let mut masses = vec![0.0; domain];
    for &value in values {
        masses[value] += 1.0 / values.len() as f64;
    }
    let (mut squares, mut expected, mut total) = (0.0, 0.0, 0.0);
    for run in 0..runs {
        let mechanism = make(run);
        let mut rng = SeedTree::new(3).child(name).index(run).rng();
        let mut aggregate = Aggregate::new(mechanism.clone());
        for &value in values {
            let report = mechanism.encode(value, &mut rng).expect("in the domain");
            aggregate.push(&report).expect("an honest report");
        }
        for (symbol, estimate) in aggregate.estimates().into_iter().enumerate() {
            let error = estimate - masses[symbol];
            squares += error * error;
            total += error;
            expected += mechanism.variance(&masses, symbol, values.len() as u64);
        }
    }
    let ratio = squares / expected;
    assert!((ratio - 1.0).abs() < 0.05, "{name}: {ratio}");
    // Unbiased: errors within a run sum to about zero or are nearly independent.
    let spread = (expected * domain as f64).sqrt();
    assert!(
        total.abs() < 5.0 * spread,
        "{name}: {total} against {spread}"
    );
}

/// Values of `clients` clients in proportion to Zipf's law.
fn zipf_values(domain: usize, clients: usize) -> Vec<usize> {
    let pmf = Pmf::zipf(domain, 1.0).expect("a domain");
    let mut values = Vec::new();
    for (symbol, mass) in pmf.masses().iter().enumerate() {
        let count = (mass * clients as f64).round() as usize;
        values.extend(std::iter::repeat_n(symbol, count));
    }
    values
}

#[test]
fn variances_are_those_of_the_formulas() {
    for (domain, clients, runs) in [(16, 4_000, 500), (128, 4_000, 100), (1_024, 4_000, 40)] {
        let values = zipf_values(domain, clients);
        for epsilon in [0.5, 2.0] {
            let e = Epsilon::new(epsilon).unwrap();
            let name = |mechanism: &str| format!("{mechanism} k={domain} epsilon={epsilon}");
            let v = &values;
            check_variance(&name("GRR"), v, runs, |_| {
                RandomizedResponse::new(domain, e).unwrap()
            });
            check_variance(&name("SUE"), v, runs, |_| {
                UnaryEncoding::symmetric(domain, e).unwrap()
            });
            check_variance(&name("OUE"), v, runs, |_| {
                UnaryEncoding::optimized(domain, e).unwrap()
            });
            check_variance(&name("SS"), v, runs, |_| {
                SubsetSelection::new(domain, e).unwrap()
            });
            check_variance(&name("OLH"), v, runs, |_| {
                LocalHashing::new(domain, e).unwrap()
            });
            check_variance(&name("HR"), v, runs, |_| {
                HadamardResponse::new(domain, e).unwrap()
            });
            check_variance(&name("HR, one block"), v, runs, |_| {
                HadamardResponse::one_block(domain, e).unwrap()
            });
            // Fresh hash functions in each run, as the formula averages over them; the functions of
            // a run are shared by all symbols, which makes errors of a run hang together.
            let shape = |run| SketchShape::new(domain, 16, 64, run).unwrap();
            check_variance(&name("CMS"), v, runs, |run| {
                CountMeanSketch::new(shape(run), e).unwrap()
            });
            check_variance(&name("HCMS"), v, runs, |run| {
                HadamardCountMeanSketch::new(shape(run), e).unwrap()
            });
        }
    }
}

#[test]
fn totals_are_those_of_reports() {
    assert_eq!(checked_total(&[]).unwrap(), 0);
    assert_eq!(checked_total(&[MAX_REPORTS, 0]).unwrap(), MAX_REPORTS);
    for wrong in [[MAX_REPORTS, 1], [u64::MAX, 1], [1 << 63, 1 << 63]] {
        assert!(checked_total(&wrong).is_err(), "{wrong:?}");
    }
    let mut rejected = RejectCounts::from_counts([u64::MAX; 8]);
    rejected.add(RejectReason::Range);
    assert_eq!(rejected.total(), u64::MAX);
}

// Counts come from files: what no clients can have sent is rejected before a sum overflows.
#[test]
fn counts_that_no_reports_give_are_refused() {
    fn check<M: FrequencyOracle>(mechanism: &M, honest: &M::Report) {
        let mut aggregate = Aggregate::new(mechanism.clone());
        aggregate.push(honest).expect("an honest report");
        let from = |reports, counts| {
            let rejected = RejectCounts::default();
            Aggregate::from_counts(mechanism.clone(), reports, counts, rejected)
        };
        assert!(from(1, aggregate.counts()).is_ok());
        let slots = mechanism.slots();
        assert!(from(MAX_REPORTS + 1, vec![0; slots]).is_err());
        assert!(from(MAX_REPORTS, vec![MAX_REPORTS; slots]).is_err());
        assert!(from(1, vec![0; slots]).is_err());
        assert!(from(1, vec![2; slots]).is_err());
    }
    let e = Epsilon::new(1.0).unwrap();
    let mut rng = SeedTree::new(2).rng();
    macro_rules! all {
        ($($mechanism:expr),*) => {$({
            let mechanism = $mechanism.unwrap();
            check(&mechanism, &mechanism.encode(3, &mut rng).unwrap());
        })*};
    }
    let shape = SketchShape::new(50, 4, 16, 1).unwrap();
    all!(
        RandomizedResponse::new(50, e),
        SubsetSelection::new(50, e),
        HadamardResponse::new(50, e),
        LocalHashing::new(50, e).unwrap().with_family(600),
        CountMeanSketch::new(shape, e),
        HadamardCountMeanSketch::new(shape, e)
    );
}

#[test]
fn mechanisms_that_no_memory_holds_are_refused() {
    let e = Epsilon::new(1.0).unwrap();
    let huge = u32::MAX as usize;
    assert!(Aggregate::try_new(RandomizedResponse::new(huge, e).unwrap()).is_err());
    assert!(Aggregate::try_new(UnaryEncoding::optimized(huge, e).unwrap()).is_err());
    assert!(Aggregate::try_new(HadamardResponse::new(1 << 30, e).unwrap()).is_err());
    assert!(Aggregate::try_new(RandomizedResponse::new(1 << 20, e).unwrap()).is_ok());
}

#[test]
fn the_smallest_epsilon_gives_finite_estimates() {
    fn check<M>(name: &str, mechanism: &M)
    where
        M: Mechanism<Report = <M as Countable>::Report> + FrequencyOracle,
    {
        let mut rng = SeedTree::new(5).rng();
        let mut aggregate = Aggregate::new(mechanism.clone());
        for client in 0..20 {
            let report = mechanism.encode(client, &mut rng).unwrap();
            aggregate.push(&report).unwrap();
        }
        let masses = vec![1.0 / 1_000.0; 1_000];
        assert!(
            aggregate.estimates().iter().all(|x| x.is_finite()),
            "{name}"
        );
        assert!(mechanism.variance(&masses, 0, 20).is_finite(), "{name}");
    }
    let e = Epsilon::new(MIN_EPSILON).unwrap();
    let k = 1_000;
    check("GRR", &RandomizedResponse::new(k, e).unwrap());
    check("SUE", &UnaryEncoding::symmetric(k, e).unwrap());
    check("OUE", &UnaryEncoding::optimized(k, e).unwrap());
    check("SS", &SubsetSelection::new(k, e).unwrap());
    check("OLH", &LocalHashing::new(k, e).unwrap());
    check("HR", &HadamardResponse::new(k, e).unwrap());
    let shape = SketchShape::new(k, 4, 16, 1).unwrap();
    check("CMS", &CountMeanSketch::new(shape, e).unwrap());
    check("HCMS", &HadamardCountMeanSketch::new(shape, e).unwrap());
    let below = Epsilon::new(MIN_EPSILON / 2.0).unwrap();
    assert!(RandomizedResponse::new(k, below).is_err());
    assert!(UnaryEncoding::symmetric(k, below).is_err());
    assert!(UnaryEncoding::optimized(k, below).is_err());
    assert!(SubsetSelection::new(k, below).is_err());
    assert!(LocalHashing::new(k, below).is_err());
    assert!(HadamardResponse::new(k, below).is_err());
    assert!(CountMeanSketch::new(shape, below).is_err());
    assert!(HadamardCountMeanSketch::new(shape, below).is_err());
    let design = DesignParameters::new(k, 4, [0; 32]).unwrap();
    assert!(design.with_epsilon(below).is_err());
}

#[test]
fn a_family_of_hash_functions_estimates_too() {
    let e = Epsilon::new(2.0).unwrap();
    let hashing = LocalHashing::new(64, e).unwrap();
    let values = zipf_values(64, 4_000);
    check_variance("FLH", &values, 20, |_| hashing.with_family(1_000).unwrap());
}

#[test]
fn rappor_counts_are_debiased() {
    let rappor = Rappor::new(32, 2, 4, [0.25, 0.75, 0.5]).unwrap();
    let mut aggregate = Aggregate::new(rappor);
    let mut rng = SeedTree::new(3).child("rappor").rng();
    let clients = 40_000_u32;
    for client in 0..clients {
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(&client.to_le_bytes());
        let report = rappor
            .encode(client % 4, &secret, b"value", &mut rng)
            .unwrap();
        aggregate.push(&report).unwrap();
    }
    let estimates = aggregate.bloom_counts();
    for cohort in 0..4 {
        let set = rappor.bloom_bits(cohort, b"value");
        for bit in 0..32 {
            let truth = if set.contains(&bit) { 10_000.0 } else { 0.0 };
            let estimate = estimates[(cohort * 32 + bit) as usize];
            // A bit's standard deviation is at most sqrt(10 000) / 2 / ((1-f)(q-p)) = 200.
            assert!(
                (estimate - truth).abs() < 1_000.0,
                "{cohort} {bit}: {estimate}"
            );
        }
    }
    let stranger = RapporReport {
        cohort: 4,
        bits: BitVector::zeros(32),
    };
    assert_eq!(aggregate.push(&stranger), Err(RejectReason::Range));
}

#[test]
fn out_of_range_reports_are_rejected_and_counted() {
    let e = Epsilon::new(1.0).unwrap();
    let mut response = Aggregate::new(RandomizedResponse::new(5, e).unwrap());
    assert_eq!(response.push(&5), Err(RejectReason::Range));
    assert_eq!(response.push(&4), Ok(()));
    let mut subset = Aggregate::new(SubsetSelection::new(8, e).unwrap());
    assert_eq!(subset.push(&BitVector::zeros(8)), Err(RejectReason::Range));
    let mut unary = Aggregate::new(UnaryEncoding::optimized(8, e).unwrap());
    assert_eq!(unary.push(&BitVector::zeros(9)), Err(RejectReason::Range));
    let hashing = LocalHashing::new(8, e).unwrap();
    let mut olh = Aggregate::new(hashing);
    assert_eq!(
        olh.push(&HashedCell { seed: 1, cell: 4 }),
        Err(RejectReason::Range)
    );
    let mut flh = Aggregate::new(hashing.with_family(10).unwrap());
    assert_eq!(
        flh.push(&HashedCell { seed: 10, cell: 0 }),
        Err(RejectReason::Range)
    );
    assert_eq!(flh.push(&HashedCell { seed: 9, cell: 0 }), Ok(()));
    let mut hadamard = Aggregate::new(HadamardResponse::new(5, e).unwrap());
    assert_eq!(hadamard.push(&1_000), Err(RejectReason::Range));
    assert_eq!(response.rejected().get(RejectReason::Range), 1);
    assert_eq!((response.reports(), response.rejected().total()), (1, 1));
    // Another mechanism does not merge.
    let other = Aggregate::new(RandomizedResponse::new(6, e).unwrap());
    assert!(response.merge(&other).is_err());
}

#[test]
fn nothing_is_estimated_from_nothing() {
    let e = Epsilon::new(1.0).unwrap();
    for k in [1, 2, 5] {
        let zeros = vec![0.0; k];
        let shape = SketchShape::new(k, 2, 4, 0).unwrap();
        assert_eq!(
            Aggregate::new(RandomizedResponse::new(k, e).unwrap()).estimates(),
            zeros
        );
        assert_eq!(
            Aggregate::new(HadamardResponse::new(k, e).unwrap()).estimates(),
            zeros
        );
        assert_eq!(
            Aggregate::new(LocalHashing::new(k, e).unwrap()).estimates(),
            zeros
        );
        assert_eq!(
            Aggregate::new(CountMeanSketch::new(shape, e).unwrap()).estimates(),
            zeros
        );
    }
}

#[test]
fn reports_are_counted_where_they_belong_only() {
    let parameters = DesignParameters::new(20, 4, [2; 32])
        .unwrap()
        .with_epsilon(Epsilon::new(1.0).unwrap())
        .unwrap()
        .with_epoch(7);
    let assignment = Assignment::new([9; 16], &parameters);
    let mut aggregator = DesignAggregator::new(parameters, assignment)
        .unwrap()
        .with_duplicate_detection();
    let mut rng = SeedTree::new(1).rng();
    let group = assignment.group(b"anna");
    let client = GroupClient::new(&parameters, group).unwrap();
    let report = DesignReport::encode(&client, 3, &mut rng).unwrap();

    let other_group = DesignReport {
        group: (report.group + 1) % 20,
        ..report
    };
    let wrong = [
        (DesignReport { epoch: 8, ..report }, RejectReason::Epoch),
        (
            DesignReport {
                design: DesignTag([0; 8]),
                ..report
            },
            RejectReason::Design,
        ),
        (DesignReport { cell: 4, ..report }, RejectReason::Range),
        (
            DesignReport {
                group: 20,
                ..report
            },
            RejectReason::Range,
        ),
        (other_group, RejectReason::Group),
    ];
    let mut expected = RejectCounts::default();
    for (report, reason) in wrong {
        assert_eq!(aggregator.push(b"anna", &report), Err(reason));
        expected.add(reason);
        assert_eq!(aggregator.counts().rejected, expected, "{reason}");
    }
    assert_eq!(expected.get(RejectReason::Range), 2);
    assert_eq!(aggregator.push(b"anna", &report), Ok(()));
    assert_eq!(
        aggregator.push(b"anna", &report),
        Err(RejectReason::Duplicate)
    );
    assert_eq!(aggregator.counts().matrix.reports(), 1);
    assert_eq!(aggregator.counts().rejected.total(), 6);

    let later = Assignment::new([9; 16], &parameters.with_epoch(8));
    assert!(DesignAggregator::new(parameters, later).is_err());
}

/// A client's second report is rejected, by merged shards too, and what is no report of the mechanism
/// does not use up a client's name.
fn check_duplicates<M>(mechanism: &M, reports: &[M::Report; 2], wrong: &M::Report)
where
    M: Countable + std::fmt::Debug,
{
    let empty = || Aggregate::new(mechanism.clone()).with_duplicate_detection([7; 16]);
    let (mut first, mut second) = (empty(), empty());
    assert_eq!(first.push_from(b"anna", wrong), Err(RejectReason::Range));
    for (result, name) in [(Ok(()), b"anna"), (Ok(()), b"otto")] {
        assert_eq!(first.push_from(name, &reports[0]), result, "{mechanism:?}");
        for report in reports {
            assert_eq!(first.push_from(name, report), Err(RejectReason::Duplicate));
        }
    }
    assert_eq!(second.push_from(b"vera", &reports[1]), Ok(()));
    first.merge(&second).expect("the same mechanism");
    assert_eq!(
        first.push_from(b"vera", &reports[0]),
        Err(RejectReason::Duplicate)
    );
    assert_eq!((first.reports(), first.rejected().total()), (3, 6));
    assert_eq!(first.rejected().get(RejectReason::Duplicate), 5);

    // Fingerprints by another key cannot be compared, and nothing is added.
    let mut other = Aggregate::new(mechanism.clone()).with_duplicate_detection([8; 16]);
    other
        .push_from(b"anna", &reports[0])
        .expect("an honest report");
    assert!(first.merge(&other).is_err());
    assert_eq!(first.reports(), 3);
    // Without detection, and without names, all are counted.
    let mut plain = Aggregate::new(mechanism.clone());
    plain
        .push_from(b"anna", &reports[0])
        .expect("an honest report");
    plain
        .push_from(b"anna", &reports[0])
        .expect("an honest report");
    first.push(&reports[0]).expect("an honest report");
    first.push(&reports[0]).expect("an honest report");
    assert_eq!((plain.reports(), first.reports()), (2, 5));
}

#[test]
fn a_client_counts_once_in_every_mechanism() {
    let e = Epsilon::new(1.0).unwrap();
    let mut rng = SeedTree::new(2).rng();
    let shape = SketchShape::new(50, 4, 16, 1).unwrap();
    let row = SketchRow {
        row: 4,
        bits: BitVector::zeros(16),
    };
    let sign = SketchSign {
        row: 4,
        column: 0,
        negative: false,
    };
    let cell = HashedCell { seed: 0, cell: 99 };
    macro_rules! all {
        ($($mechanism:expr, $wrong:expr;)*) => {$({
            let mechanism = $mechanism.unwrap();
            let reports = [3, 4].map(|symbol| mechanism.encode(symbol, &mut rng).unwrap());
            check_duplicates(&mechanism, &reports, $wrong);
        })*};
    }
    all!(
        RandomizedResponse::new(50, e), &50;
        UnaryEncoding::symmetric(50, e), &BitVector::zeros(9);
        UnaryEncoding::optimized(50, e), &BitVector::zeros(9);
        SubsetSelection::new(50, e), &BitVector::zeros(50);
        HadamardResponse::new(50, e), &1_000;
        LocalHashing::new(50, e), &cell;
        LocalHashing::new(50, e).unwrap().with_family(600), &cell;
        CountMeanSketch::new(shape, e), &row;
        HadamardCountMeanSketch::new(shape, e), &sign;
    );
    let rappor = Rappor::new(32, 2, 4, [0.25, 0.75, 0.5]).unwrap();
    let reports = [b"a", b"b"].map(|value| rappor.encode(1, &[3; 32], value, &mut rng).unwrap());
    let wrong = RapporReport {
        cohort: 4,
        bits: BitVector::zeros(32),
    };
    check_duplicates(&rappor, &reports, &wrong);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn shards_in_any_order_give_the_same_bits(
        shards in 1_usize..=64,
        order: u64,
        clients in 0_usize..400,
        kind in 0_u8..9,
    ) {
        let e = Epsilon::new(1.0).unwrap();
        let shape = SketchShape::new(50, 4, 16, order).unwrap();
        let hashing = LocalHashing::new(50, e).unwrap();
        match kind {
            0 => merge_law(&RandomizedResponse::new(50, e).unwrap(), shards, order, clients),
            1 => merge_law(&UnaryEncoding::optimized(50, e).unwrap(), shards, order, clients),
            2 => merge_law(&hashing, shards, order, clients),
            3 => merge_law(&HadamardResponse::new(50, e).unwrap(), shards, order, clients),
            4 => merge_law(&SubsetSelection::new(50, e).unwrap(), shards, order, clients),
            5 => merge_law(&hashing.with_family(20).unwrap(), shards, order, clients),
            6 => merge_law(&CountMeanSketch::new(shape, e).unwrap(), shards, order, clients),
            7 => merge_law(&HadamardCountMeanSketch::new(shape, e).unwrap(), shards, order, clients),
            _ => rappor_merge_law(shards, order, clients),
        }
    }

    #[test]
    fn design_shards_in_any_order_give_the_same_counts(shards in 1_u64..=64, order: u64) {
        let parameters = DesignParameters::new(20, 4, [2; 32]).unwrap();
        let assignment = Assignment::new([9; 16], &parameters);
        let empty = DesignAggregator::new(parameters, assignment).unwrap();
        let (mut whole, mut parts) = (empty.clone(), vec![empty.clone(); shards as usize]);
        let mut rng = SeedTree::new(order).rng();
        for client in 0_u64..300 {
            let name = client.to_le_bytes();
            // One in five lies about its group.
            let group = if client % 5 == 0 { 0 } else { assignment.group(&name) };
            let group = GroupClient::new(&parameters, group).unwrap();
            let report = DesignReport::encode(&group, (client % 20) as usize, &mut rng).unwrap();
            let expected = whole.push(&name, &report);
            let shard = (client.wrapping_mul(order | 1) % shards) as usize;
            prop_assert_eq!(parts[shard].push(&name, &report), expected);
        }
        let mut merged = empty;
        parts.rotate_left((order % shards) as usize);
        for part in &parts {
            merged.merge(part).unwrap();
        }
        prop_assert_eq!(merged.counts(), whole.counts());
    }
}

/// Shards joined from the left, from the right and in pairs: associativity and commutativity.
fn joined<M: Countable>(parts: &[Aggregate<M>], mechanism: &M) -> [Aggregate<M>; 3] {
    let empty = Aggregate::new(mechanism.clone());
    let mut left = empty.clone();
    for part in parts {
        left.merge(part).expect("the same mechanism");
    }
    let mut right = empty.clone();
    for part in parts.iter().rev() {
        let mut joined = part.clone();
        joined.merge(&right).expect("the same mechanism");
        right = joined;
    }
    let mut level = parts.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| {
                let mut sum = pair[0].clone();
                for more in &pair[1..] {
                    sum.merge(more).expect("the same mechanism");
                }
                sum
            })
            .collect();
    }
    [left, right, level.pop().unwrap_or(empty)]
}

fn rappor_merge_law(shards: usize, order: u64, clients: usize) {
    let rappor = Rappor::new(32, 2, 4, [0.25, 0.75, 0.5]).expect("in range");
    let mut rng = SeedTree::new(order).rng();
    let mut whole = Aggregate::new(rappor);
    let mut parts = vec![Aggregate::new(rappor); shards];
    for client in 0..clients {
        let secret = [client as u8; 32];
        let value = (client % 50).to_le_bytes();
        let report = rappor
            .encode(client as u32 % 4, &secret, &value, &mut rng)
            .expect("a cohort");
        whole.push(&report).expect("honest");
        parts[(client as u64).wrapping_mul(order | 1) as usize % shards]
            .push(&report)
            .expect("honest");
    }
    parts.rotate_left(order as usize % shards);
    let bits = |aggregate: &Aggregate<Rappor>| -> Vec<u64> {
        let counts = aggregate.bloom_counts();
        counts.iter().map(|x| x.to_bits()).collect()
    };
    for sum in joined(&parts, &rappor) {
        assert_eq!(sum, whole);
        assert_eq!(bits(&sum), bits(&whole));
    }
}

fn merge_law<M>(mechanism: &M, shards: usize, order: u64, clients: usize)
where
    M: Mechanism<Report = <M as Countable>::Report> + FrequencyOracle + std::fmt::Debug,
{
    let mut rng = SeedTree::new(order).rng();
    let mut whole = Aggregate::new(mechanism.clone());
    let mut parts = vec![Aggregate::new(mechanism.clone()); shards];
    for client in 0..clients {
        let report = mechanism
            .encode(client % 50, &mut rng)
            .expect("in the domain");
        whole.push(&report).expect("honest");
        parts[(client as u64).wrapping_mul(order | 1) as usize % shards]
            .push(&report)
            .expect("honest");
    }
    parts.rotate_left(order as usize % shards);
    let bits = |aggregate: &Aggregate<M>| -> Vec<u64> {
        aggregate.estimates().iter().map(|x| x.to_bits()).collect()
    };
    for sum in joined(&parts, mechanism) {
        assert_eq!(sum, whole);
        assert_eq!(bits(&sum), bits(&whole));
    }
}

#[test]
fn shards_with_different_keys_are_not_merged() {
    let design = DesignParameters::new(20, 4, [1; 32]).unwrap();
    let shard = |key: u8| {
        let assignment = Assignment::new([key; 16], &design);
        DesignAggregator::new(design, assignment)
            .unwrap()
            .with_duplicate_detection()
    };
    let mut first = shard(1);
    assert!(first.merge(&shard(1)).is_ok());
    let error = first.merge(&shard(2)).unwrap_err().to_string();
    assert_eq!(error, "key of the assignment differs: one and another");
}
