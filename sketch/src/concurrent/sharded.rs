//! One sketch for each thread, merged on demand.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::SketchError;
use crate::frequency::Merge;

/// Several sketches with the same parameters, each behind a lock that is rarely contended.
///
/// With plain count-min sketches and count-sketches, the merged sketch equals the one that a single
/// thread would have built, for any number of shards. With conservative update it never
/// underestimates either, but its errors are larger than those of one sketch: each shard avoids only
/// its own collisions, and the sum keeps those of all.
///
/// ```
/// use septet_sketch::concurrent::Sharded;
/// use septet_sketch::{CountMin, FrequencySketch};
///
/// let sketch = CountMin::<u32>::builder().bytes(64 * 1024).build()?;
/// let shards = Sharded::new(sketch, 2)?;
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| shards.with(|shard| shard.update_batch(&[1_u64, 2, 1])));
///     }
/// });
/// assert_eq!(shards.snapshot()?.estimate(&1_u64), 4);
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
#[derive(Debug)]
pub struct Sharded<S> {
    shards: Box<[Shard<S>]>,
}

/// Aligned to two cache lines, which processors prefetch in pairs: no false sharing between locks.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<S>(Mutex<S>);

impl<S> Shard<S> {
    /// Ignores poisoning: a sketch is consistent after each of its updates, so one that panicked
    /// leaves it usable.
    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, S>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Threads are numbered in the order of their first update.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of the current thread.
fn thread_number() -> usize {
    THREAD.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = THREADS.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

impl<S: Clone + Merge> Sharded<S> {
    /// `shards` copies of an empty sketch. A good number is the number of threads.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when `shards` is 0.
    pub fn new(empty: S, shards: usize) -> Result<Self, SketchError> {
        if shards == 0 {
            return Err(SketchError::parameter("shards", "at least 1", shards));
        }
        let copies = (1..shards).map(|_| empty.clone()).collect::<Vec<_>>();
        let all = copies.into_iter().chain([empty]);
        Ok(Self {
            shards: all.map(|sketch| Shard(Mutex::new(sketch))).collect(),
        })
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Calls `update` with exclusive access to a shard: that of this thread if it is free, else any
    /// free one. The updates of one call are in a [snapshot](Self::snapshot) together or not at all;
    /// prefer one call per batch.
    ///
    /// `update` must not call methods of the same `Sharded`: it would deadlock.
    pub fn with<R>(&self, update: impl FnOnce(&mut S) -> R) -> R {
        // Try all shards, from the thread's own on; block on the own one only if none is free.
        let own = thread_number();
        let order = (0..self.shards.len()).map(|i| &self.shards[(own + i) % self.shards.len()]);
        let mut guard = order
            .map(Shard::try_lock)
            .find_map(|guard| guard)
            .unwrap_or_else(|| self.shards[own % self.shards.len()].lock());
        update(&mut guard)
    }

    /// A merged, consistent copy: it contains all calls of [`with`](Self::with) that ended before
    /// this one began, and none that began after it ended. Updates block while the shards are
    /// copied.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when `with` has replaced a shard by a sketch of other
    /// parameters.
    pub fn snapshot(&self) -> Result<S, SketchError> {
        // Always in this order, so that two snapshots cannot deadlock.
        let guards: Vec<_> = self.shards.iter().map(Shard::lock).collect();
        let copies: Vec<S> = guards.iter().map(|guard| S::clone(guard)).collect();
        drop(guards);
        merge(copies)
    }

    /// The merged sketch of all shards.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn into_merged(self) -> Result<S, SketchError> {
        let shards = self.shards.into_vec().into_iter();
        merge(shards.map(|shard| shard.0.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn merge<S: Merge>(sketches: impl IntoIterator<Item = S>) -> Result<S, SketchError> {
    let mut sketches = sketches.into_iter();
    let mut merged = sketches.next().expect("there is at least one shard");
    for sketch in sketches {
        merged.merge(&sketch)?;
    }
    Ok(merged)
}
