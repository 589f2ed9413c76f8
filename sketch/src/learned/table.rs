//! The table of keys that are counted exactly.

use std::fmt::Debug;

use crate::cache_lines::prefetch;

/// The layout of a slot of an [`ExplicitTable`].
pub trait Slot: private::Slot {}

/// 8 bytes: 32 bits of the key's hash and a count below 2^30. A key that is not in the table is
/// mistaken for one that is with probability `entries in the bucket / 2^32`, at most `2^-28`.
#[derive(Clone, Copy, Debug)]
pub struct Slot8;

/// 16 bytes: the 64-bit hash and a count below 2^62. Entries can be moved into a sketch, so that any
/// two tables can be merged.
#[derive(Clone, Copy, Debug)]
pub struct Slot16;

impl Slot for Slot8 {}
impl Slot for Slot16 {}

mod private {
    pub trait Slot: Sized + 'static {
        type Bucket: super::Bucket;
    }

    impl Slot for super::Slot8 {
        type Bucket = super::Bucket8;
    }

    impl Slot for super::Slot16 {
        type Bucket = super::Bucket16;
    }
}

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The count.
    pub count: u64,
    /// The sketch has counted other occurrences of the key.
    pub partial: bool,
    /// The count includes an estimate of occurrences before the key was admitted.
    pub late: bool,
}

impl Entry {
    pub(super) fn exact(count: u64) -> Self {
        Self {
            count,
            partial: false,
            late: false,
        }
    }
}

/// Two cache lines of slots: the tags in the first, the counts in the second. A lookup of an absent
/// key reads the first line only. Slots are filled in order.
pub trait Bucket: Copy + Debug + Send + Sync + 'static {
    /// An empty bucket.
    const NEW: Self;
    /// The number of slots.
    const SLOTS: usize;
    /// The largest count of a slot.
    const MAX_COUNT: u64;
    /// The part of a hash that is stored. The tag 0 marks a free slot; keys with it are not stored.
    fn tag(hash: u64) -> u64;
    /// The slot with this tag.
    fn find(&self, tag: u64) -> Option<usize>;
    /// The tag in a slot, 0 if it is free.
    fn tag_at(&self, slot: usize) -> u64;
    /// The hash of the key in a slot, if the layout stores it.
    fn hash_at(&self, slot: usize) -> Option<u64>;
    /// Whether no slot is free.
    fn is_full(&self) -> bool;
    /// The entry in a slot.
    fn get(&self, slot: usize) -> Entry;
    /// Stores an entry.
    fn set(&mut self, slot: usize, tag: u64, entry: Entry);
    /// Adds `by` to the count; `false`, without a change, if the sum does not fit.
    fn add(&mut self, slot: usize, by: u64) -> bool;
    /// Prefetches both lines.
    fn prefetch(&self);
}

macro_rules! bucket {
    ($name:ident, $word:ident, $slots:literal, $hash_at:expr, $equal:path) => {
        #[doc = concat!("Slots whose tags and counts are `", stringify!($word), "`.")]
        #[derive(Clone, Copy, Debug)]
        #[repr(C, align(64))]
        pub struct $name {
            tags: [$word; $slots],
            /// The count in the lower bits, two flags in the highest.
            counts: [$word; $slots],
        }

        impl $name {
            const PARTIAL: $word = 1 << ($word::BITS - 1);
            const LATE: $word = 1 << ($word::BITS - 2);
            const COUNT: $word = Self::LATE - 1;
        }

        impl Bucket for $name {
            const NEW: Self = Self {
                tags: [0; $slots],
                counts: [0; $slots],
            };
            const SLOTS: usize = $slots;
            const MAX_COUNT: u64 = Self::COUNT as u64;

            #[inline]
            fn tag(hash: u64) -> u64 {
                (hash as $word).into()
            }

            #[inline]
            fn find(&self, tag: u64) -> Option<usize> {
                let tag = tag as $word;
                let equal = $equal(&self.tags, tag);
                (equal != 0).then(|| equal.trailing_zeros() as usize)
            }

            #[inline]
            fn tag_at(&self, slot: usize) -> u64 {
                self.tags[slot].into()
            }

            #[inline]
            fn hash_at(&self, slot: usize) -> Option<u64> {
                let hash: fn($word) -> Option<u64> = $hash_at;
                hash(self.tags[slot])
            }

            #[inline]
            fn is_full(&self) -> bool {
                // Slots are filled in order, so the last tells.
                self.tags[$slots - 1] != 0
            }

            #[inline]
            fn get(&self, slot: usize) -> Entry {
                let word = self.counts[slot];
                Entry {
                    count: (word & Self::COUNT).into(),
                    partial: word & Self::PARTIAL != 0,
                    late: word & Self::LATE != 0,
                }
            }

            fn set(&mut self, slot: usize, tag: u64, entry: Entry) {
                debug_assert!(entry.count <= Self::MAX_COUNT);
                self.tags[slot] = tag as $word;
                self.counts[slot] = entry.count as $word
                    | if entry.partial { Self::PARTIAL } else { 0 }
                    | if entry.late { Self::LATE } else { 0 };
            }

            #[inline]
            fn add(&mut self, slot: usize, by: u64) -> bool {
                let word = self.counts[slot];
                let fits = by <= u64::from(Self::COUNT - (word & Self::COUNT));
                if fits {
                    self.counts[slot] = word + by as $word;
                }
                fits
            }

            #[inline]
            fn prefetch(&self) {
                prefetch(&self.tags, 0);
                prefetch(&self.counts, 0);
            }
        }
    };
}
bucket!(Bucket8, u32, 16, |_| None, equal_of_16);
bucket!(Bucket16, u64, 8, |tag| Some(tag), equal_one_by_one);

/// A bit mask of the tags that are equal to `tag`.
#[inline]
fn equal_one_by_one<W: Copy + Eq>(tags: &[W], tag: W) -> u32 {
    let bits = tags.iter().enumerate();
    bits.fold(0, |bits, (slot, &stored)| {
        bits | u32::from(stored == tag) << slot
    })
}

/// The same for a line of 32-bit tags, with SSE2, which compilers do not use by themselves here.
#[inline]
fn equal_of_16(tags: &[u32; 16], tag: u32) -> u32 {
    #[cfg(not(target_arch = "x86_64"))]
    {
        equal_one_by_one(tags, tag)
    }
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "four vector loads: halves the time of a lookup")]
    {
        use core::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64; the four loads cover the 64 bytes of the tags.
        unsafe {
            let line: *const __m128i = tags.as_ptr().cast();
            let tag = _mm_set1_epi32(tag.cast_signed());
            let equal = |quarter| _mm_cmpeq_epi32(_mm_loadu_si128(line.add(quarter)), tag);
            // Narrow the four masks of four 32-bit lanes to one mask of sixteen bytes.
            let halves = [
                _mm_packs_epi32(equal(0), equal(1)),
                _mm_packs_epi32(equal(2), equal(3)),
            ];
            _mm_movemask_epi8(_mm_packs_epi16(halves[0], halves[1])).cast_unsigned()
        }
    }
}

/// The position of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) bucket: usize,
    pub(super) slot: usize,
}

/// The result of a lookup.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup {
    /// The key is in this slot.
    Found(Place),
    /// The key is not in the table, and can be stored.
    Vacant,
    /// The key is not in the table, and cannot be stored.
    Full,
}

/// A fixed number of slots for keys with exact counts.
///
/// The upper half of a key's hash selects one of the buckets of 128 bytes, and the key is stored there
/// or not at all: buckets of 16 slots fill to 94 % on average when there are a tenth more keys than
/// slots. The lower half (or all) of the hash distinguishes the keys of a bucket, so that only keys of
/// the same bucket can be mistaken for each other. A key whose stored part of the hash is 0 is never
/// stored.
#[derive(Clone, Debug)]
pub struct ExplicitTable<T: Slot = Slot8> {
    buckets: Vec<T::Bucket>,
    entries: usize,
}

impl<T: Slot> ExplicitTable<T> {
    /// Bytes of a slot.
    pub const SLOT_BYTES: usize = size_of::<T::Bucket>() / T::Bucket::SLOTS;

    /// Bytes of a bucket.
    pub(super) const BUCKET_BYTES: usize = size_of::<T::Bucket>();

    /// A table with a budget of `bytes`, rounded down to whole buckets of 128 bytes.
    #[must_use]
    pub fn with_bytes(bytes: usize) -> Self {
        // The bucket of a key is computed from 32 bits of its hash.
        let buckets = bytes / size_of::<T::Bucket>();
        Self {
            buckets: vec![T::Bucket::NEW; buckets.min(u32::MAX as usize)],
            entries: 0,
        }
    }

    /// A table of at least `slots` slots, rounded up to whole buckets of 128 bytes, and at most
    /// `2^32 - 1` buckets. Allocates the whole table.
    #[must_use]
    pub fn with_slots(slots: usize) -> Self {
        Self::with_bytes(Self::bytes_of_slots(slots))
    }

    fn bytes_of_slots(slots: usize) -> usize {
        let buckets = slots.div_ceil(T::Bucket::SLOTS);
        buckets.saturating_mul(size_of::<T::Bucket>())
    }

    /// Slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.buckets.len() * T::Bucket::SLOTS
    }

    /// Keys in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is no key in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of all slots.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.buckets.as_slice())
    }

    /// The entry of the key with this hash.
    #[must_use]
    pub fn get(&self, hash: u64) -> Option<Entry> {
        self.find(hash).map(|place| self.entry(place))
    }

    /// Stores the key with this hash, which must not be in the table yet, with a count. Returns
    /// `false` if its bucket is full, or the hash or the count cannot be stored.
    #[must_use]
    pub fn insert(&mut self, hash: u64, count: u64) -> bool {
        count <= T::Bucket::MAX_COUNT && self.has_room(hash) && {
            self.store(hash, Entry::exact(count));
            true
        }
    }

    #[inline]
    pub(super) fn bucket_of(&self, hash: u64) -> usize {
        (((hash >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<Place> {
        let bucket = self.bucket_of(hash);
        let tag = T::Bucket::tag(hash);
        // Free slots have the tag 0, which no stored key has.
        let slot = self.buckets.get(bucket)?.find(tag)?;
        (tag != 0).then_some(Place { bucket, slot })
    }

    /// Whether the key with this hash could be stored.
    #[inline]
    pub(super) fn has_room(&self, hash: u64) -> bool {
        let bucket = self.buckets.get(self.bucket_of(hash));
        bucket.is_some_and(|bucket| !bucket.is_full()) && T::Bucket::tag(hash) != 0
    }

    #[inline]
    pub(super) fn entry(&self, place: Place) -> Entry {
        self.buckets[place.bucket].get(place.slot)
    }

    /// Adds `by` to a count; `false`, without a change, if the sum does not fit.
    #[inline]
    pub(super) fn add(&mut self, place: Place, by: u64) -> bool {
        self.buckets[place.bucket].add(place.slot, by)
    }

    /// Raises a count to its maximum and marks the entry as partial; returns what did not fit.
    pub(super) fn overflow(&mut self, place: Place, by: u64) -> u64 {
        // The key keeps its slot: its estimate is the full slot plus that of the sketch.
        let bucket = &mut self.buckets[place.bucket];
        let entry = bucket.get(place.slot);
        let fits = by.min(T::Bucket::MAX_COUNT - entry.count);
        let full = Entry {
            count: entry.count + fits,
            partial: true,
            ..entry
        };
        bucket.set(place.slot, bucket.tag_at(place.slot), full);
        by - fits
    }

    /// Stores an entry in the first free slot of its bucket, which must not be full.
    pub(super) fn store(&mut self, hash: u64, entry: Entry) -> Place {
        let bucket = self.bucket_of(hash);
        let slot = self.store_tag(bucket, T::Bucket::tag(hash), entry);
        Place { bucket, slot }
    }

    fn store_tag(&mut self, bucket: usize, tag: u64, entry: Entry) -> usize {
        let slots = &mut self.buckets[bucket];
        let slot = slots.find(0).expect("the bucket has a free slot");
        slots.set(slot, tag, entry);
        self.entries += 1;
        slot
    }

    /// Prefetches the bucket of a key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.bucket_of(hash)) {
            bucket.prefetch();
        }
    }

    /// Looks up the key with this hash in one pass over its bucket.
    #[inline]
    pub(super) fn lookup(&self, hash: u64) -> Lookup {
        let bucket = self.bucket_of(hash);
        let tag = T::Bucket::tag(hash);
        let Some(slots) = self.buckets.get(bucket) else {
            return Lookup::Full;
        };
        // The tag 0 also matches free slots, so it is excluded first.
        match slots.find(tag) {
            Some(slot) if tag != 0 => Lookup::Found(Place { bucket, slot }),
            _ if slots.is_full() || tag == 0 => Lookup::Full,
            _ => Lookup::Vacant,
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(T::Bucket::NEW);
        self.entries = 0;
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The entries of a bucket: tag, hash if it is stored, and entry.
    pub(super) fn bucket(
        &self,
        bucket: usize,
    ) -> impl Iterator<Item = (u64, Option<u64>, Entry)> + '_ {
        let bucket = &self.buckets[bucket];
        (0..T::Bucket::SLOTS)
            .map(|slot| (bucket.tag_at(slot), bucket.hash_at(slot), bucket.get(slot)))
            .take_while(|&(tag, ..)| tag != 0)
    }

    /// Appends a bucket with these entries. A table grows only while it is decoded.
    pub(super) fn push_bucket(&mut self, entries: &[(u64, Entry)]) {
        self.buckets.push(T::Bucket::NEW);
        self.set_bucket(self.buckets.len() - 1, entries);
    }

    /// Releases spare capacity after growing.
    pub(super) fn shrink(&mut self) {
        self.buckets.shrink_to_fit();
    }

    /// Replaces the entries of a bucket.
    pub(super) fn set_bucket(&mut self, bucket: usize, entries: &[(u64, Entry)]) {
        self.entries -= self.bucket(bucket).count();
        self.buckets[bucket] = T::Bucket::NEW;
        for &(tag, entry) in entries {
            self.store_tag(bucket, tag, entry);
        }
    }

    pub(super) const fn slots_per_bucket() -> usize {
        T::Bucket::SLOTS
    }

    pub(super) const fn max_count() -> u64 {
        T::Bucket::MAX_COUNT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash_integer;

    #[test]
    fn the_bytes_of_too_many_slots_do_not_wrap() {
        assert_eq!(
            ExplicitTable::<Slot8>::bytes_of_slots(usize::MAX),
            usize::MAX
        );
        assert_eq!(ExplicitTable::<Slot16>::bytes_of_slots(9), 256);
    }

    #[test]
    fn slots_take_the_bytes_that_are_charged() {
        assert_eq!(ExplicitTable::<Slot8>::SLOT_BYTES, 8);
        assert_eq!(ExplicitTable::<Slot16>::SLOT_BYTES, 16);
        assert_eq!(ExplicitTable::<Slot8>::with_slots(1000).size_bytes(), 8064);
        assert_eq!(ExplicitTable::<Slot16>::with_bytes(1000).slots(), 56);
        assert_eq!(ExplicitTable::<Slot8>::with_bytes(127).slots(), 0);
    }

    /// Buckets fill as Poisson-distributed numbers of keys, cut off at 16, would: with 1.1 keys a
    /// slot, E[min(X, 16)] / 16 for X ~ Poisson(17.6) is 0.9399.
    #[test]
    fn buckets_fill_as_computed() {
        let mut table = ExplicitTable::<Slot8>::with_slots(100_000);
        let keys = (table.slots() as f64 * 1.1) as u64;
        let stored = (0..keys)
            .filter(|&key| table.insert(hash_integer(key, 0), 1))
            .count();
        assert_eq!(stored, table.len());
        let fill = stored as f64 / table.slots() as f64;
        assert!((fill - 0.9399).abs() < 0.004, "{fill}");
    }

    /// A stranger meets a stored tag with probability (keys of its bucket) / 2^32. That is too rare
    /// to be counted, but it is the product of the rates for the parts of a tag, if these are
    /// independent of each other and of the bucket: counted here for 12 bits at either end.
    #[test]
    fn tags_collide_as_rarely_as_computed() {
        let mut table = ExplicitTable::<Slot8>::with_slots(100_000);
        for key in 0..90_000 {
            let _ = table.insert(hash_integer(key, 0), 1);
        }
        let (mut compared, mut whole, mut low, mut high) = (0u64, 0u64, 0u64, 0u64);
        for stranger in 1_000_000..3_000_000 {
            let hash = hash_integer(stranger, 0);
            whole += u64::from(table.get(hash).is_some());
            let tag = hash as u32;
            for (stored, ..) in table.bucket(table.bucket_of(hash)) {
                compared += 1;
                low += u64::from((stored as u32 ^ tag) << 20 == 0);
                high += u64::from((stored as u32 ^ tag) >> 20 == 0);
            }
        }
        // 28 million comparisons: 0.0065 whole tags are expected, 3 or more with P < 1e-7.
        assert!(whole < 3, "{whole} of {compared}");
        for part in [low, high] {
            let expected = compared as f64 / 4096.0;
            let deviation = (part as f64 - expected) / expected.sqrt();
            assert!(deviation.abs() < 6.0, "{part} of {compared}");
        }
    }

    #[test]
    fn counts_that_overflow_leave_a_rest() {
        let mut table = ExplicitTable::<Slot8>::with_slots(16);
        let hash = hash_integer(1, 0);
        assert!(table.insert(hash, Bucket8::MAX_COUNT - 1));
        let place = table.find(hash).expect("just stored");
        assert!(table.add(place, 1));
        assert!(!table.add(place, 1));
        assert_eq!(table.overflow(place, 5), 5);
        let entry = table.get(hash).expect("still there");
        assert_eq!(entry.count, (1 << 30) - 1);
        assert!(entry.partial && !entry.late);
        assert!(!table.insert(hash_integer(2, 0), 1 << 30));
    }

    #[test]
    fn vector_comparison_is_comparison_one_by_one() {
        for equal in 0..1u32 << 16 {
            let tags: [u32; 16] = core::array::from_fn(|slot| {
                0x8000_0001 ^ (u32::from(equal >> slot & 1 == 0) << (slot * 2))
            });
            assert_eq!(equal_of_16(&tags, 0x8000_0001), equal);
            assert_eq!(equal_one_by_one(&tags, 0x8000_0001), equal);
        }
    }

    #[test]
    fn a_tag_of_zero_is_not_stored() {
        let mut table = ExplicitTable::<Slot8>::with_slots(16);
        assert!(!table.insert(7 << 32, 1));
        assert_eq!(table.get(7 << 32), None);
        let mut table = ExplicitTable::<Slot16>::with_slots(16);
        assert!(table.insert(7 << 32, 1));
        assert!(!table.insert(0, 1));
    }
}
