//! Laws of the learned sketch: what it never does, whatever the stream and the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use septet_sketch::count_min::UpdateRule;
use septet_sketch::heavy_hitters::MisraGries;
use septet_sketch::learned::{Admission, Learned, Slot, Slot8, Slot16, Threshold};
use septet_sketch::oracle::Oracle;
use septet_sketch::{CountMin, FrequencySketch, KeyHash, Merge, SketchError};

/// Expects small keys to be frequent, and counts how often it is asked for a key.
#[derive(Debug, Default)]
struct Small {
    asked: AtomicU64,
    version: u8,
}

impl Clone for Small {
    fn clone(&self) -> Self {
        Self {
            asked: AtomicU64::new(0),
            version: self.version,
        }
    }
}

impl Oracle<u64> for Small {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        self.asked.fetch_add(keys.len() as u64, Ordering::Relaxed);
        for (key, score) in keys.iter().zip(scores) {
            // Neighbors share a score, so that there are ties.
            *score = -((**key / 4) as f32);
        }
    }

    fn model_bytes(&self) -> usize {
        0
    }

    fn fingerprint(&self) -> [u8; 16] {
        [self.version; 16]
    }
}

type Sketch<T> = Learned<u64, CountMin<u32>, Small, T>;

#[derive(Clone, Copy, Debug)]
struct Shape {
    bytes: usize,
    share: f64,
    threshold: Threshold,
    rule: UpdateRule,
    rejection_cache_bits: Option<u32>,
}

fn shape() -> impl Strategy<Value = Shape> {
    (
        1000usize..4000,
        0.0f64..=1.0,
        prop_oneof![
            (-64.0f32..1.0).prop_map(Threshold::Fixed),
            (0.5f64..2.0).prop_map(|keys_per_slot| Threshold::Quantile { keys_per_slot }),
            (0.5f64..2.0).prop_map(|keys_per_slot| Threshold::Adaptive { keys_per_slot }),
        ],
        prop_oneof![Just(UpdateRule::Plain), Just(UpdateRule::Conservative)],
        prop_oneof![Just(None), (0u32..5).prop_map(Some)],
    )
        .prop_map(
            |(bytes, share, threshold, rule, rejection_cache_bits)| Shape {
                bytes,
                // The sketch needs some bytes.
                share: share.min(0.8),
                threshold,
                rule,
                rejection_cache_bits,
            },
        )
}

fn build<T: Slot>(shape: Shape) -> Sketch<T> {
    let extra = match shape.threshold {
        Threshold::Adaptive { .. } => 128 * 12,
        _ => 0,
    };
    Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
        .bytes(shape.bytes + extra + 128)
        .explicit_fraction(shape.share)
        .threshold(shape.threshold)
        .validation_scores((0..200).map(|i| -(i as f32) / 2.0).collect::<Vec<_>>())
        .rejection_cache_bits(shape.rejection_cache_bits)
        .slot::<T>()
        .build(|bytes| {
            CountMin::builder()
                .bytes(bytes)
                .update_rule(shape.rule)
                .build()
        })
        .expect("the parameters are in range")
}

/// Keys below 256, small ones more often, with weights; now and then one that fills a slot.
fn stream() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let key = (0u64..256, 0u64..256).prop_map(|(a, b)| a.min(b));
    let by = prop_oneof![
        16 => Just(1u64),
        4 => 0u64..50,
        1 => Just((1u64 << 30) - 2),
    ];
    prop::collection::vec((key, by), 0..300)
}

fn exact(streams: &[&[(u64, u64)]]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for &(key, by) in streams.iter().copied().flatten() {
        *counts.entry(key).or_default() += by;
    }
    counts
}

fn push<T: Slot>(sketch: &mut Sketch<T>, stream: &[(u64, u64)]) {
    for (key, by) in stream {
        sketch.update_by(key, *by);
    }
}

/// Counters of 32 bits may be full: then the estimate is their largest value and not too small by
/// any fault of the table.
fn check<T: Slot>(sketch: &Sketch<T>, truth: &BTreeMap<u64, u64>) {
    assert_eq!(sketch.total(), truth.values().sum::<u64>());
    for key in 0u64..256 {
        let f = truth.get(&key).copied().unwrap_or(0);
        let estimate = sketch.estimate(&key);
        assert!(
            estimate.value >= f || estimate.value >= u64::from(u32::MAX),
            "{key}: {} < {f}",
            estimate.value
        );
        if estimate.exact {
            assert_eq!(estimate.value, f, "{key}");
        }
    }
}

fn laws<T: Slot + Clone>(shape: Shape, a: &[(u64, u64)], b: &[(u64, u64)]) {
    let mut left = build::<T>(shape);
    push(&mut left, a);
    check(&left, &exact(&[a]));
    let mut right = build::<T>(shape);
    push(&mut right, b);
    let before = (left.size_bytes(), left.coverage());
    match left.merge(&right) {
        Ok(()) => {
            check(&left, &exact(&[a, b]));
            push(&mut left, a);
            check(&left, &exact(&[a, b, a]));
            assert!(left.coverage() <= 1.0);
        }
        Err(SketchError::TableOverflow { .. }) => {
            check(&left, &exact(&[a]));
            assert_eq!((left.size_bytes(), left.coverage()), before);
        }
        Err(error) => panic!("{error}"),
    }
    left.next_window();
    check(&left, &BTreeMap::new());
    push(&mut left, b);
    check(&left, &exact(&[b]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_underestimates_with_slots_of_8_bytes(shape in shape(), a in stream(), b in stream()) {
        laws::<Slot8>(shape, &a, &b);
    }

    #[test]
    fn never_underestimates_with_slots_of_16_bytes(shape in shape(), a in stream(), b in stream()) {
        laws::<Slot16>(shape, &a, &b);
    }

    #[test]
    fn batches_are_pushes_one_by_one(
        shape in shape(),
        keys in prop::collection::vec((0u64..256, 0u64..256), 0..700),
        scale in prop_oneof![Just(1u64), Just(97)],
    ) {
        let keys: Vec<u64> = keys.into_iter().map(|(a, b)| a.min(b) * scale).collect();
        let mut one = build::<Slot8>(shape);
        let mut batch = build::<Slot8>(shape);
        for key in &keys {
            one.update_by(key, 1);
        }
        let (first, second) = keys.split_at(keys.len() / 3);
        batch.update_batch(first);
        batch.update_batch(second);
        for key in 0..256 {
            prop_assert_eq!(one.estimate(&(key * scale)), batch.estimate(&(key * scale)));
        }
        prop_assert_eq!(one.coverage(), batch.coverage());
        prop_assert_eq!(one.stats().admitted, batch.stats().admitted);
        prop_assert_eq!(one.sketch(), batch.sketch());
    }

    /// Every occurrence of a key with a slot was counted there: nothing overflows or comes late.
    #[test]
    fn coverage_is_the_mass_of_the_keys_in_the_table(
        shape in shape(),
        keys in prop::collection::vec((0u64..256, 0u64..256), 0..700),
    ) {
        let keys: Vec<u64> = keys.into_iter().map(|(a, b)| a.min(b)).collect();
        let threshold = match shape.threshold {
            Threshold::Adaptive { keys_per_slot } => Threshold::Quantile { keys_per_slot },
            other => other,
        };
        let mut sketch = build::<Slot16>(Shape { threshold, ..shape });
        sketch.update_batch(&keys);
        let explicit = keys.iter().filter(|key| sketch.estimate(key).exact).count();
        prop_assert_eq!(sketch.stats().explicit, explicit as u64);
        prop_assert_eq!(sketch.sketch().total(), (keys.len() - explicit) as u64);
        let coverage = explicit as f64 / keys.len().max(1) as f64;
        prop_assert!((sketch.coverage() - coverage).abs() < 1e-12);
    }
}

/// Sides that admit different keys: what one of them has in its table, the other has in its sketch.
fn merges_of_unlike_sides<T: Slot + Clone>() {
    let build = |validation: f32| {
        Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
            .bytes(8192)
            .threshold(Threshold::Adaptive { keys_per_slot: 1.0 })
            .validation_scores(vec![validation; 10])
            .expected_keys(1_000_000)
            .slot::<T>()
            .build(|bytes| CountMin::builder().bytes(bytes).build())
            .expect("in range")
    };
    // All scores are above the first cut, and none above the second.
    let (open, closed) = (build(-1e6), build(1e6));
    let stream: Vec<(u64, u64)> = (0..20).map(|key| (key, key + 1)).collect();
    let truth = exact(&[&stream, &stream]);
    for swapped in [false, true] {
        let (mut left, mut right) = (open.clone(), closed.clone());
        push(&mut left, &stream);
        push(&mut right, &stream);
        assert_eq!((left.coverage(), right.coverage()), (1.0, 0.0));
        if swapped {
            std::mem::swap(&mut left, &mut right);
        }
        left.merge(&right).expect("alike");
        check(&left, &truth);
        assert!((left.coverage() - 0.5).abs() < 1e-12);
        assert!(!left.estimate(&3).exact);
    }
}

#[test]
fn merges_of_unlike_sides_never_underestimate() {
    merges_of_unlike_sides::<Slot8>();
    merges_of_unlike_sides::<Slot16>();
}

/// With one fixed threshold and room to spare, a key of one table was not in the other stream.
#[test]
fn merges_of_like_sides_stay_exact() {
    let shape = Shape {
        bytes: 4096,
        share: 0.5,
        threshold: Threshold::Fixed(-10.0),
        rule: UpdateRule::Conservative,
        rejection_cache_bits: Some(4),
    };
    let mut left = build::<Slot8>(shape);
    let mut right = build::<Slot8>(shape);
    push(&mut left, &[(1, 5), (2, 6), (200, 7)]);
    push(&mut right, &[(2, 1), (3, 9), (100, 7)]);
    left.merge(&right).expect("alike");
    check(
        &left,
        &exact(&[&[(1, 5), (2, 7), (3, 9), (100, 7), (200, 7)]]),
    );
    assert!((1..4).all(|key| left.estimate(&key).exact));
    assert!(!left.estimate(&100).exact);
}

/// More different keys than the sample of an adaptive threshold holds: the cut moves within the
/// stream, and keys are admitted late.
#[test]
fn an_adaptive_threshold_never_underestimates_and_batches_alike() {
    let build = || {
        Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
            .bytes(40 * 1024)
            .explicit_fraction(0.5)
            .threshold(Threshold::Adaptive { keys_per_slot: 1.1 })
            // In truth the scores are lower, so that the cut has to fall.
            .validation_scores((0..4000).map(|i| (i % 100) as f32).collect::<Vec<_>>())
            .build(|bytes| CountMin::builder().bytes(bytes).build())
            .expect("in range")
    };
    let mut state = 1u64;
    let keys: Vec<u64> = (0..60_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let wide = state >> 52;
            (wide * wide) >> 12
        })
        .collect();
    let mut one = build();
    for key in &keys {
        one.update_by(key, 1);
    }
    let mut batch = build();
    batch.update_batch(&keys);
    let mut truth = BTreeMap::new();
    for key in &keys {
        *truth.entry(*key).or_insert(0u64) += 1;
    }
    for (key, &f) in &truth {
        let estimate = one.estimate(key);
        assert!(estimate.value >= f);
        assert!(!estimate.exact || estimate.value == f);
        assert_eq!(estimate, batch.estimate(key));
    }
    assert_eq!(one.sketch(), batch.sketch());
    assert!(one.stats().late > 0, "no key was admitted late");
    assert!(one.threshold_score() < 0.0);
}

#[test]
fn the_oracle_is_called_once_per_key_while_the_verdict_is_cached() {
    let mut sketch = Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
        .bytes(1 << 16)
        .threshold(Threshold::Fixed(-10.0))
        .rejection_cache_bits(Some(12))
        .build(|bytes| CountMin::builder().bytes(bytes).build())
        .expect("in range");
    let keys: Vec<u64> = (0..100).collect();
    for _ in 0..50 {
        sketch.update_batch(&keys);
    }
    let asked = sketch.oracle().asked.load(Ordering::Relaxed);
    // Two of a hundred keys may share one of 4096 places, and are asked for in turn.
    assert!((100..300).contains(&asked), "{asked}");
    assert_eq!(sketch.stats().oracle_queries, asked);
    assert_eq!(sketch.table().len(), 40);
}

#[test]
fn a_full_table_does_not_call_the_oracle() {
    let mut sketch = Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
        .bytes(4096)
        .slots(16)
        .threshold(Threshold::Fixed(f32::NEG_INFINITY))
        .rejection_cache_bits(None)
        .build(|bytes| CountMin::builder().bytes(bytes).build())
        .expect("in range");
    let keys: Vec<u64> = (0..16).collect();
    sketch.update_batch(&keys);
    assert_eq!(sketch.table().len(), 16);
    let keys: Vec<u64> = (16..1000).collect();
    sketch.update_batch(&keys);
    sketch.update_by(&5000, 3);
    assert_eq!(sketch.stats().oracle_queries, 16);
    assert!((sketch.coverage() - 16.0 / 1003.0).abs() < 1e-12);
}

#[test]
fn the_budget_is_kept() {
    for bytes in [5000, 1 << 16, 1 << 20] {
        for share in [0.0, 0.3, 0.8] {
            let sketch = Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
                .bytes(bytes)
                .explicit_fraction(share)
                .threshold(Threshold::Fixed(0.0))
                .build(|bytes| CountMin::builder().bytes(bytes).build())
                .expect("in range");
            assert!(sketch.size_bytes() <= bytes);
            assert!(sketch.size_bytes() + 128 > bytes, "{}", sketch.size_bytes());
        }
    }
}

#[test]
fn a_learned_misra_gries_never_overestimates() {
    let mut sketch = Learned::<u64, MisraGries<KeyHash>, Small>::builder(Small::default())
        .bytes(6000)
        .threshold(Threshold::Fixed(-8.0))
        .build(|bytes| MisraGries::with_bytes(bytes, 3))
        .expect("in range");
    let mut truth = BTreeMap::new();
    let mut state = 7u64;
    let keys: Vec<u64> = (0..30_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let wide = state >> 51;
            (wide * wide) >> 13
        })
        .collect();
    sketch.update_batch(&keys);
    for key in &keys {
        *truth.entry(*key).or_insert(0u64) += 1;
    }
    let counters = sketch.sketch().counters() as u64;
    let bound = sketch.sketch().total() / (counters + 1);
    assert!(bound > 0 && bound < sketch.total() / (counters + 1));
    for (key, &f) in &truth {
        let estimate = sketch.estimate(key);
        assert!(estimate.value <= f && f - estimate.value <= bound);
        assert_eq!(estimate.exact, *key < 32);
    }
}

#[test]
fn cost_based_admission_sets_the_threshold_to_the_cost_of_a_slot() {
    let build = |expected_total| {
        Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
            .bytes(8192)
            .explicit_fraction(0.5)
            .rejection_cache_bits(None)
            .threshold(Threshold::Fixed(f32::NEG_INFINITY))
            .admission(Admission::CostBased { expected_total })
            .build(|bytes| CountMin::builder().bytes(bytes).build())
            .expect("in range")
    };
    // 8 bytes of a sketch of 4096 bytes carry 1/512 of the stream; half of that is the price.
    let sketch = build(1_024_000);
    assert!((sketch.threshold_score() - 1000f32.ln()).abs() < 1e-4);
    let mut sketch = build(0);
    assert_eq!(sketch.threshold_score(), f32::NEG_INFINITY);
    // Small keys are expected once, the others less than that.
    sketch.update_batch(&(0..100_000).collect::<Vec<u64>>());
    let residual = sketch.stats().total - sketch.stats().explicit;
    sketch.next_window();
    let price = residual as f32 / 1024.0;
    assert!((sketch.threshold_score() - price.ln()).abs() < 1e-3);
}

#[test]
fn what_differs_is_named() {
    let shape = Shape {
        bytes: 4096,
        share: 0.5,
        threshold: Threshold::Fixed(-5.0),
        rule: UpdateRule::Plain,
        rejection_cache_bits: None,
    };
    let mut sketch = build::<Slot8>(shape);
    let mut field = |other: Sketch<Slot8>| match sketch.merge(&other) {
        Err(SketchError::Incompatible { field, .. }) => field,
        result => panic!("{result:?}"),
    };
    let threshold = Threshold::Fixed(-6.0);
    assert_eq!(field(build(Shape { threshold, ..shape })), "threshold");
    let threshold = Threshold::Adaptive { keys_per_slot: 1.0 };
    assert_eq!(field(build(Shape { threshold, ..shape })), "threshold");
    assert_eq!(
        field(build(Shape {
            share: 0.6,
            ..shape
        })),
        "explicit slots"
    );
    assert_eq!(
        field(build(Shape {
            bytes: 5000,
            ..shape
        })),
        "explicit slots"
    );
    let rule = UpdateRule::Conservative;
    assert_eq!(field(build(Shape { rule, ..shape })), "update rule");
    let other = Learned::<u64, CountMin<u32>, Small>::builder(Small {
        version: 9,
        ..Small::default()
    })
    .bytes(4096 + 128)
    .threshold(shape.threshold)
    .rejection_cache_bits(None)
    .build(|bytes| {
        CountMin::builder()
            .bytes(bytes)
            .update_rule(shape.rule)
            .build()
    })
    .expect("in range");
    assert_eq!(field(other), "oracle");
}

#[test]
fn parameters_are_checked() {
    let builder = || Learned::<u64, CountMin<u32>, Small>::builder(Small::default());
    let argument = |result: Result<Sketch<Slot8>, SketchError>| match result {
        Err(SketchError::Parameter { argument, .. }) => argument,
        result => panic!("{result:?}"),
    };
    let sketch = |bytes| CountMin::builder().bytes(bytes).build();
    let fixed = Threshold::Fixed(0.0);
    assert_eq!(argument(builder().build(sketch)), "validation_scores");
    let adaptive = Threshold::Adaptive { keys_per_slot: 1.0 };
    assert_eq!(
        argument(builder().threshold(adaptive).build(sketch)),
        "expected_keys"
    );
    let quantile = Threshold::Quantile {
        keys_per_slot: f64::NAN,
    };
    let wrong = builder().threshold(quantile).validation_scores([1.0]);
    assert_eq!(argument(wrong.build(sketch)), "threshold");
    let wrong = builder().threshold(fixed).explicit_fraction(1.5);
    assert_eq!(argument(wrong.build(sketch)), "explicit_fraction");
    let wrong = builder().threshold(fixed).bytes(1000).slots(100_000);
    assert_eq!(argument(wrong.build(sketch)), "slots");
    let wrong = builder()
        .threshold(fixed)
        .bytes(1000)
        .rejection_cache_bits(Some(14));
    assert_eq!(argument(wrong.build(sketch)), "bytes");
    let wrong = builder().threshold(fixed).rejection_cache_bits(Some(40));
    assert_eq!(argument(wrong.build(sketch)), "rejection_cache_bits");
}

/// Fails the first time that it is asked for a key, and expects it to be frequent from then on.
#[derive(Clone, Debug, Default)]
struct Flickering {
    asked: Arc<Mutex<BTreeSet<u64>>>,
}

impl Oracle<u64> for Flickering {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        let mut asked = self.asked.lock().expect("no thread has panicked");
        for (key, score) in keys.iter().zip(scores) {
            *score = if asked.insert(**key) { f32::NAN } else { 5.0 };
        }
    }

    fn model_bytes(&self) -> usize {
        0
    }

    fn fingerprint(&self) -> [u8; 16] {
        [7; 16]
    }
}

#[test]
fn a_score_that_is_no_number_does_not_make_a_count_too_small() {
    let build = || {
        Learned::<u64, CountMin<u32>, Flickering>::builder(Flickering::default())
            .bytes(4096)
            .rejection_cache_bits(None)
            .threshold(Threshold::Fixed(0.0))
            .build(|bytes| CountMin::builder().bytes(bytes).build())
            .expect("in range")
    };
    let mut one = build();
    one.update_by(&7, 1);
    one.update_by(&7, 1);
    // Both in a batch, which puts them to the oracle together.
    let mut batch = build();
    batch.update_batch(&[7, 8, 7]);
    for sketch in [one, batch] {
        assert_eq!(sketch.stats().admitted, 1);
        assert_eq!(sketch.stats().late, 1);
        let estimate = sketch.estimate(&7);
        assert!(estimate.value >= 2, "{estimate:?}");
        assert!(!estimate.exact);
    }
}

#[test]
fn what_a_sketch_may_have_forgotten_is_not_exact() {
    let mut sketch =
        Learned::<u64, MisraGries<KeyHash>, Flickering>::builder(Flickering::default())
            .bytes(4096)
            .rejection_cache_bits(None)
            .threshold(Threshold::Fixed(0.0))
            .build(|_| MisraGries::new(1, 0))
            .expect("in range");
    // The one counter of the summary comes down to 0.
    sketch.update_by(&7, 1);
    sketch.update_by(&8, 1);
    sketch.update_by(&7, 1);
    let estimate = sketch.estimate(&7);
    assert_eq!((estimate.value, estimate.exact), (1, false));
}

#[test]
fn a_price_that_falls_lets_keys_in_again() {
    let mut sketch = Learned::<u64, CountMin<u32>, Small>::builder(Small::default())
        .bytes(8192)
        .explicit_fraction(0.5)
        .rejection_cache_bits(None)
        .threshold(Threshold::Fixed(-20.0))
        .admission(Admission::CostBased {
            expected_total: 1_024_000,
        })
        .build(|bytes| CountMin::builder().bytes(bytes).build())
        .expect("in range");
    assert!((sketch.threshold_score() - 1000f32.ln()).abs() < 1e-4);
    for (residual, price) in [(10_240, 10.0f32), (102_400, 100.0)] {
        sketch.update_by(&0, residual);
        sketch.next_window();
        assert!((sketch.threshold_score() - price.ln()).abs() < 1e-4);
    }
    sketch.update_by(&0, 1);
    sketch.next_window();
    assert!((sketch.threshold_score() + 1024f32.ln()).abs() < 1e-4);
    // Everything is counted in the table, and a slot costs nothing: the threshold is left.
    sketch.update_by(&0, 1);
    sketch.next_window();
    assert_eq!(sketch.threshold_score(), -20.0);
}

#[test]
fn no_occurrence_takes_no_slot() {
    let mut sketch = build::<Slot8>(Shape {
        bytes: 2000,
        share: 0.5,
        threshold: Threshold::Fixed(-64.0),
        rule: UpdateRule::Plain,
        rejection_cache_bits: None,
    });
    sketch.update_by(&1, 0);
    assert!(sketch.table().is_empty());
    assert_eq!(sketch.stats().oracle_queries, 0);
}
