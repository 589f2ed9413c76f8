//! The count-sketch against a slow model, and against its theory.

use std::collections::HashMap;

use proptest::prelude::*;
use septet_sketch::count_min::MAX_DEPTH;
use septet_sketch::count_sketch::{CountSketchBuilder, SignedCounter};
use septet_sketch::key::hash_integer;
use septet_sketch::simd::Simd;
use septet_sketch::{CountSketch, FrequencySketch, Key, Merge, SketchError};

fn sketch<C: SignedCounter>(builder: CountSketchBuilder<C>) -> CountSketch<C> {
    builder.build().expect("the parameters are in range")
}

/// The position and the sign of a hash in a row, written down a second time.
fn place(hash: u64, row: usize, width: usize) -> (u64, i64) {
    let fraction = |constant: u64| {
        let multiplier = u128::from(hash_integer(constant, 0x726f_7773) | 1);
        ((u128::from(hash) * multiplier) % (1 << 64)) >> 32
    };
    let offset = (fraction(row as u64) * width as u128) >> 32;
    let negative = (fraction(MAX_DEPTH as u64) >> row) & 1 == 1;
    (offset as u64, if negative { -1 } else { 1 })
}

fn median(mut counts: Vec<i64>) -> f64 {
    counts.sort_unstable();
    let middle = counts.len() / 2;
    if counts.len() % 2 == 1 {
        counts[middle] as f64
    } else {
        (counts[middle - 1] + counts[middle]) as f64 / 2.0
    }
}

fn agrees_with_the_model<C: SignedCounter>(
    depth: usize,
    width: usize,
    stream: &[(u64, i64)],
) -> Result<(), TestCaseError> {
    let mut sketch = sketch(
        CountSketch::<C>::builder()
            .depth(depth)
            .width(width)
            .seed(5),
    );
    let mut rows = vec![HashMap::<u64, i64>::new(); depth];
    for &(key, by) in stream {
        sketch.add_hash(key.hash64(5), by);
        for (row, counters) in rows.iter_mut().enumerate() {
            let (offset, sign) = place(key.hash64(5), row, width);
            *counters.entry(offset).or_default() += sign * by;
        }
    }
    prop_assert!(!sketch.saturated());
    prop_assert_eq!(
        sketch.net_total(),
        stream.iter().map(|(_, by)| by).sum::<i64>()
    );
    for key in 0..70_u64 {
        let counts = rows.iter().enumerate().map(|(row, counters)| {
            let (offset, sign) = place(key.hash64(5), row, width);
            sign * counters.get(&offset).copied().unwrap_or(0)
        });
        prop_assert_eq!(sketch.estimate(&key), median(counts.collect()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn estimates_are_those_of_the_model(
        depth in 1_usize..8,
        width in 1_usize..80,
        stream in prop::collection::vec((0_u64..60, -40_i64..40), 0..300),
    ) {
        agrees_with_the_model::<i16>(depth, width, &stream)?;
        agrees_with_the_model::<i32>(depth, width, &stream)?;
        agrees_with_the_model::<i64>(depth, width, &stream)?;
    }

    #[test]
    fn sketches_add_up_exactly_and_cancel(
        left in prop::collection::vec((0_u64..99, -9_i64..9), 0..200),
        right in prop::collection::vec((0_u64..99, -9_i64..9), 0..200),
    ) {
        let empty = sketch(CountSketch::<i32>::builder().depth(3).width(23));
        let count = |streams: &[&[(u64, i64)]], factor: i64| {
            let mut sketch = empty.clone();
            for (key, by) in streams.iter().copied().flatten() {
                sketch.add_hash(key.hash64(0), factor * by);
            }
            sketch
        };
        let (a, b) = (count(&[&left], 1), count(&[&right], 1));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b).expect("the same parameters");
        ba.merge(&a).expect("the same parameters");
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(&ab, &count(&[&left, &right], 1));
        ab.merge(&count(&[&right, &left], -1)).expect("the same parameters");
        prop_assert_eq!(ab, empty);
    }
}

fn batch_is_one_by_one<C: SignedCounter>() {
    let keys: Vec<u64> = (0..700_u64).map(|i| i * i % 131).collect();
    let hashes: Vec<u64> = keys.iter().map(|key| key.hash64(0)).collect();
    let weights: Vec<i64> = (0..700_i64).map(|i| 400 * (i % 7) - 300).collect();
    for depth in 1..=6 {
        for simd in Simd::ALL.into_iter().filter(|simd| simd.is_available()) {
            let empty = sketch(
                CountSketch::<C>::builder()
                    .depth(depth)
                    .width(100)
                    .simd(simd),
            );
            for length in [0, 1, 63, 64, 65, 511, 512, 513, 700] {
                let label = format!("{} {depth} {simd} {length}", C::NAME);
                let (mut one_by_one, mut batch) = (empty.clone(), empty.clone());
                for (&hash, &by) in hashes[..length].iter().zip(&weights) {
                    one_by_one.add_hash(hash, by);
                    one_by_one.update_hash(hash, 1);
                }
                batch.add_hashes(&hashes[..length], &weights[..length]);
                batch.update_batch(&keys[..length]);
                let stopped = one_by_one.saturated() || batch.saturated();
                assert!(stopped || batch == one_by_one, "{label}");
                let mut estimates = vec![0.0; length];
                batch.estimate_batch(&keys[..length], &mut estimates);
                for (&hash, estimate) in hashes.iter().zip(estimates) {
                    assert_eq!(batch.estimate_hash(hash), estimate, "{label}");
                }
            }
        }
    }
}

#[test]
fn a_batch_does_what_its_keys_do_one_by_one() {
    batch_is_one_by_one::<i16>();
    batch_is_one_by_one::<i32>();
    batch_is_one_by_one::<i64>();
}

// 4000 seeds of one row: the standard error of the mean is that of the theory, and three of them are
// allowed; a sample variance of 4000 heavy-tailed errors is within 10 % at six standard errors.
#[test]
fn one_row_has_no_bias_and_the_variance_of_the_theory() {
    let counts: Vec<u64> = (0..500).map(|i| 1 + 2000 / (i + 1)).collect();
    let width = 64;
    let asked = 20_usize;
    let squares: f64 = counts.iter().map(|&count| (count * count) as f64).sum();
    let expected = (squares - (counts[asked] * counts[asked]) as f64) / width as f64;
    let seeds = 20_000;
    let (mut sum, mut sum_of_squares) = (0.0, 0.0);
    for seed in 0..seeds {
        let mut sketch = sketch(
            CountSketch::<i32>::builder()
                .depth(1)
                .width(width)
                .seed(seed),
        );
        let hashes: Vec<u64> = (0..500_u64).map(|key| key.hash64(seed)).collect();
        sketch.update_hashes_by(&hashes, &counts);
        let error = sketch.estimate_hash(hashes[asked]) - counts[asked] as f64;
        sum += error;
        sum_of_squares += error * error;
    }
    let mean = sum / seeds as f64;
    let variance = sum_of_squares / seeds as f64;
    let standard_error = (expected / seeds as f64).sqrt();
    println!(
        "mean {mean:.3}, standard error {standard_error:.3}; variance {variance:.0} of {expected:.0}"
    );
    assert!(mean.abs() < 3.0 * standard_error);
    assert!((variance / expected - 1.0).abs() < 0.1);
}

#[test]
fn moments_and_intervals_hold() {
    let counts: Vec<u64> = (0..20_000).map(|i| 1 + 100_000 / (i + 1)).collect();
    let hashes: Vec<u64> = (0..20_000_u64).map(|key| key.hash64(0)).collect();
    for depth in [3, 4] {
        let mut sketch = sketch(CountSketch::<i64>::builder().depth(depth).width(2048));
        sketch.update_hashes_by(&hashes, &counts);
        let squares: f64 = counts.iter().map(|&count| (count * count) as f64).sum();
        let ratio = sketch.second_moment() / squares;
        // A row has a relative standard deviation of at most sqrt(2 / 2048), 3 %.
        assert!((ratio - 1.0).abs() < 0.15, "{ratio}");
        assert!((sketch.l2_norm() / squares.sqrt() - 1.0).abs() < 0.08);
        let error = sketch.error_quantile(0.9).expect("a level");
        let covered = hashes
            .iter()
            .zip(&counts)
            .filter(|&(&hash, &count)| (sketch.estimate_hash(hash) - count as f64).abs() <= error);
        let share = covered.count() as f64 / counts.len() as f64;
        println!("depth {depth}: error {error}, covered {share}");
        assert!(share >= 0.88, "{share}");
        let interval = sketch.interval(hashes[3], 0.9).expect("a level");
        assert_eq!(interval.upper - interval.lower, 2.0 * error);
    }
}

#[test]
fn counters_stop_at_their_ends() {
    let mut sketch = sketch(CountSketch::<i16>::builder().depth(3).width(8));
    sketch.add_hash(1, 32_767);
    assert!(!sketch.saturated());
    sketch.add_hash(1, 1);
    assert!(sketch.saturated());
    assert_eq!(sketch.estimate_hash(1), 32_767.0);
    let mut sketch = self::sketch(CountSketch::<i64>::builder().depth(1).width(1));
    sketch.add_hash(1, i64::MAX);
    sketch.add_hash(1, i64::MIN);
    assert!(!sketch.saturated() || sketch.estimate_hash(1) <= 0.0);
    sketch.clear();
    sketch.add_hash(1, i64::MIN);
    sketch.add_hash(1, i64::MIN);
    assert!(sketch.saturated());
    assert_eq!(sketch.estimate_hash(1), -(i64::MAX as f64));
    assert_eq!((sketch.net_total(), sketch.total()), (i64::MIN, 0));
}

#[test]
fn what_differs_is_named() {
    let builder = || CountSketch::<i32>::builder().depth(3).width(64);
    let base = sketch(builder());
    let others = [
        ("depth", builder().depth(4)),
        ("width", builder().width(128)),
        ("seed", builder().seed(1)),
    ];
    for (expected, other) in others {
        match base.clone().merge(&sketch(other)) {
            Err(SketchError::Incompatible { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    for (expected, wrong) in [
        ("depth", builder().depth(0)),
        ("width", builder().width(0)),
        ("width", builder().width(usize::MAX)),
        ("bytes", builder().bytes(100)),
    ] {
        match wrong.build() {
            Err(SketchError::Parameter { argument, .. }) => assert_eq!(argument, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
