//! Sketches that several threads update: nothing is lost, nothing is torn.

use std::sync::atomic::{AtomicBool, Ordering};

use septet_sketch::concurrent::{AtomicCountMin, Sharded};
use septet_sketch::count_min::{Layout, UpdateRule};
use septet_sketch::{CountMin, CountSketch, FrequencySketch, Merge, SketchError};

const LAYOUTS: [Layout; 2] = [Layout::RowMajor, Layout::Blocked];
const THREADS: u64 = 4;

/// The keys of one thread: few, so that threads meet at the same counters.
fn keys(thread: u64) -> Vec<u64> {
    (0..20_000).map(|i| (i * i + thread) % 313).collect()
}

fn all_keys() -> Vec<u64> {
    (0..THREADS).flat_map(keys).collect()
}

fn builder(layout: Layout) -> septet_sketch::count_min::CountMinBuilder<u32> {
    let builder = CountMin::<u32>::builder().depth(2).width(96);
    builder.layout(layout).update_rule(UpdateRule::Plain)
}

fn sharded<S: FrequencySketch + Merge + Clone + Send>(empty: S, shards: usize) -> S {
    let sharded = Sharded::new(empty, shards).expect("there are shards");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let sharded = &sharded;
            scope.spawn(move || {
                for batch in keys(thread).chunks(100) {
                    sharded.with(|shard| shard.update_batch(batch));
                }
            });
        }
    });
    let snapshot = sharded.snapshot().expect("the same parameters");
    let merged = sharded.into_merged().expect("the same parameters");
    assert_eq!(snapshot.total(), merged.total());
    merged
}

#[test]
fn shards_add_up_to_one_sketch() {
    for shards in [1, 2, 4, 7] {
        for layout in LAYOUTS {
            let mut one = builder(layout).build().expect("in range");
            one.update_batch(&all_keys());
            let empty = builder(layout).build().expect("in range");
            assert_eq!(sharded(empty, shards), one);
        }
        let empty = CountSketch::<i32>::builder()
            .width(64)
            .build()
            .expect("in range");
        let mut one = empty.clone();
        one.update_batch(&all_keys());
        assert_eq!(sharded(empty, shards), one);
    }
    let empty = builder(Layout::RowMajor).build().expect("in range");
    assert!(matches!(
        Sharded::new(empty, 0),
        Err(SketchError::Parameter {
            argument: "shards",
            ..
        })
    ));
}

#[test]
fn conservative_shards_never_underestimate() {
    let empty = builder(Layout::Blocked)
        .update_rule(UpdateRule::Conservative)
        .build();
    let merged = sharded(empty.expect("in range"), 3);
    let all = all_keys();
    for key in 0..313_u64 {
        let count = all.iter().filter(|&&other| other == key).count() as u64;
        assert!(merged.estimate(&key) >= count);
    }
}

// Each call counts 10 pairs of keys; a snapshot has whole calls only.
#[test]
fn a_snapshot_is_of_one_moment() {
    let empty = CountMin::<u32>::builder().depth(2).width(1024).build();
    let sharded = Sharded::new(empty.expect("in range"), 2).expect("there are shards");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let pairs: Vec<u64> = (0..20).map(|i| i % 2).collect();
                for _ in 0..2_000 {
                    sharded.with(|shard| shard.update_batch(&pairs));
                }
                done.store(true, Ordering::Release);
            });
        }
        let mut last = 0;
        while !done.load(Ordering::Acquire) {
            let snapshot = sharded.snapshot().expect("the same parameters");
            let (even, odd) = (snapshot.estimate(&0_u64), snapshot.estimate(&1_u64));
            assert_eq!((even, even % 10), (odd, 0));
            assert!(even >= last, "snapshots go forwards");
            last = even;
        }
    });
    assert_eq!(
        sharded.snapshot().expect("the same").total(),
        2 * 2_000 * 20
    );
}

#[test]
fn a_panic_in_one_thread_leaves_the_shards_usable() {
    let empty = builder(Layout::RowMajor).build().expect("in range");
    let sharded = Sharded::new(empty, 1).expect("there are shards");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| sharded.with(|_| panic!("on purpose")));
        assert!(thread.join().is_err());
    });
    sharded.with(|shard| shard.update(&1_u64));
    assert_eq!(sharded.snapshot().expect("the same").total(), 1);
}

#[test]
fn atomic_counters_lose_no_update() {
    for layout in LAYOUTS {
        let atomic = AtomicCountMin::new(builder(layout)).expect("in range");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let atomic = &atomic;
                scope.spawn(move || {
                    let keys = keys(thread);
                    let (batch, single) = keys.split_at(keys.len() / 2);
                    atomic.update_batch(batch);
                    single.iter().for_each(|key| atomic.update(key));
                });
            }
            // Copies while updates go on are sketches, and never ahead of the stream.
            for _ in 0..20 {
                let snapshot = atomic.snapshot().expect("a sketch");
                assert!(snapshot.total() <= all_keys().len() as u64);
            }
        });
        let mut one = builder(layout).build().expect("in range");
        one.update_batch(&all_keys());
        assert_eq!(atomic.snapshot().expect("a sketch"), one);
        for key in 0..400_u64 {
            assert_eq!(atomic.estimate(&key), one.estimate(&key));
        }
        assert_eq!(atomic.size_bytes(), one.size_bytes());
    }
}

#[test]
fn atomic_counters_saturate() {
    let atomic = AtomicCountMin::new(builder(Layout::RowMajor)).expect("in range");
    atomic.update_hash(7, u64::from(u32::MAX) - 1);
    atomic.update_hash(7, 1);
    assert!(!atomic.saturated());
    assert_eq!(atomic.estimate_hash(7), u64::from(u32::MAX));
    atomic.update_hash(7, 1);
    assert!(atomic.saturated());
    assert_eq!(atomic.estimate_hash(7), u64::from(u32::MAX));
    assert!(atomic.snapshot().expect("a sketch").saturated());
    let conservative = builder(Layout::RowMajor).update_rule(UpdateRule::Conservative);
    assert!(matches!(
        AtomicCountMin::new(conservative),
        Err(SketchError::Parameter {
            argument: "update rule",
            ..
        })
    ));
}
