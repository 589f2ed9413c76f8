//! A common interface of all sketches.

use std::any::Any;

use anyhow::{Result, anyhow};
use septet_core::cli::Failure;
use septet_core::cli::Report;
use septet_core::io::ByteSize;
use septet_sketch::codec::datasketches::{self, Cell, Item};
use septet_sketch::codec::native::{Native, Options};
use septet_sketch::count_min::{CountMin, Counter};
use septet_sketch::count_sketch::{CountSketch, SignedCounter};
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::{AnyKey, FrequencySketch, Key, Merge, SketchError};

use crate::key_estimate::KeyEstimate;
use crate::output::with_unit;

/// The level of the printed intervals.
const LEVEL: f64 = 0.95;

/// The operations of the commands on a sketch.
pub(crate) trait AnySketch: Any {
    /// The name of the kind.
    fn kind(&self) -> String;
    /// Adds the parameters to a report.
    fn describe(&self, report: Report) -> Report;
    /// Counts one more occurrence of each key.
    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()>;
    /// Counts `by` more occurrences of a key.
    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()>;
    /// The estimate of a key with its bounds.
    fn query(&self, key: &AnyKey) -> Result<KeyEstimate>;
    /// The estimates of keys without bounds.
    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        keys.iter()
            .map(|key| Ok(self.query(key)?.estimate))
            .collect()
    }
    /// The most frequent keys and their estimates; `None` if the sketch does not store keys.
    fn top(&self, _k: usize) -> Option<Vec<(AnyKey, f64)>> {
        None
    }
    /// Adds the counts of another sketch of the same kind.
    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()>;
    /// Encodes the sketch in the native format.
    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError>;
}

/// Merges sketches of the same type.
fn merge_same_kind<S: Merge + AnySketch>(mine: &mut S, other: &dyn AnySketch) -> Result<()> {
    // Parameters are compared by the merge itself; only the types are compared here.
    match (other as &dyn Any).downcast_ref::<S>() {
        Some(other) => Ok(mine.merge(other)?),
        None => Err(kind_mismatch(&mine.kind(), &other.kind())),
    }
}

pub(crate) fn kind_mismatch(mine: &str, other: &str) -> anyhow::Error {
    anyhow!("the sketches differ in kind: {mine} and {other}")
}

impl<C: Counter> AnySketch for CountMin<C> {
    fn kind(&self) -> String {
        format!("count-min of {}", C::NAME)
    }

    fn describe(&self, report: Report) -> Report {
        let bound = self.error_bound();
        report
            .field("depth", self.depth())
            .field("width", self.width())
            .field("layout", self.layout().to_string())
            .field("update_rule", self.update_rule().to_string())
            .field("seed", self.seed())
            .field_as("bytes", self.size_bytes(), with_unit(self.size_bytes()))
            .field("total", self.total())
            .field("saturated", self.saturated())
            .field_as(
                "error_bound",
                bound.error,
                format!(
                    "too large by more than {:.2} with probability at most {:.3}",
                    bound.error, bound.probability
                ),
            )
    }

    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
        FrequencySketch::update_batch(self, keys);
        Ok(())
    }

    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        FrequencySketch::update_by(self, key, by);
        Ok(())
    }

    fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
        let interval = self.interval(key.hash64(self.seed()), LEVEL)?;
        let estimate = KeyEstimate::of(interval.estimate as f64);
        Ok(estimate.within(interval.lower as f64, interval.upper as f64))
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        Ok(keys.iter().map(|key| self.estimate(key) as f64).collect())
    }

    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_same_kind(self, other)
    }

    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

impl<C: SignedCounter> AnySketch for CountSketch<C> {
    fn kind(&self) -> String {
        format!("count-sketch of {}", C::NAME)
    }

    fn describe(&self, report: Report) -> Report {
        report
            .field("depth", self.depth())
            .field("width", self.width())
            .field("seed", self.seed())
            .field_as("bytes", self.size_bytes(), with_unit(self.size_bytes()))
            .field("total", self.net_total())
            .field("saturated", self.saturated())
    }

    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
        FrequencySketch::update_batch(self, keys);
        Ok(())
    }

    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        FrequencySketch::update_by(self, key, by);
        Ok(())
    }

    fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
        let interval = self.interval(key.hash64(self.seed()), LEVEL)?;
        Ok(KeyEstimate::of(interval.estimate).within(interval.lower, interval.upper))
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        Ok(keys.iter().map(|key| self.estimate(key)).collect())
    }

    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_same_kind(self, other)
    }

    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

macro_rules! summaries {
    ($($summary:ident $name:literal;)*) => {$(
        impl AnySketch for $summary<AnyKey> {
            fn kind(&self) -> String {
                $name.to_owned()
            }

            fn describe(&self, report: Report) -> Report {
                report.field("counters", self.counters()).field_as("bytes", self.size_bytes(), with_unit(self.size_bytes())).field("total", self.total()).field("error_bound", self.max_error())
            }

            fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
                $summary::update_batch(self, keys);
                Ok(())
            }

            fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
                $summary::update_by(self, key, by);
                Ok(())
            }

            fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
                        // These bounds are certain.
                let interval = self.interval(key);
                let estimate = KeyEstimate::of(self.estimate(key) as f64);
                Ok(estimate.within(*interval.start() as f64, *interval.end() as f64))
            }

            fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
                Ok(keys.iter().map(|key| self.estimate(key) as f64).collect())
            }

            fn top(&self, k: usize) -> Option<Vec<(AnyKey, f64)>> {
                let top = self.top(k).into_iter();
                Some(top.map(|entry| (entry.key, entry.estimate as f64)).collect())
            }

            fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
                merge_same_kind(self, other)
            }

            fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
                Native::to_bytes(self, options)
            }
        }
    )*};
}
summaries! {
    MisraGries "Misra-Gries";
    SpaceSaving "SpaceSaving";
}

/// The sketch of `build --top`.
pub(crate) type Tracked = TopK<AnyKey, CountMin<u32>>;

impl AnySketch for Tracked {
    fn kind(&self) -> String {
        format!("top-{} with {}", self.k(), self.sketch().kind())
    }

    fn describe(&self, report: Report) -> Report {
        let table = self.size_bytes() - self.sketch().size_bytes();
        let report = report.field("k", self.k()).field_as(
            "table_bytes",
            table,
            ByteSize(table as u64).to_string(),
        );
        self.sketch().describe(report)
    }

    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
        TopK::update_batch(self, keys);
        Ok(())
    }

    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        TopK::update_by(self, key, by);
        Ok(())
    }

    // Estimates come from the sketch: those in the table are of each key's last update.
    fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
        self.sketch().query(key)
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        self.sketch().estimates(keys)
    }

    fn top(&self, k: usize) -> Option<Vec<(AnyKey, f64)>> {
        let list = self.list().into_iter().take(k);
        Some(
            list.map(|entry| (entry.key, entry.estimate as f64))
                .collect(),
        )
    }

    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_same_kind(self, other)
    }

    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

/// The key as DataSketches hashes it.
fn item(key: &AnyKey) -> Result<Item<'_>> {
    match key {
        AnyKey::Integer(integer) => Ok((*integer).into()),
        AnyKey::Bytes(bytes) => Ok(bytes.as_slice().into()),
        other => Err(Failure::usage(format!(
            "a DataSketches sketch counts integers and text, not {}",
            other.key_type()
        ))
        .into()),
    }
}

impl<C: Cell> AnySketch for datasketches::CountMin<C> {
    fn kind(&self) -> String {
        format!("DataSketches count-min of {}", C::TYPE)
    }

    fn describe(&self, report: Report) -> Report {
        // JSON gets a number, the text the exact weight of its type.
        let total = self.total_weight();
        let number = total.convert::<f64>().unwrap_or(f64::NAN);
        let size = usize::from(self.depth()) * self.buckets() as usize * 8;
        report
            .field("depth", self.depth())
            .field("buckets", self.buckets())
            .field("seed", self.seed())
            .field_as("bytes", size, with_unit(size))
            .field_as("total_weight", number, total.to_string())
            .field("relative_error", self.relative_error())
    }

    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
        keys.iter().try_for_each(|key| self.update_by(key, 1))
    }

    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        let Some(weight) = by.convert::<C>() else {
            return Err(anyhow!("the count {by} does not fit into {}", C::TYPE));
        };
        self.update(item(key)?, weight);
        Ok(())
    }

    fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
        // The interval of the format's documentation: estimates are never too small for positive weights.
        let real = |cell: C| cell.convert::<f64>().unwrap_or(f64::NAN);
        let estimate = real(self.estimate(item(key)?));
        let error = self.relative_error() * real(self.total_weight());
        Ok(KeyEstimate::of(estimate).within((estimate - error).max(0.0), estimate))
    }

    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
        match (other as &dyn Any).downcast_ref::<Self>() {
            Some(other) => Ok(datasketches::CountMin::merge(self, other)?),
            None => Err(kind_mismatch(&self.kind(), &other.kind())),
        }
    }

    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}
