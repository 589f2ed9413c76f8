//! The learned sketch of this program.

use std::any::Any;

use anyhow::{Result, bail};
use septet_core::cli::Report;
use septet_sketch::codec::native::Options;
use septet_sketch::count_min::CountMin;
use septet_sketch::learned::{Learned, Slot};
use septet_sketch::{AnyKey, FrequencySketch, Merge, SketchError};

use crate::any_sketch::{AnySketch, kind_mismatch};
use crate::key_estimate::KeyEstimate;
use crate::model::Model;
use crate::output::with_unit;

/// Any two with slots of 16 bytes can be merged; with slots of 8 bytes full tables usually cannot.
pub(crate) type LearnedSketch<T> = Learned<AnyKey, CountMin<u32>, Model, T>;

impl<T: Slot> AnySketch for LearnedSketch<T> {
    fn kind(&self) -> String {
        format!("learned {}", self.sketch().kind())
    }

    fn describe(&self, report: Report) -> Report {
        use septet_sketch::oracle::Oracle;

        let sketch = self.sketch();
        let stats = self.stats();
        let fingerprint = u128::from_be_bytes(self.oracle().fingerprint());
        report
            .field_as("bytes", self.size_bytes(), with_unit(self.size_bytes()))
            .field_as(
                "model_bytes",
                self.oracle().model_bytes(),
                with_unit(self.oracle().model_bytes()),
            )
            .field_as(
                "table_bytes",
                self.table().size_bytes(),
                with_unit(self.table().size_bytes()),
            )
            .field_as(
                "sketch_bytes",
                sketch.size_bytes(),
                with_unit(sketch.size_bytes()),
            )
            .field("oracle", format!("{fingerprint:032x}"))
            .field("slots", self.table().slots())
            .field("used_slots", self.table().len())
            .field("threshold", self.threshold_score())
            .field("depth", sketch.depth())
            .field("width", sketch.width())
            .field("update_rule", sketch.update_rule().to_string())
            .field("seed", sketch.seed())
            .field("total", stats.total)
            .field("saturated", sketch.saturated())
            .field_as(
                "coverage",
                self.coverage(),
                format!("{:.2} % of the stream", 100.0 * self.coverage()),
            )
            .field("oracle_queries", stats.oracle_queries)
    }

    fn update_batch(&mut self, keys: &[AnyKey]) -> Result<()> {
        // All keys are checked before the first is counted.
        keys.iter().try_for_each(|key| check(self.oracle(), key))?;
        Learned::update_batch(self, keys);
        Ok(())
    }

    fn update_by(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        check(self.oracle(), key)?;
        Learned::update_by(self, key, by);
        Ok(())
    }

    fn query(&self, key: &AnyKey) -> Result<KeyEstimate> {
        // The sketch's interval would not hold for a key that is partly in the table.
        let estimate = self.estimate(key);
        Ok(KeyEstimate {
            estimate: estimate.value as f64,
            bounds: None,
            exact: estimate.exact,
        })
    }

    fn merge_from(&mut self, other: &dyn AnySketch) -> Result<()> {
        match (other as &dyn Any).downcast_ref::<Self>() {
            Some(other) => Ok(Merge::merge(self, other)?),
            None => Err(kind_mismatch(&self.kind(), &other.kind())),
        }
    }

    fn to_native_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Learned::to_bytes(self, options)
    }
}

/// Refuses keys of another type, to which the model would silently give the lowest score.
fn check(model: &Model, key: &AnyKey) -> Result<()> {
    if key.key_type() == model.key_type() {
        return Ok(());
    }
    bail!(
        "the model scores {}, and the stream holds {}",
        model.key_type(),
        key.key_type()
    )
}
