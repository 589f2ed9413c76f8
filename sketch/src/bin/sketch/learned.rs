//! The learned sketch of this program.

use std::any::Any;

use anyhow::{Result, bail};
use septet_sketch::codec::native::Options;
use septet_sketch::count_min::CountMin;
use septet_sketch::learned::{Learned, Slot};
use septet_sketch::{AnyKey, FrequencySketch, Merge, SketchError};

use crate::any_sketch::{Answer, AnySketch, differ};
use crate::model::Model;
use crate::output::Row;
use crate::size;

/// With slots of 16 bytes any two of these can be merged, with slots of 8 hardly any that are full.
pub(crate) type LearnedSketch<T> = Learned<AnyKey, CountMin<u32>, Model, T>;

impl<T: Slot> AnySketch for LearnedSketch<T> {
    fn kind(&self) -> String {
        format!("learned {}", self.sketch().kind())
    }

    fn describe(&self) -> Vec<Row> {
        use septet_sketch::oracle::Oracle;

        let sketch = self.sketch();
        let stats = self.stats();
        let fingerprint = u128::from_be_bytes(self.oracle().fingerprint());
        let bytes = |name, size: usize| {
            Row::new(name, size).shown(format!("{size} ({})", size::shown(size)))
        };
        vec![
            bytes("bytes", self.size_bytes()),
            bytes("model bytes", self.oracle().model_bytes()),
            bytes("table bytes", self.table().size_bytes()),
            bytes("sketch bytes", sketch.size_bytes()),
            Row::new("oracle", format!("{fingerprint:032x}")),
            Row::new("slots", self.table().slots()),
            Row::new("slots taken", self.table().len()),
            Row::new("threshold", self.threshold_score()),
            Row::new("depth", sketch.depth()),
            Row::new("width", sketch.width()),
            Row::new("update rule", sketch.update_rule().to_string()),
            Row::new("seed", sketch.seed()),
            Row::new("total", stats.total),
            Row::new("saturated", sketch.saturated()),
            Row::new("coverage", self.coverage())
                .shown(format!("{:.2} % of the stream", 100.0 * self.coverage())),
            Row::new("oracle_queries", stats.oracle_queries)
                .shown(format!("{} put to the oracle", stats.oracle_queries)),
        ]
    }

    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
        keys.iter().try_for_each(|key| check(self.oracle(), key))?;
        self.update_batch(keys);
        Ok(())
    }

    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        check(self.oracle(), key)?;
        self.update_by(key, by);
        Ok(())
    }

    fn answer(&self, key: &AnyKey) -> Result<Answer> {
        let estimate = self.estimate(key);
        Ok(Answer {
            estimate: estimate.value as f64,
            bounds: None,
            exact: estimate.exact,
        })
    }

    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
        match (other as &dyn Any).downcast_ref::<Self>() {
            Some(other) => Ok(Merge::merge(self, other)?),
            None => Err(differ(&self.kind(), &other.kind())),
        }
    }

    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Learned::to_bytes(self, options)
    }
}

/// Keys of another type would all get the lowest score, without a word.
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
