//! The count-min sketch against a slow model: rows of plain vectors, and exact counts beside them.

use std::collections::HashMap;

use proptest::prelude::*;
use septet_sketch::count_min::{CountMinBuilder, Counter, Layout, UpdateRule};
use septet_sketch::simd::Simd;
use septet_sketch::{CountMin, FrequencySketch, Key, Merge};

const LAYOUTS: [Layout; 2] = [Layout::RowMajor, Layout::Blocked];
const RULES: [UpdateRule; 2] = [UpdateRule::Plain, UpdateRule::Conservative];

fn levels() -> impl Iterator<Item = Simd> {
    Simd::ALL.into_iter().filter(|simd| simd.is_available())
}

fn exact(stream: &[(u64, u64)]) -> HashMap<u64, u64> {
    let mut counts = HashMap::new();
    for &(key, by) in stream {
        *counts.entry(key).or_default() += by;
    }
    counts
}

fn sketch<C: Counter>(builder: CountMinBuilder<C>) -> CountMin<C> {
    builder.build().expect("the parameters are in range")
}

fn streams() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0_u64..60, 1_u64..9), 0..300)
}

fn shapes() -> impl Strategy<Value = (usize, usize, Layout, UpdateRule)> {
    let layout = prop::sample::select(LAYOUTS.to_vec());
    let rule = prop::sample::select(RULES.to_vec());
    (0_u32..3, 1_usize..60, layout, rule)
        .prop_map(|(log, width, layout, rule)| (1 << log, width, layout, rule))
}

fn never_underestimates<C: Counter>(
    (depth, width, layout, rule): (usize, usize, Layout, UpdateRule),
    streams: &[Vec<(u64, u64)>],
) -> Result<(), TestCaseError> {
    let empty = sketch(
        CountMin::<C>::builder()
            .depth(depth)
            .width(width)
            .layout(layout)
            .update_rule(rule),
    );
    let mut merged = empty.clone();
    for stream in streams {
        let mut part = empty.clone();
        for (key, by) in stream {
            part.update_by(key, *by);
        }
        merged.merge(&part).expect("the same parameters");
    }
    let whole = streams.concat();
    prop_assert_eq!(merged.total(), whole.iter().map(|(_, by)| by).sum::<u64>());
    for (key, count) in exact(&whole) {
        let estimate = merged.estimate(&key);
        prop_assert!(estimate >= count || (merged.saturated() && estimate == C::MAX));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn estimates_are_never_too_small(shape in shapes(), streams in prop::collection::vec(streams(), 1..4)) {
        never_underestimates::<u8>(shape, &streams)?;
        never_underestimates::<u16>(shape, &streams)?;
        never_underestimates::<u32>(shape, &streams)?;
        never_underestimates::<u64>(shape, &streams)?;
    }
}

fn batch_is_one_by_one<C: Counter>(keys: &[u64], weights: &[u64]) {
    for (depth, layout, rule) in [1, 2, 3, 4, 5, 8]
        .into_iter()
        .flat_map(|depth| LAYOUTS.map(|layout| (depth, layout)))
        .flat_map(|(depth, layout)| RULES.map(|rule| (depth, layout, rule)))
    {
        let builder = CountMin::<C>::builder()
            .depth(depth)
            .width(100)
            .layout(layout)
            .update_rule(rule);
        let Ok(empty) = builder.clone().simd(Simd::Scalar).build() else {
            assert_eq!(layout, Layout::Blocked);
            continue;
        };
        let hashes: Vec<u64> = keys.iter().map(|key| key.hash64(0)).collect();
        let mut once = empty.clone();
        let mut weighted = empty.clone();
        for (&hash, &by) in hashes.iter().zip(weights) {
            once.update_hash(hash, 1);
            weighted.update_hash(hash, by);
        }
        for simd in levels() {
            let empty = sketch(builder.clone().simd(simd));
            assert_eq!(empty.simd(), simd);
            let label = format!("{} {depth} {layout} {rule} {simd}", C::NAME);
            for length in [0, 1, 63, 64, 65, 511, 512, 513, keys.len()] {
                let mut one_by_one = empty.clone();
                let mut batch = empty.clone();
                let mut hashed = empty.clone();
                let mut each = empty.clone();
                for &hash in &hashes[..length] {
                    one_by_one.update_hash(hash, 1);
                }
                batch.update_batch(&keys[..length]);
                hashed.update_hashes(&hashes[..length]);
                assert!(
                    batch == one_by_one && hashed == one_by_one,
                    "{label} {length}"
                );
                each.update_hashes_by(&hashes[..length], &weights[..length]);
                let mut estimates = vec![0; length];
                each.estimate_batch(&keys[..length], &mut estimates);
                for (hash, estimate) in hashes.iter().zip(estimates) {
                    assert_eq!(each.estimate_hash(*hash), estimate, "{label} {length}");
                }
                if length == keys.len() {
                    assert!(batch == once && each == weighted, "{label}");
                }
            }
        }
    }
}

#[test]
fn a_batch_does_what_its_keys_do_one_by_one() {
    // Few distinct keys, so that equal keys meet in a batch; weights that saturate small counters.
    let keys: Vec<u64> = (0..700_u64).map(|i| i * i % 131).collect();
    let weights: Vec<u64> = (0..700_u64).map(|i| i % 7).collect();
    batch_is_one_by_one::<u8>(&keys, &weights);
    batch_is_one_by_one::<u16>(&keys, &weights);
    batch_is_one_by_one::<u32>(&keys, &weights);
    batch_is_one_by_one::<u64>(&keys, &weights);
}
