//! Learned sketches as bytes.
//!
//! The file contains the fingerprint of the oracle, not the oracle itself, which the reader must
//! provide. The rejection cache is not stored: the oracle scores those keys again.
//!
//! Parameters: fingerprint of the oracle (16 bytes); the admission policy; bits of the rejection
//! cache (u8, 255 for none); flags (u8: 1 keys that the sketch has counted may be admitted, 2 the
//! oracle has failed); the eight numbers of the statistics (u64); buckets (u64). The payload is the
//! length (u64) and the file of the sketch; for each bucket the number of entries (u8) and for each
//! entry its tag (8 or 4 bytes) and its count times four, plus 1 for partial and 2 for late (varint);
//! and the sample of an adaptive threshold.

use std::marker::PhantomData;

use super::{Learned, LearnedStats};
use crate::codec::input::Input;
use crate::codec::native::{
    Envelope, Kind, Native, Options, Parts, default_memory, push_varint, varint,
};
use crate::error::SketchError;
use crate::frequency::FrequencySketch;
use crate::learned::builder::MAX_CACHE_BITS;
use crate::learned::policy::AdmissionPolicy;
use crate::learned::rejection_cache::RejectionCache;
use crate::learned::table::{Entry, ExplicitTable, Slot};
use crate::oracle::Oracle;

/// The flag [`Learned::admits_counted_keys`].
const LATE: u8 = 1;
/// The flag [`Learned::oracle_failed`].
const FAILED: u8 = 2;
/// The bits of an absent rejection cache.
const NO_CACHE: u8 = 255;

impl<K, S, O, T> Learned<K, S, O, T>
where
    K: ?Sized,
    S: FrequencySketch + Native,
    O: Oracle<K>,
    T: Slot,
{
    /// Encodes the sketch in the [format](crate::codec::native) of this crate. The oracle is stored
    /// separately; the bytes contain its fingerprint.
    ///
    /// # Errors
    ///
    /// [`SketchError::NeedsFeature`] for a compression that is not built in.
    pub fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let sketch = self.sketch.to_bytes(options)?;
        let mut payload = (sketch.len() as u64).to_le_bytes().to_vec();
        payload.extend(sketch);
        self.write_table(&mut payload);
        self.policy.write_sample(&mut payload);
        Parts {
            kind: Kind::Learned,
            element: ExplicitTable::<T>::SLOT_BYTES as u8,
            keys: 0,
            saturated: false,
            seed: self.sketch.seed(),
            total: self.stats.total,
            parameters: self.parameters(),
            payload,
        }
        .to_bytes(options)
    }

    fn parameters(&self) -> Vec<u8> {
        let mut bytes = self.oracle.fingerprint().to_vec();
        self.policy.write(&mut bytes);
        bytes.push(self.rejections.bits().map_or(NO_CACHE, |bits| bits as u8));
        let late = if self.admits_counted_keys { LATE } else { 0 };
        bytes.push(late | if self.oracle_failed { FAILED } else { 0 });
        for number in statistics(&self.stats) {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((self.table.buckets() as u64).to_le_bytes());
        bytes
    }

    fn write_table(&self, bytes: &mut Vec<u8>) {
        for bucket in 0..self.table.buckets() {
            bytes.push(self.table.bucket(bucket).count() as u8);
            for (tag, _, entry) in self.table.bucket(bucket) {
                bytes.extend(&tag.to_le_bytes()[..tag_bytes::<T>()]);
                let flags = u64::from(entry.partial) | u64::from(entry.late) << 1;
                push_varint(bytes, entry.count << 2 | flags);
            }
        }
    }

    /// Decodes a sketch that was written with this oracle, with the memory limit of
    /// [`Native::from_bytes`].
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] when the bytes are not a valid sketch of this type, or when the
    /// fingerprint of its oracle differs.
    pub fn from_bytes(bytes: &[u8], oracle: O) -> Result<Self, SketchError> {
        Self::from_bytes_with_limit(bytes, oracle, default_memory(bytes))
    }

    /// As [`from_bytes`](Self::from_bytes), for a sketch of at most about `max_memory` bytes.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_with_limit(
        bytes: &[u8],
        oracle: O,
        max_memory: usize,
    ) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::Learned, max_memory)?;
        envelope.check_element(ExplicitTable::<T>::SLOT_BYTES as u8, "bytes of a slot")?;
        // The memory of the whole sketch is checked before any of it is allocated.
        let parameters = Parameters::read(&mut envelope.parameters, oracle.fingerprint())?;
        let buckets = usize::try_from(parameters.buckets).unwrap_or(usize::MAX);
        let table_bytes = buckets.checked_mul(ExplicitTable::<T>::BUCKET_BYTES);
        let cache_bytes = RejectionCache::bytes_of(parameters.rejection_cache_bits);
        let needed = table_bytes.and_then(|table| table.checked_add(cache_bytes));
        envelope.check_memory(needed, max_memory)?;

        let mut input = envelope.content();
        let length = usize::try_from(input.u64("length of the sketch")?).unwrap_or(usize::MAX);
        let at = input.offset();
        let sketch = input.take(length, "sketch")?;
        let sketch = S::from_bytes_with_limit(sketch, max_memory)
            .map_err(|error| input.inside(at, error))?;
        if sketch.seed() != envelope.header.seed {
            return Err(input.fault_at(at, "the seed of the file", format!("{}", sketch.seed())));
        }
        // A bucket takes at least one byte, so the number of buckets is bounded by the input.
        if input.remaining() < buckets {
            let found = format!("{} bytes", input.remaining());
            return Err(input.fault_at(input.offset(), format!("{buckets} buckets"), found));
        }
        let table = read_table::<T>(&mut input, buckets)?;
        let mut policy = parameters.policy;
        policy.read_sample(&mut input, parameters.stats.total)?;
        input.end()?;
        Ok(Self {
            table,
            sketch,
            oracle,
            policy,
            rejections: RejectionCache::new(parameters.rejection_cache_bits),
            stats: parameters.stats,
            admits_counted_keys: parameters.admits_counted_keys,
            oracle_failed: parameters.oracle_failed,
            keys: PhantomData,
        })
    }
}

/// Bytes of a tag in a file.
fn tag_bytes<T: Slot>() -> usize {
    ExplicitTable::<T>::SLOT_BYTES / 2
}

fn statistics(stats: &LearnedStats) -> [u64; 8] {
    [
        stats.total,
        stats.explicit,
        stats.admitted,
        stats.late,
        stats.oracle_queries,
        stats.non_finite_scores,
        stats.oracle_panics,
        stats.spilled,
    ]
}

/// The decoded parameters of a file.
struct Parameters {
    policy: AdmissionPolicy,
    rejection_cache_bits: Option<u32>,
    admits_counted_keys: bool,
    oracle_failed: bool,
    stats: LearnedStats,
    buckets: u64,
}

impl Parameters {
    fn read(input: &mut Input<'_>, fingerprint: [u8; 16]) -> Result<Self, SketchError> {
        let at = input.offset();
        let stored: [u8; 16] = input.array("fingerprint of the oracle")?;
        if stored != fingerprint {
            let hexadecimal = |bytes| format!("{:032x}", u128::from_be_bytes(bytes));
            let expected = format!("the oracle of fingerprint {}", hexadecimal(fingerprint));
            return Err(input.fault_at(at, expected, hexadecimal(stored)));
        }
        let policy = AdmissionPolicy::read(input)?;
        let rejection_cache_bits = match input.u8("bits of the rejection cache")? {
            NO_CACHE => None,
            bits @ 0..=MAX_CACHE_BITS => Some(u32::from(bits)),
            other => return Err(input.fault_before("0 to 24 bits, or 255", other)),
        };
        let flags = input.u8("flags")?;
        if flags > LATE | FAILED {
            return Err(input.fault_before("flags 0 to 3", flags));
        }
        let at = input.offset();
        // The statistics, in the order of `statistics`.
        let mut numbers = [0; 8];
        for number in &mut numbers {
            *number = input.u64("statistics")?;
        }
        let [
            total,
            explicit,
            admitted,
            late,
            oracle_queries,
            non_finite_scores,
            oracle_panics,
            spilled,
        ] = numbers;
        // A larger part would give a coverage above 1.
        if explicit > total {
            let expected = format!("at most {total} occurrences in the table");
            return Err(input.fault_at(at + 8, expected, format!("{explicit}")));
        }
        let buckets = input.u64("number of buckets")?;
        input.end()?;
        Ok(Self {
            policy,
            rejection_cache_bits,
            admits_counted_keys: flags & LATE != 0,
            oracle_failed: flags & FAILED != 0,
            stats: LearnedStats {
                total,
                explicit,
                admitted,
                late,
                oracle_queries,
                non_finite_scores,
                oracle_panics,
                spilled,
            },
            buckets,
        })
    }
}

fn read_table<T: Slot>(
    input: &mut Input<'_>,
    buckets: usize,
) -> Result<ExplicitTable<T>, SketchError> {
    let slots = ExplicitTable::<T>::slots_per_bucket();
    if buckets > u32::MAX as usize {
        let at = input.offset();
        return Err(input.fault_at(at, "fewer than 2^32 buckets", format!("{buckets}")));
    }
    let mut table = ExplicitTable::<T>::with_slots(0);
    let mut entries = Vec::with_capacity(slots);
    // Bucket by bucket, so that the table grows with the input that has been read.
    for _ in 0..buckets {
        let count = input.u8("number of entries")?;
        if usize::from(count) > slots {
            return Err(input.fault_before("no more entries than slots", count));
        }
        entries.clear();
        for _ in 0..count {
            let at = input.offset();
            let mut tag = [0; 8];
            let length = tag_bytes::<T>();
            tag[..length].copy_from_slice(input.take(length, "tag")?);
            let tag = u64::from_le_bytes(tag);
            let word = varint(input)?;
            let entry = Entry {
                count: word >> 2,
                partial: word & 1 != 0,
                late: word & 2 != 0,
            };
            // Lookups rely on distinct tags, of which 0 marks a free slot.
            let twice = entries.iter().any(|&(other, _)| other == tag);
            if tag == 0 || twice || entry.count > ExplicitTable::<T>::max_count() {
                let expected = "an entry of its own with a count that fits";
                return Err(input.fault_at(at, expected, format!("{entry:?}")));
            }
            entries.push((tag, entry));
        }
        table.push_bucket(&entries);
    }
    table.shrink();
    Ok(table)
}
