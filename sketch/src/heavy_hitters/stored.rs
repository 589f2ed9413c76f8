//! Heavy hitters as bytes.
//!
//! Misra-Gries: the parameters are the counters (u64) and the subtracted count (u64); SpaceSaving: the
//! counters. The payload is the number of entries, and for each its key and its count. Counts are
//! varints in every encoding, those of Misra-Gries after the subtraction. Keys are integers (varint),
//! flows (13 bytes), hashes (8 bytes), or bytes preceded by their length (varint).
//!
//! Top-k: the parameters are k (u64), the threshold (8 bytes), the maximum count of keys lost in
//! merges (f64) and the type of the estimates (u8: 0 `u64`, 1 `f64`). The payload is the length (u64)
//! and the file of the sketch, the number of candidates, and for each its key and its estimate (8
//! bytes).
//!
//! Which of several equal minima is replaced first is not stored: a decoded summary may replace
//! another one than the original would have.

use super::monitored::Monitored;
use super::{MisraGries, SpaceSaving, TopK};
use crate::codec::input::Input;
use crate::codec::native::{
    Envelope, Kind, Native, Options, Parts, StoredKey, push_varint, read_key, varint,
};
use crate::error::SketchError;
use crate::frequency::{Estimate, FrequencySketch};

impl<K: StoredKey> Native for MisraGries<K> {
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let mut parameters = (self.counters() as u64).to_le_bytes().to_vec();
        parameters.extend(self.subtracted.to_le_bytes());
        let parts = Parts {
            kind: Kind::MisraGries,
            element: 0,
            keys: 0,
            saturated: false,
            seed: self.monitored.seed(),
            total: self.total,
            parameters,
            payload: Vec::new(),
        };
        write_entries(parts, &self.monitored, self.subtracted).to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::MisraGries, memory)?;
        envelope.check_element(0, "none")?;
        let counters = envelope.parameters.u64("number of counters")?;
        let subtracted = envelope.parameters.u64("subtracted count")?;
        envelope.parameters.end()?;
        let total = envelope.header.total;
        Ok(Self {
            monitored: read_entries(&envelope, counters, subtracted, memory)?,
            subtracted,
            total,
        })
    }
}

impl<K: StoredKey> Native for SpaceSaving<K> {
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let parts = Parts {
            kind: Kind::SpaceSaving,
            element: 0,
            keys: 0,
            saturated: false,
            seed: self.monitored.seed(),
            total: self.total,
            parameters: (self.counters() as u64).to_le_bytes().to_vec(),
            payload: Vec::new(),
        };
        write_entries(parts, &self.monitored, 0).to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::SpaceSaving, memory)?;
        envelope.check_element(0, "none")?;
        let counters = envelope.parameters.u64("number of counters")?;
        envelope.parameters.end()?;
        let total = envelope.header.total;
        Ok(Self {
            monitored: read_entries(&envelope, counters, 0, memory)?,
            total,
        })
    }
}

/// Adds the entries to the payload, and the code of their keys.
fn write_entries<K: StoredKey>(mut parts: Parts, from: &Monitored<K>, subtracted: u64) -> Parts {
    parts.keys = K::code(from.entries().map(|(key, _)| key));
    push_varint(&mut parts.payload, from.entries().count() as u64);
    for (key, count) in from.entries() {
        key.write(parts.keys, &mut parts.payload);
        push_varint(&mut parts.payload, count - subtracted);
    }
    parts
}

/// Reads what [`write_entries`] has written.
fn read_entries<K: StoredKey>(
    envelope: &Envelope<'_>,
    counters: u64,
    subtracted: u64,
    memory: usize,
) -> Result<Monitored<K>, SketchError> {
    let capacity = usize::try_from(counters).unwrap_or(usize::MAX);
    // An upper bound of `Monitored::size_bytes` for each entry.
    let entry = 64 + size_of::<K>();
    envelope.check_memory(capacity.checked_mul(entry), memory)?;
    let created = Monitored::growing("counters", capacity, envelope.header.seed);
    let mut monitored = envelope.checked(created)?;
    let mut input = envelope.content();
    // The table grows with the entries that are read, so a false capacity allocates nothing.
    let entries = number_of_entries(&mut input, counters)?;
    for _ in 0..entries {
        let at = input.offset();
        let key: K = read_key(envelope.key_code, &mut input)?;
        let count = varint(&mut input)?;
        let Some(count) = count.checked_add(subtracted) else {
            return Err(input.fault_at(at, "a count below 2^64", format!("{count}")));
        };
        let hash = key.hash64(monitored.seed());
        if monitored.find(hash, &key).is_some() {
            return Err(input.fault_at(at, "different keys", "a key twice"));
        }
        monitored.insert(hash, key, count);
    }
    input.end()?;
    Ok(monitored)
}

fn number_of_entries(input: &mut Input<'_>, max: u64) -> Result<u64, SketchError> {
    let at = input.offset();
    let entries = varint(input)?;
    if entries > max {
        return Err(input.fault_at(at, format!("at most {max} entries"), format!("{entries}")));
    }
    Ok(entries)
}

/// An estimate as 8 bytes.
trait StoredEstimate: Estimate {
    const CODE: u8;
    fn to_bits(self) -> u64;
    /// `None` for bits that are not a valid estimate.
    fn from_bits(bits: u64) -> Option<Self>;
}

impl StoredEstimate for u64 {
    const CODE: u8 = 0;

    fn to_bits(self) -> u64 {
        self
    }

    fn from_bits(bits: u64) -> Option<Self> {
        Some(bits)
    }
}

impl StoredEstimate for f64 {
    const CODE: u8 = 1;

    fn to_bits(self) -> u64 {
        self.to_bits()
    }

    fn from_bits(bits: u64) -> Option<Self> {
        let number = Self::from_bits(bits);
        number.is_finite().then_some(number)
    }
}

impl<K, S> Native for TopK<K, S>
where
    K: StoredKey,
    S: FrequencySketch + Native,
    S::Estimate: StoredEstimate,
{
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let mut parameters = (self.k as u64).to_le_bytes().to_vec();
        parameters.extend(StoredEstimate::to_bits(self.threshold).to_le_bytes());
        parameters.extend(self.merged_unlisted_count.to_le_bytes());
        parameters.push(S::Estimate::CODE);
        let keys = K::code(self.candidates.iter());
        let sketch = self.sketch.to_bytes(options)?;
        let mut payload = (sketch.len() as u64).to_le_bytes().to_vec();
        payload.extend(sketch);
        push_varint(&mut payload, self.candidates.len() as u64);
        for (key, &estimate) in self.candidates.iter().zip(&self.estimates) {
            key.write(keys, &mut payload);
            payload.extend(StoredEstimate::to_bits(estimate).to_le_bytes());
        }
        Parts {
            kind: Kind::TopK,
            element: 0,
            keys,
            saturated: false,
            seed: self.sketch.seed(),
            total: self.sketch.total(),
            parameters,
            payload,
        }
        .to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::TopK, memory)?;
        envelope.check_element(0, "none")?;
        let parameters = &mut envelope.parameters;
        let k = parameters.u64("k")?;
        let at = parameters.offset();
        let (threshold, lost) = (parameters.u64("threshold")?, parameters.u64("lost count")?);
        let code = parameters.u8("type of estimates")?;
        if code != S::Estimate::CODE {
            return Err(parameters.fault_before("the type of the sketch's estimates", code));
        }
        let lost = f64::from_bits(lost);
        let threshold: Option<S::Estimate> = StoredEstimate::from_bits(threshold);
        let (Some(threshold), true) = (threshold, lost.is_finite()) else {
            return Err(parameters.fault_at(at, "finite numbers", "others"));
        };
        parameters.end()?;
        // An upper bound of the table's memory, before anything is allocated.
        let k = usize::try_from(k).unwrap_or(usize::MAX);
        let table = k.checked_mul(2 * (size_of::<K>() + size_of::<S::Estimate>() + 16));
        envelope.check_memory(table, memory)?;

        let mut input = envelope.content();
        let length = usize::try_from(input.u64("length of the sketch")?).unwrap_or(usize::MAX);
        let at = input.offset();
        let sketch = input.take(length, "sketch")?;
        let sketch =
            S::from_bytes_with_limit(sketch, memory).map_err(|error| input.inside(at, error))?;
        if sketch.seed() != envelope.header.seed || sketch.total() != envelope.header.total {
            return Err(input.fault_at(at, "the seed and total of the file", "others"));
        }
        // The candidates; each key must be there once.
        let mut top = envelope.checked(Self::growing(k, sketch))?;
        top.threshold = threshold;
        top.merged_unlisted_count = lost;
        let candidates = number_of_entries(&mut input, 2 * k as u64)?;
        for _ in 0..candidates {
            let at = input.offset();
            let key: K = read_key(envelope.key_code, &mut input)?;
            let bits = input.u64("estimate")?;
            let Some(estimate) = StoredEstimate::from_bits(bits) else {
                return Err(input.fault_at(at, "a finite estimate", format!("{bits:#x}")));
            };
            let hash = key.hash64(top.sketch.seed());
            if top.position(hash, &key).is_some() {
                return Err(input.fault_at(at, "different keys", "a key twice"));
            }
            top.push(hash, key, estimate);
        }
        input.end()?;
        Ok(top)
    }
}
