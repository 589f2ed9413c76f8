//! Sketches survive their bytes, and bytes that are no sketch are refused at their place.

use std::fmt::Debug;

use proptest::prelude::*;
use septet_sketch::codec::datasketches;
use septet_sketch::codec::native::{Encoding, Header, Kind, Native, Options, StoredKey};
use septet_sketch::count_min::{Counter, Layout, UpdateRule};
use septet_sketch::count_sketch::SignedCounter;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::learned::{Admission, Learned, Slot, Slot8, Slot16, Threshold};
use septet_sketch::oracle::Oracle;
use septet_sketch::{
    AnyKey, CountMin, CountSketch, FlowKey, FrequencySketch, Key, KeyHash, KeyType, Merge,
    SketchError,
};

const ENCODINGS: &[Encoding] = &[
    Encoding::Raw,
    Encoding::Varint,
    #[cfg(feature = "compression")]
    Encoding::Zstd,
];

fn options(encoding: Encoding) -> Options {
    Options::default().encoding(encoding)
}

/// Writes and reads in every encoding; what is read writes the same bytes.
#[track_caller]
fn survives<S: Native>(sketch: &S, check: impl Fn(&S)) {
    for &encoding in ENCODINGS {
        let bytes = sketch
            .to_bytes(&options(encoding))
            .expect("an encoding that is built in");
        assert_eq!(Header::read(&bytes).expect("a header").encoding, encoding);
        let read = S::from_bytes(&bytes).expect("what was written");
        assert_eq!(read.to_bytes(&options(encoding)).expect("as before"), bytes);
        check(&read);
    }
}

fn filled<C: Counter>(
    (depth, width, layout, rule): (usize, usize, Layout, UpdateRule),
    keys: &[(u64, u64)],
) -> CountMin<C> {
    let mut sketch = CountMin::builder()
        .depth(depth)
        .width(width)
        .layout(layout)
        .update_rule(rule)
        .seed(5)
        .build()
        .expect("legal measures");
    for (key, by) in keys {
        sketch.update_by(key, *by);
    }
    sketch
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn keys() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let by = prop_oneof![1_u64..4, 1_u64..100_000, Just(u64::MAX)];
    prop::collection::vec((0_u64..300, by), 0..300)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn count_min_sketches_survive(
        keys in keys(),
        depth in 1..6_usize,
        width in 1..200_usize,
        blocked: bool,
        plain: bool,
    ) {
        let rule = if plain { UpdateRule::Plain } else { UpdateRule::Conservative };
        let (depth, layout) = match blocked {
            true => (depth.next_power_of_two().min(4), Layout::Blocked),
            false => (depth, Layout::RowMajor),
        };
        let shape = (depth, width, layout, rule);
        fn both<C: Counter>(shape: (usize, usize, Layout, UpdateRule), keys: &[(u64, u64)]) {
            let sketch = filled::<C>(shape, keys);
            survives(&sketch, |read| {
                assert_eq!(read, &sketch);
                assert_eq!(read.saturated(), sketch.saturated());
            });
        }
        both::<u8>(shape, &keys);
        both::<u16>(shape, &keys);
        both::<u32>(shape, &keys);
        both::<u64>(shape, &keys);
    }

    #[test]
    fn count_sketches_survive(keys in keys(), depth in 1..6_usize, width in 1..200_usize) {
        fn both<C: SignedCounter>(depth: usize, width: usize, keys: &[(u64, u64)]) {
            let mut sketch = CountSketch::<C>::builder();
            sketch = sketch.depth(depth).width(width).seed(9);
            let mut sketch = sketch.build().expect("legal measures");
            for (key, by) in keys {
                sketch.add_hash(key.hash64(9), by.cast_signed() - 2);
            }
            survives(&sketch, |read| assert_eq!(read, &sketch));
        }
        both::<i16>(depth, width, &keys);
        both::<i32>(depth, width, &keys);
        both::<i64>(depth, width, &keys);
    }

    #[test]
    fn heavy_hitters_survive(keys in keys(), counters in 1..60_usize) {
        fn both<K: StoredKey + std::hash::Hash + Debug>(
            keys: &[(K, u64)],
            counters: usize,
        ) {
            let mut gries = MisraGries::<K>::new(counters, 3).expect("a legal number");
            let mut saving = SpaceSaving::<K>::new(counters, 3).expect("a legal number");
            let sketch = CountMin::<u32>::builder().bytes(1024).seed(3).build().expect("small");
            let mut top = TopK::<K, _>::new(counters, sketch).expect("a legal number");
            let sketch = CountSketch::<i32>::builder().bytes(1024).seed(3).build().expect("small");
            let mut signed = TopK::<K, _>::new(counters, sketch).expect("a legal number");
            for (key, by) in keys {
                // Below what saturates.
                let by = by % 100_000;
                gries.update_by::<K>(key, by);
                saving.update_by::<K>(key, by);
                top.update_by::<K>(key, by);
                signed.update_by::<K>(key, by);
            }
            survives(&gries, |read| {
                assert_eq!(read.top(counters), gries.top(counters));
                assert_eq!((read.total(), read.max_error()), (gries.total(), gries.max_error()));
            });
            survives(&saving, |read| {
                assert_eq!(read.top(counters), saving.top(counters));
                assert_eq!((read.total(), read.max_error()), (saving.total(), saving.max_error()));
            });
            survives(&top, |read| {
                assert_eq!(read.list(), top.list());
                assert_eq!(read.max_unlisted_count(), top.max_unlisted_count());
                assert_eq!(read.sketch(), top.sketch());
            });
            survives(&signed, |read| assert_eq!(read.list(), signed.list()));
        }
        both(&keys, counters);
        both(&with(&keys, |key| key as u32), counters);
        both(&with(&keys, |key| key.to_string()), counters);
        both(&with(&keys, |key| vec![7_u8; key as usize]), counters);
        both(&with(&keys, flow), counters);
        both(&with(&keys, KeyHash), counters);
        let any = |key: u64| match key % 3 {
            0 => AnyKey::Integer(key),
            1 => AnyKey::Bytes(key.to_string().into()),
            _ => AnyKey::Flow(flow(key)),
        };
        both(&with(&keys, any), counters);
    }

    #[test]
    fn datasketches_survive(keys in keys(), depth in 1..6_u8, buckets in 3..100_u32) {
        let mut sketch = datasketches::CountMin::<f64>::new(depth, buckets, 77).expect("legal");
        for (key, by) in &keys {
            sketch.update(*key, *by as f64 / 4.0);
        }
        survives(&sketch, |read| assert_eq!(read, &sketch));
    }

    #[test]
    fn learned_sketches_survive(keys in keys(), share in 0.0..1.0, kind in 0..3_usize, more in keys()) {
        both::<Slot8>(&keys, &more, share, kind);
        both::<Slot16>(&keys, &more, share, kind);
    }
}

/// The same stream of other keys.
fn with<K>(keys: &[(u64, u64)], of: impl Fn(u64) -> K) -> Vec<(K, u64)> {
    keys.iter().map(|&(key, by)| (of(key), by)).collect()
}

fn flow(key: u64) -> FlowKey {
    let mut bytes = [6; 13];
    bytes[..8].copy_from_slice(&key.to_le_bytes());
    FlowKey::from_bytes(&bytes)
}

/// Expects numbers that end in zero to be frequent.
#[derive(Clone, Copy, Debug)]
struct Round(u8);

impl Oracle<u64> for Round {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = if key.is_multiple_of(10) {
                5.0
            } else {
                (**key % 7) as f32
            };
        }
    }

    fn model_bytes(&self) -> usize {
        1
    }

    fn fingerprint(&self) -> [u8; 16] {
        [self.0; 16]
    }
}

type LearnedSketch<T> = Learned<u64, CountMin<u32>, Round, T>;

fn learned<T: Slot>(share: f64, kind: usize) -> LearnedSketch<T> {
    let (threshold, admission) = match kind {
        0 => (
            Threshold::Quantile { keys_per_slot: 1.1 },
            Admission::FirstCome,
        ),
        1 => (
            Threshold::Fixed(1.5),
            Admission::CostBased {
                expected_total: 5000,
            },
        ),
        _ => (
            Threshold::Adaptive { keys_per_slot: 1.2 },
            Admission::FirstCome,
        ),
    };
    Learned::<u64, CountMin<u32>, Round>::builder(Round(1))
        .bytes(20_000)
        .explicit_fraction(share.min(0.9))
        .threshold(threshold)
        .admission(admission)
        .validation_scores(vec![5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
        .expected_keys(300)
        .slot::<T>()
        .build(|bytes| CountMin::builder().bytes(bytes).build())
        .expect("a legal budget")
}

fn both<T: Slot + Clone>(keys: &[(u64, u64)], more: &[(u64, u64)], share: f64, kind: usize) {
    let mut sketch = learned::<T>(share, kind);
    for &(key, by) in keys {
        sketch.update_by(&key, by % 100_000);
    }
    for &encoding in ENCODINGS {
        let bytes = sketch.to_bytes(&options(encoding)).expect("built in");
        let mut read = LearnedSketch::<T>::from_bytes(&bytes, Round(1)).expect("what was written");
        assert_eq!(read.to_bytes(&options(encoding)).expect("built in"), bytes);
        assert_eq!(read.stats(), sketch.stats());
        // Both go on alike, but for the questions that the verdicts spare.
        let mut original = sketch.clone();
        for &(key, by) in more {
            read.update_by(&key, by % 1000);
            original.update_by(&key, by % 1000);
        }
        for key in 0..300 {
            assert_eq!(read.estimate(&key), original.estimate(&key), "{key}");
        }
    }
}

/// The place and the message of an error.
#[track_caller]
fn refused<S: Native + Debug>(bytes: &[u8]) -> (u64, String) {
    match S::from_bytes(bytes) {
        Err(error @ SketchError::Decode { offset, .. }) => (offset, error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Sets bytes and mends the checksum.
fn forged(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let sum = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn damage_is_reported_with_its_offset() {
    let shape = (2, 20, Layout::RowMajor, UpdateRule::Plain);
    let sketch = filled::<u16>(shape, &[(1, 7), (2, 300)]);
    let bytes = sketch.to_bytes(&options(Encoding::Raw)).expect("built in");
    type Read = CountMin<u16>;
    assert_eq!(bytes.len(), 32 + 12 + 8 + 80 + 4);
    for length in 0..bytes.len() {
        let (offset, message) = refused::<Read>(&bytes[..length]);
        assert!(offset <= length as u64, "{message}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        assert!(Read::from_bytes(&bytes).is_err(), "byte {at}");
    }
    let forge = |at, new: &[u8]| refused::<Read>(&forged(&bytes, at, new)).0;
    assert_eq!(forge(0, b"LSK2"), 0);
    assert_eq!(forge(4, &[2]), 4);
    assert_eq!(forge(5, &[8]), 5);
    assert_eq!(forge(5, &[2]), 5);
    assert_eq!(forge(6, &[4]), 6);
    assert_eq!(forge(7, &[6]), 7);
    assert_eq!(forge(8, &[2]), 8);
    assert_eq!(forge(9, &[3]), 9);
    assert_eq!(forge(10, &[2]), 10);
    assert_eq!(forge(12, &[255, 255]), 12);
    // Parameters: depth, layout, rule, a zero, width.
    assert_eq!(forge(33, &[2]), 33);
    assert_eq!(forge(34, &[2]), 34);
    assert_eq!(forge(35, &[2]), 35);
    let (offset, message) = refused::<Read>(&forged(&bytes, 32, &[17]));
    assert_eq!(offset, 52, "{message}");
    let (offset, message) = refused::<Read>(&forged(&bytes, 36, &[255; 8]));
    assert_eq!(offset, 32);
    assert!(
        message.ends_with("bytes of memory, found more than the address space"),
        "{message}"
    );
    // A total below a counter.
    let (offset, message) = refused::<Read>(&forged(&bytes, 24, &[9, 0]));
    assert_eq!(
        (offset, message.as_str()),
        (
            32,
            "sketch file, byte 32: expected counters: at most 9, the total, found 300"
        )
    );
    let (_, message) = refused::<CountMin<u32>>(&bytes);
    assert!(
        message.contains("byte 6: expected 4 (u32), found 2"),
        "{message}"
    );
    let (_, message) = refused::<CountSketch<i16>>(&bytes);
    assert!(
        message.contains("expected a count-sketch, found a count-min"),
        "{message}"
    );
}

#[test]
fn numbers_in_more_bytes_than_needed_are_refused() {
    let sketch = filled::<u8>((1, 3, Layout::RowMajor, UpdateRule::Plain), &[]);
    let bytes = sketch
        .to_bytes(&options(Encoding::Varint))
        .expect("built in");
    assert_eq!(bytes.len(), 32 + 12 + 8 + 3 + 4);
    // 0 in two bytes, then 256 in a counter of 8 bits.
    assert_eq!(
        refused::<CountMin<u8>>(&forged(&bytes, 52, &[0x80, 0, 0])).0,
        52
    );
    let mut long = bytes.clone();
    long[44..52].copy_from_slice(&4_u64.to_le_bytes());
    long.splice(52..55, [0x80, 2, 0, 0]);
    assert_eq!(refused::<CountMin<u8>>(&sealed(long)).0, 52);
}

#[test]
fn a_small_file_does_not_ask_for_much_memory() {
    // Capacities and dimensions that the bytes do not bear out.
    let saving = SpaceSaving::<u64>::new(10, 0).expect("small");
    let bytes = saving.to_bytes(&Options::default()).expect("built in");
    let huge = forged(&bytes, 32, &(1_u64 << 29).to_le_bytes());
    let (_, message) = refused::<SpaceSaving<u64>>(&huge);
    assert!(message.contains("of memory"), "{message}");
    let sketch = datasketches::CountMin::<f64>::new(255, 4_000_000, 9001).expect("legal");
    let read = datasketches::CountMin::<f64>::from_bytes(&sketch.to_bytes(), 9001);
    assert!(read.expect("an empty sketch").is_empty());
    let sketch = CountMin::<u32>::builder()
        .bytes(1 << 20)
        .build()
        .expect("legal");
    let bytes = sketch.to_bytes(&Options::default()).expect("built in");
    let error = CountMin::<u32>::from_bytes_with_limit(&bytes, 1 << 20).expect_err("too large");
    assert!(
        error
            .to_string()
            .contains("at most 1048576 bytes of memory"),
        "{error}"
    );
}

#[test]
fn places_in_a_sketch_of_datasketches_are_those_of_the_file() {
    let mut sketch = datasketches::CountMin::<f64>::new(2, 9, 9001).expect("small");
    sketch.update("key", 1.0);
    for &encoding in ENCODINGS {
        let bytes = Native::to_bytes(&sketch, &options(encoding)).expect("built in");
        // Another seed than that whose hash the payload holds, at its byte 13.
        let forged = forged(&bytes, 16, &7_u64.to_le_bytes());
        let (offset, message) = refused::<datasketches::CountMin<f64>>(&forged);
        let expected = if matches!(encoding, Encoding::Raw | Encoding::Varint) {
            53
        } else {
            40
        };
        assert_eq!(offset, expected, "{message}");
    }
}

#[test]
fn headers_say_what_a_file_holds() {
    let sketch = filled::<u32>(
        (2, 16, Layout::Blocked, UpdateRule::Conservative),
        &[(1, 2)],
    );
    let options = Options::default().key_type(Some(KeyType::Flow));
    let bytes = sketch.to_bytes(&options).expect("built in");
    let header = Header::read(&bytes).expect("a header");
    assert_eq!((header.kind, header.element), (Kind::CountMin, 4));
    assert_eq!(
        (header.key_type, header.seed, header.total),
        (Some(KeyType::Flow), 5, 2)
    );
    assert!(Header::has_magic(&bytes) && !Header::has_magic(b"LSK"));
    // Keys inside tell their type themselves.
    let mut saving = SpaceSaving::<AnyKey>::new(3, 0).expect("small");
    saving.update(&AnyKey::Bytes(b"word".to_vec()));
    let bytes = saving.to_bytes(&Options::default()).expect("built in");
    assert_eq!(
        Header::read(&bytes).expect("a header").key_type,
        Some(KeyType::Bytes)
    );
    let words = SpaceSaving::<String>::from_bytes(&bytes).expect("keys are text");
    assert_eq!(words.estimate("word"), 1);
    let (_, message) = refused::<SpaceSaving<u64>>(&bytes);
    assert!(message.contains("a key of the requested type"), "{message}");
}

#[test]
fn a_learned_sketch_requires_its_oracle() {
    let mut sketch = learned::<Slot8>(0.5, 0);
    sketch.update_batch(&[10, 20, 10, 3]);
    let bytes = sketch.to_bytes(&Options::default()).expect("built in");
    let error = LearnedSketch::<Slot8>::from_bytes(&bytes, Round(2)).expect_err("another");
    let message = error.to_string();
    assert!(
        message.contains("byte 32: expected the oracle of fingerprint 0202"),
        "{message}"
    );
    let error = LearnedSketch::<Slot16>::from_bytes(&bytes, Round(1)).expect_err("other slots");
    assert!(error.to_string().contains("byte 6: expected 16"), "{error}");
}

#[test]
fn small_counters_are_stored_in_few_bytes() {
    let mut sketch = CountMin::<u64>::builder()
        .bytes(1 << 16)
        .build()
        .expect("legal");
    for key in 0..2000_u64 {
        sketch.update(&key);
    }
    let lengths: Vec<usize> = ENCODINGS
        .iter()
        .map(|&encoding| sketch.to_bytes(&options(encoding)).expect("built in").len())
        .collect();
    assert!(lengths[0] > 65_536 && lengths[1] < 8400, "{lengths:?}");
    #[cfg(feature = "compression")]
    assert!(lengths[2] < 4000, "{lengths:?}");
}

#[test]
fn statistics_that_cannot_be_are_refused_and_large_ones_do_not_overflow() {
    let mut sketch = learned::<Slot8>(0.5, 0);
    sketch.update_by(&1, 3);
    let bytes = sketch.to_bytes(&Options::default()).expect("built in");
    // The total is at 92; the table cannot hold more.
    let forgery = forged(&bytes, 100, &u64::MAX.to_le_bytes());
    let error = LearnedSketch::<Slot8>::from_bytes(&forgery, Round(1)).expect_err("too many");
    assert!(
        error.to_string().contains("at most 3 occurrences"),
        "{error}"
    );
    let mut forgery = bytes.clone();
    for at in [108, 116, 124, 132, 140, 148] {
        forgery = forged(&forgery, at, &u64::MAX.to_le_bytes());
    }
    let mut read = LearnedSketch::<Slot8>::from_bytes(&forgery, Round(1)).expect("possible");
    read.update_batch(&(0..2000).collect::<Vec<u64>>());
    assert_eq!(read.stats().admitted, u64::MAX);
    let other = read.clone();
    read.merge(&other).expect("the same keys");
    assert_eq!(read.stats().oracle_queries, u64::MAX);
    read.next_window();
}

#[test]
fn the_verdicts_count_as_memory() {
    let sketch = learned::<Slot8>(0.5, 0);
    let bytes = sketch.to_bytes(&Options::default()).expect("built in");
    let forgery = forged(&bytes, 90, &[24]);
    let read = LearnedSketch::<Slot8>::from_bytes_with_limit(&forgery, Round(1), 1 << 20);
    let error = read.expect_err("64 MiB of verdicts").to_string();
    assert!(error.contains("at most 1048576 bytes of memory"), "{error}");
}

#[test]
fn a_summary_that_was_read_grows_to_its_capacity() {
    let mut summary = SpaceSaving::<u64>::new(1000, 0).expect("small");
    let sketch = CountMin::<u32>::builder()
        .bytes(1 << 16)
        .build()
        .expect("legal");
    let mut top = TopK::<u64, _>::new(500, sketch).expect("small");
    for key in 0..3 {
        summary.update_by(&key, key + 1);
        top.update_by(&key, key + 1);
    }
    let bytes = summary.to_bytes(&Options::default()).expect("built in");
    let mut read = SpaceSaving::<u64>::from_bytes(&bytes).expect("whole");
    assert_eq!(read.size_bytes(), summary.size_bytes());
    let bytes = top.to_bytes(&Options::default()).expect("built in");
    let mut read_top = TopK::<u64, CountMin<u32>>::from_bytes(&bytes).expect("whole");
    for key in 3..1000 {
        summary.update_by(&key, key + 1);
        read.update_by(&key, key + 1);
        top.update_by(&key, key + 1);
        read_top.update_by(&key, key + 1);
    }
    for key in 0..1000 {
        assert_eq!(read.estimate(&key), key + 1);
    }
    assert_eq!(read.top(1000), summary.top(1000));
    assert_eq!(read_top.list(), top.list());
}
