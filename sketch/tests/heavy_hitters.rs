//! The guarantees of the heavy-hitter summaries against exact counts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use septet_sketch::count_min::{Layout, UpdateRule};
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::{CountMin, FrequencySketch, KeyHash, Merge, SketchError};

type Stream = Vec<(u8, u64)>;

/// Streams in which small keys are frequent, with weights.
fn stream() -> impl Strategy<Value = Stream> {
    let key = (0u8..=255, 0u8..=255).prop_map(|(a, b)| a.min(b) / 4);
    prop::collection::vec((key, prop_oneof![4 => Just(1u64), 1 => 0u64..40]), 0..400)
}

fn exact(streams: &[&Stream]) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    for &(key, by) in streams.iter().copied().flatten() {
        *counts.entry(key).or_default() += by;
    }
    counts
}

fn misra_gries(k: usize, stream: &Stream) -> MisraGries<u8> {
    let mut summary = MisraGries::new(k, 1).expect("k is in range");
    for (key, by) in stream {
        summary.update_by(key, *by);
    }
    summary
}

fn space_saving(k: usize, stream: &Stream) -> SpaceSaving<u8> {
    let mut summary = SpaceSaving::new(k, 1).expect("k is in range");
    for (key, by) in stream {
        summary.update_by(key, *by);
    }
    summary
}

fn top_k(k: usize, bytes: usize, stream: &Stream) -> TopK<u8, CountMin<u32>> {
    let sketch = CountMin::builder().bytes(bytes).build().expect("in range");
    let mut top = TopK::new(k, sketch).expect("k is in range");
    for (key, by) in stream {
        top.update_by(key, *by);
    }
    top
}

fn check_misra_gries(summary: &MisraGries<u8>, k: usize, truth: &BTreeMap<u8, u64>) {
    let total: u64 = truth.values().sum();
    assert_eq!(summary.total(), total);
    assert!(summary.max_error() <= total / (k as u64 + 1));
    let top = summary.top(k);
    for key in 0u8..=255 {
        let f = truth.get(&key).copied().unwrap_or(0);
        let estimate = summary.estimate(&key);
        assert!(estimate <= f, "{key}: {estimate} > {f}");
        assert!(summary.interval(&key).contains(&f));
        if f > total / (k as u64 + 1) {
            assert!(top.iter().any(|hitter| hitter.key == key));
        }
    }
}

fn check_space_saving(summary: &SpaceSaving<u8>, k: usize, truth: &BTreeMap<u8, u64>) {
    let total: u64 = truth.values().sum();
    assert_eq!(summary.total(), total);
    assert!(summary.max_error() <= total / k as u64);
    let top = summary.top(k);
    for key in 0u8..=255 {
        let f = truth.get(&key).copied().unwrap_or(0);
        let estimate = summary.estimate(&key);
        assert!(estimate >= f, "{key}: {estimate} < {f}");
        assert!(estimate - f <= total / k as u64);
        assert!(summary.interval(&key).contains(&f));
        if f > total / k as u64 {
            assert!(top.iter().any(|hitter| hitter.key == key));
        }
    }
}

fn check_top_k(top: &TopK<u8, CountMin<u32>>, truth: &BTreeMap<u8, u64>) {
    let listed = top.list();
    assert!(listed.len() <= top.k());
    assert!(listed.is_sorted_by(|a, b| a.estimate >= b.estimate));
    for (key, &f) in truth {
        match listed.iter().find(|hitter| hitter.key == *key) {
            Some(hitter) => assert!(hitter.estimate >= f),
            None if f > 0 => {
                assert_eq!(listed.len(), top.k());
                let smallest = listed[top.k() - 1].estimate as f64;
                assert!(f as f64 <= smallest.max(top.max_unlisted_count()));
            }
            None => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn misra_gries_keeps_its_bounds(k in 1usize..40, a in stream(), b in stream()) {
        let mut summary = misra_gries(k, &a);
        check_misra_gries(&summary, k, &exact(&[&a]));
        summary.merge(&misra_gries(k, &b)).expect("alike");
        check_misra_gries(&summary, k, &exact(&[&a, &b]));
        for (key, by) in &a {
            summary.update_by(key, *by);
        }
        check_misra_gries(&summary, k, &exact(&[&a, &a, &b]));
    }

    #[test]
    fn space_saving_keeps_its_bounds(k in 1usize..40, a in stream(), b in stream()) {
        let mut summary = space_saving(k, &a);
        check_space_saving(&summary, k, &exact(&[&a]));
        summary.merge(&space_saving(k, &b)).expect("alike");
        check_space_saving(&summary, k, &exact(&[&a, &b]));
        for (key, by) in &a {
            summary.update_by(key, *by);
        }
        check_space_saving(&summary, k, &exact(&[&a, &a, &b]));
    }

    #[test]
    fn top_k_misses_nothing_above_its_smallest_estimate(
        k in 1usize..20,
        bytes in 128usize..2000,
        a in stream(),
        b in stream(),
    ) {
        let mut top = top_k(k, bytes, &a);
        check_top_k(&top, &exact(&[&a]));
        top.merge(&top_k(k, bytes, &b)).expect("alike");
        check_top_k(&top, &exact(&[&a, &b]));
        for (key, by) in &a {
            top.update_by(key, *by);
        }
        check_top_k(&top, &exact(&[&a, &a, &b]));
    }

    /// The plain definition of SpaceSaving, with weights of one: the counts agree as a multiset.
    #[test]
    fn space_saving_replaces_a_minimum_counter(k in 1usize..24, a in stream()) {
        let mut summary = SpaceSaving::<u8>::new(k, 1).expect("in range");
        let mut counts: BTreeMap<u8, u64> = BTreeMap::new();
        for (key, _) in &a {
            summary.update(key);
            if counts.len() < k || counts.contains_key(key) {
                *counts.entry(*key).or_default() += 1;
            } else {
                let least = *counts.values().min().expect("k is at least 1");
                // Which of several least ones leaves is not defined: follow the summary.
                let left = *counts
                    .iter()
                    .find(|(other, count)| {
                        **count == least && !summary.top(k).iter().any(|hitter| hitter.key == **other)
                    })
                    .expect("the one that left had the least count")
                    .0;
                counts.remove(&left);
                counts.insert(*key, least + 1);
            }
            let kept: BTreeMap<u8, u64> =
                summary.top(k).into_iter().map(|hitter| (hitter.key, hitter.estimate)).collect();
            prop_assert_eq!(&kept, &counts);
        }
    }

    #[test]
    fn batches_are_updates_one_by_one(k in 1usize..40, a in prop::collection::vec(0u64..200, 0..300)) {
        let mut one = (
            MisraGries::<u64>::new(k, 0).expect("in range"),
            SpaceSaving::<u64>::new(k, 0).expect("in range"),
            TopK::<u64, _>::new(k, CountMin::<u32>::builder().bytes(256).build().expect("in range"))
                .expect("in range"),
        );
        let mut batch = one.clone();
        for key in &a {
            one.0.update(key);
            one.1.update(key);
            one.2.update(key);
        }
        batch.0.update_batch(&a);
        batch.1.update_batch(&a);
        batch.2.update_batch(&a);
        prop_assert_eq!(one.0.top(k), batch.0.top(k));
        prop_assert_eq!(one.1.top(k), batch.1.top(k));
        prop_assert_eq!(one.2.list(), batch.2.list());
    }

    #[test]
    fn summaries_of_hashes_agree_with_summaries_of_keys(k in 1usize..40, a in stream()) {
        let mut hashes = SpaceSaving::<KeyHash>::new(k, 1).expect("in range");
        for (key, by) in &a {
            hashes.update_by(&KeyHash(septet_sketch::Key::hash64(key, 1)), *by);
        }
        let keys = space_saving(k, &a);
        for key in 0u8..64 {
            prop_assert_eq!(FrequencySketch::estimate(&hashes, &key), keys.estimate(&key));
        }
    }
}

#[test]
fn the_minimum_counter_is_found_among_many() {
    // Longer than the queue of least counters, with counts that grow at different speeds.
    let mut summary = SpaceSaving::<u32>::new(1000, 0).expect("in range");
    let mut state = 1u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = (state >> 8) % (1 << (4 + (state >> 28)));
        summary.update_by(&key, 1 + u64::from(key % 3));
    }
    let counts: u64 = summary.top(1000).iter().map(|hitter| hitter.estimate).sum();
    // Each update adds its weight to exactly one counter.
    assert_eq!(counts, summary.total());
    assert!(summary.max_error() * 1000 <= summary.total());
}

#[test]
fn sizes_match_the_request() {
    for bytes in [1000, 10_000, 1 << 20] {
        let misra_gries = MisraGries::<u64>::with_bytes(bytes, 0).expect("in range");
        assert!(misra_gries.size_bytes() <= bytes);
        assert!(misra_gries.size_bytes() + 64 > bytes);
        let space_saving = SpaceSaving::<KeyHash>::with_bytes(bytes, 0).expect("in range");
        assert_eq!(space_saving.counters(), misra_gries.counters());
    }
}

#[test]
fn what_differs_is_named() {
    let mut left = MisraGries::<u64>::new(3, 0).expect("in range");
    let error = left
        .merge(&MisraGries::new(4, 0).expect("in range"))
        .expect_err("3 and 4 counters");
    assert!(matches!(
        error,
        SketchError::Incompatible {
            field: "counters",
            ..
        }
    ));
    let error = left
        .merge(&MisraGries::new(3, 1).expect("in range"))
        .expect_err("seeds 0 and 1");
    assert!(matches!(
        error,
        SketchError::Incompatible { field: "seed", .. }
    ));
    assert!(matches!(
        SpaceSaving::<u64>::new(0, 0),
        Err(SketchError::Parameter {
            argument: "counters",
            ..
        })
    ));
}

/// A sketch that is updated and asked in one step is the sketch that is updated and then asked.
#[test]
fn estimates_of_updates_are_estimates_after_updates() {
    for layout in [Layout::RowMajor, Layout::Blocked] {
        for rule in [UpdateRule::Plain, UpdateRule::Conservative] {
            for depth in [1, 2, 4] {
                for bytes in [640, 1 << 20] {
                    let sketch = || {
                        CountMin::<u8>::builder()
                            .layout(layout)
                            .depth(depth)
                            .update_rule(rule)
                            .bytes(bytes)
                            .build()
                            .expect("in range")
                    };
                    let hashes: Vec<u64> = (0..2000u64)
                        .map(|i| septet_sketch::Key::hash64(&(i * i % 97 * (i % 7)), 0))
                        .chain(std::iter::repeat_n(77, 300))
                        .collect();
                    let mut one = sketch();
                    let mut expected = Vec::new();
                    for &hash in &hashes {
                        one.update_hash(hash, 1);
                        expected.push(one.estimate_hash(hash));
                    }
                    let mut batch = sketch();
                    let mut estimates = vec![0; hashes.len()];
                    batch.update_hashes_and_estimate(&hashes, &mut estimates);
                    assert_eq!(estimates, expected);
                    assert_eq!(one, batch);
                }
            }
        }
    }
}

#[test]
fn a_key_that_never_occurred_is_not_listed() {
    let sketch = CountMin::<u32>::builder()
        .bytes(1024)
        .build()
        .expect("in range");
    let mut top = TopK::<u64, _>::new(5, sketch).expect("in range");
    top.update(&1);
    // Some of these share all their counters with the key that occurred.
    for key in 2..100_000 {
        top.update_by(&key, 0);
    }
    assert_eq!(top.list().len(), 1);
}

#[test]
fn more_keys_than_memory_are_refused() {
    assert_eq!(
        TopK::<u64, CountMin<u32>>::table_bytes(usize::MAX),
        usize::MAX
    );
    let sketch = CountMin::<u32>::builder()
        .bytes(1024)
        .build()
        .expect("in range");
    assert!(TopK::<u64, _>::new(usize::MAX, sketch).is_err());
}
