//! Learned sketches as bytes.
//!
//! The oracle is not part of the file, only its fingerprint; who reads the file brings the oracle.
//! The verdicts are not stored either: the oracle is asked again for keys that it turned down.
//!
//! Parameters: fingerprint of the oracle (16 bytes); threshold (u8: 0 quantile, 1 fixed, 2 adaptive;
//! its number as f64); the cut of the threshold, without the worth (f32, ties u64); admission (u8: 0 first come, 1 by cost; expected
//! total u64); expected keys (f64); worth (f32); bits of the verdicts (u8, 255 for none); flags (u8:
//! 1 late, 2 the oracle has failed); the eight numbers of the statistics (u64); buckets (u64). The
//! payload is the length (u64) and the file of the sketch; for each bucket the number of entries
//! (u8) and for each entry its tag (8 or 4 bytes) and its count, times four, with 1 for partial and 2
//! for late (seven bits a byte); in an adaptive sketch the size of the sample and the number of
//! sampled keys (seven bits a byte), how many were ever added (u64), and for each its hash (u64) and
//! score (f32).

use std::marker::PhantomData;

use super::builder::Admission;
use super::sketch::{Learned, LearnedStats};
use super::table::{Entry, ExplicitTable, Slot};
use super::threshold::{Cut, LARGEST_SAMPLE, Sample, Threshold};
use super::verdicts::Verdicts;
use crate::codec::input::Input;
use crate::codec::native::{
    Envelope, Kind, Native, Options, Parts, default_memory, push_varint, varint,
};
use crate::error::SketchError;
use crate::frequency::FrequencySketch;
use crate::oracle::Oracle;

const LATE: u8 = 1;
const FAILED: u8 = 2;
const NO_VERDICTS: u8 = 255;
const MOST_VERDICT_BITS: u8 = 24;

impl<K, S, O, T> Learned<K, S, O, T>
where
    K: ?Sized,
    S: FrequencySketch + Native,
    O: Oracle<K>,
    T: Slot,
{
    /// The bytes of this sketch, in the [format](crate::codec::native) of this crate. The oracle is
    /// stored on its own; the file holds its fingerprint.
    ///
    /// # Errors
    ///
    /// [`SketchError::NeedsFeature`] for a compression that is not built in.
    pub fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let sketch = self.sketch.to_bytes(options)?;
        let mut payload = (sketch.len() as u64).to_le_bytes().to_vec();
        payload.extend(sketch);
        self.write_table(&mut payload);
        if let Some(sample) = &self.sample {
            push_varint(&mut payload, sample.size as u64);
            push_varint(&mut payload, sample.hashes.len() as u64);
            payload.extend((sample.added as u64).to_le_bytes());
            for (hash, score) in sample.hashes.iter().zip(&sample.scores) {
                payload.extend(hash.to_le_bytes());
                payload.extend(score.to_le_bytes());
            }
        }
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
        let (kind, number) = match self.threshold {
            Threshold::Quantile { over } => (0, over),
            Threshold::Fixed(score) => (1, f64::from(score)),
            Threshold::Adaptive { over } => (2, over),
        };
        bytes.push(kind);
        bytes.extend(number.to_le_bytes());
        bytes.extend(self.base.score.to_le_bytes());
        bytes.extend(self.base.ties.to_le_bytes());
        let (kind, expected) = match self.admission {
            Admission::FirstCome => (0, 0),
            Admission::CostBased { expected_total } => (1, expected_total),
        };
        bytes.push(kind);
        bytes.extend(expected.to_le_bytes());
        bytes.extend(self.expected_keys.to_le_bytes());
        bytes.extend(self.worth.to_le_bytes());
        let verdicts = self.verdicts.entries().checked_ilog2();
        bytes.push(verdicts.map_or(NO_VERDICTS, |bits| bits as u8));
        let late = if self.late { LATE } else { 0 };
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

    /// Reads a sketch that was written with this oracle. It may take as much memory as
    /// [`Native::from_bytes`] says.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] when the bytes are not those of such a sketch, or when its oracle had
    /// another fingerprint.
    pub fn from_bytes(bytes: &[u8], oracle: O) -> Result<Self, SketchError> {
        Self::from_bytes_within(bytes, oracle, default_memory(bytes))
    }

    /// As [`from_bytes`](Self::from_bytes), for a sketch of at most about `memory` bytes.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_within(bytes: &[u8], oracle: O, memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::Learned, memory)?;
        envelope.check_element(ExplicitTable::<T>::SLOT_BYTES as u8, "bytes of a slot")?;
        let parameters = Parameters::read(&mut envelope.parameters, oracle.fingerprint())?;
        let buckets = usize::try_from(parameters.buckets).unwrap_or(usize::MAX);
        let table_bytes = buckets.checked_mul(ExplicitTable::<T>::BUCKET_BYTES);
        let verdict_bytes = Verdicts::bytes_of(parameters.verdict_bits);
        let needed = table_bytes.and_then(|table| table.checked_add(verdict_bytes));
        envelope.check_memory(needed, memory)?;

        let mut input = envelope.content();
        let length = usize::try_from(input.u64("length of the sketch")?).unwrap_or(usize::MAX);
        let at = input.offset();
        let sketch = input.take(length, "sketch")?;
        let sketch =
            S::from_bytes_within(sketch, memory).map_err(|error| input.inside(at, error))?;
        if sketch.seed() != envelope.header.seed {
            return Err(input.fault_at(at, "the seed of the file", format!("{}", sketch.seed())));
        }
        // An empty bucket takes a byte: so many buckets are no more than the bytes that are there.
        if input.remaining() < buckets {
            let found = format!("{} bytes", input.remaining());
            return Err(input.fault_at(input.offset(), format!("{buckets} buckets"), found));
        }
        let table = read_table::<T>(&mut input, buckets)?;
        let sample = match parameters.threshold {
            Threshold::Adaptive { .. } => Some(read_sample(&mut input, parameters.stats.total)?),
            _ => None,
        };
        input.end()?;
        Ok(Self {
            table,
            sketch,
            oracle,
            threshold: parameters.threshold,
            base: parameters.cut,
            cut: parameters.cut.at_least(parameters.worth),
            stats: parameters.stats,
            late: parameters.late,
            verdicts: Verdicts::new(parameters.verdict_bits),
            admission: parameters.admission,
            expected_keys: parameters.expected_keys,
            worth: parameters.worth,
            sample,
            oracle_failed: parameters.oracle_failed,
            keys: PhantomData,
        })
    }
}

/// Bytes of a tag in the file.
fn tag_bytes<T: Slot>() -> usize {
    ExplicitTable::<T>::SLOT_BYTES / 2
}

fn statistics(stats: &LearnedStats) -> [u64; 8] {
    [
        stats.total,
        stats.explicit,
        stats.admitted,
        stats.late,
        stats.questions,
        stats.not_finite,
        stats.panics,
        stats.spilled,
    ]
}

/// What the parameters of a file say.
struct Parameters {
    threshold: Threshold,
    cut: Cut,
    admission: Admission,
    expected_keys: f64,
    worth: f32,
    verdict_bits: Option<u32>,
    late: bool,
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
        let kind = input.u8("threshold")?;
        let at = input.offset();
        let number = f64::from_bits(input.u64("number of the threshold")?);
        let threshold = match kind {
            0 => Threshold::Quantile { over: number },
            1 => Threshold::Fixed(number as f32),
            2 => Threshold::Adaptive { over: number },
            other => return Err(input.fault_at(at - 1, "0 to 2", format!("{other}"))),
        };
        if number.is_nan() || (kind != 1 && !(number > 0.0 && number.is_finite())) {
            return Err(input.fault_at(at, "a threshold", format!("{number}")));
        }
        let at = input.offset();
        let cut = Cut {
            score: f32::from_bits(input.u32("score of the cut")?),
            ties: input.u64("ties")?,
        };
        if cut.score.is_nan() || cut.ties > 1 << 32 {
            return Err(input.fault_at(at, "a cut", format!("{cut:?}")));
        }
        let admission = match (input.u8("admission")?, input.u64("expected total")?) {
            (0, 0) => Admission::FirstCome,
            (1, expected_total) => Admission::CostBased { expected_total },
            other => return Err(input.fault_at(at + 12, "an admission", format!("{other:?}"))),
        };
        let at = input.offset();
        let expected_keys = f64::from_bits(input.u64("expected keys")?);
        let worth = f32::from_bits(input.u32("worth")?);
        if !(expected_keys >= 0.0 && expected_keys.is_finite()) || worth.is_nan() {
            return Err(input.fault_at(at, "numbers", format!("{expected_keys}, {worth}")));
        }
        let verdict_bits = match input.u8("bits of the verdicts")? {
            NO_VERDICTS => None,
            bits @ 0..=MOST_VERDICT_BITS => Some(u32::from(bits)),
            other => return Err(input.fault_before("0 to 24 bits, or 255", other)),
        };
        let flags = input.u8("flags")?;
        if flags > LATE | FAILED {
            return Err(input.fault_before("flags 0 to 3", flags));
        }
        let at = input.offset();
        let mut numbers = [0; 8];
        for number in &mut numbers {
            *number = input.u64("statistics")?;
        }
        let [
            total,
            explicit,
            admitted,
            late,
            questions,
            not_finite,
            panics,
            spilled,
        ] = numbers;
        if explicit > total {
            let expected = format!("at most {total} occurrences in the table");
            return Err(input.fault_at(at + 8, expected, format!("{explicit}")));
        }
        let buckets = input.u64("number of buckets")?;
        input.end()?;
        Ok(Self {
            threshold,
            cut,
            admission,
            expected_keys,
            worth,
            verdict_bits,
            late: flags & LATE != 0,
            oracle_failed: flags & FAILED != 0,
            stats: LearnedStats {
                total,
                explicit,
                admitted,
                late,
                questions,
                not_finite,
                panics,
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
    let slots = ExplicitTable::<T>::slots_of_a_bucket();
    if buckets > u32::MAX as usize {
        let at = input.offset();
        return Err(input.fault_at(at, "fewer than 2^32 buckets", format!("{buckets}")));
    }
    let mut table = ExplicitTable::<T>::with_slots(0);
    let mut entries = Vec::with_capacity(slots);
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

fn read_sample(input: &mut Input<'_>, total: u64) -> Result<Sample, SketchError> {
    let at = input.offset();
    let size = varint(input)?;
    if size == 0 || size > LARGEST_SAMPLE as u64 {
        let expected = format!("a sample of 1 to {LARGEST_SAMPLE} keys");
        return Err(input.fault_at(at, expected, format!("{size}")));
    }
    let at = input.offset();
    let count = varint(input)?;
    if count > size {
        return Err(input.fault_at(at, format!("at most {size} keys"), format!("{count}")));
    }
    let mut sample = Sample::new(size as usize);
    let at = input.offset();
    let added = input.u64("number of sampled keys")?;
    if added < count || added > total {
        let expected = format!("{count} to {total} sampled keys");
        return Err(input.fault_at(at, expected, format!("{added}")));
    }
    sample.added = usize::try_from(added).unwrap_or(usize::MAX);
    for _ in 0..count {
        let at = input.offset();
        let hash = input.u64("hash")?;
        let score = f32::from_bits(input.u32("score")?);
        if sample.hashes.last().is_some_and(|&last| last >= hash) {
            return Err(input.fault_at(at, "hashes in ascending order", format!("{hash}")));
        }
        sample.hashes.push(hash);
        sample.scores.push(score);
    }
    Ok(sample)
}
