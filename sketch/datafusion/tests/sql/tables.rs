//! Sessions and tables for the tests, and what queries on them give.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use septet_sketch::codec::native::{Native, Options};
use septet_sketch::count_min::{CountMin, UpdateRule};
use septet_sketch::{FrequencySketch, Key};

/// The numbers of partitions that results must not depend on.
pub(crate) const PARTITIONS: [usize; 3] = [1, 2, 8];

/// A session with the functions, in which queries run on this many partitions.
///
/// Batches are small, so that a column takes several of them.
pub(crate) fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(100);
    let context = SessionContext::new_with_config(config);
    septet_sketch_datafusion::register(&context).expect("the functions can be registered");
    context
}

/// Adds a table of these columns, whose rows are dealt out to the partitions of the session.
pub(crate) fn add_table(context: &SessionContext, name: &str, columns: &[(&str, ArrayRef)]) {
    let columns = columns
        .iter()
        .map(|(name, column)| (*name, Arc::clone(column), true));
    let all = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let partitions = context.copied_config().target_partitions();
    let share = all.num_rows().div_ceil(partitions).max(1);
    let parts = (0..partitions).map(|part| {
        let begin = (part * share).min(all.num_rows());
        let end = (begin + share).min(all.num_rows());
        let batches = (begin..end).step_by(100);
        batches
            .map(|row| all.slice(row, 100.min(end - row)))
            .collect()
    });
    let table = MemTable::try_new(all.schema(), parts.collect()).expect("batches of one schema");
    context
        .register_table(name, Arc::new(table))
        .expect("a table of a new name");
}

/// All rows that a query gives.
pub(crate) async fn query(context: &SessionContext, sql: &str) -> Result<RecordBatch> {
    let frame = context.sql(sql).await?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The only value of a query of one row and one column.
pub(crate) async fn value(context: &SessionContext, sql: &str) -> Result<ArrayRef> {
    let rows = query(context, sql).await?;
    assert_eq!((rows.num_rows(), rows.num_columns()), (1, 1), "{sql}");
    Ok(Arc::clone(rows.column(0)))
}

/// The only value of a query, a number that is not null.
pub(crate) async fn number(context: &SessionContext, sql: &str) -> u64 {
    let value = value(context, sql).await.expect(sql);
    assert!(value.is_valid(0), "{sql}");
    value.as_primitive::<UInt64Type>().value(0)
}

/// A column of numbers that has no nulls.
pub(crate) fn numbers(column: &ArrayRef) -> Vec<u64> {
    assert_eq!(column.null_count(), 0);
    column.as_primitive::<UInt64Type>().values().to_vec()
}

/// A stream of `length` keys, of which few are frequent: the key `i` about `1 / (i + 1)` as often
/// as the key 0, in an order without pattern.
pub(crate) fn skewed_keys(length: usize, distinct: u64) -> Vec<u64> {
    let mut state = 7u64;
    let mut draw = || {
        state = state.wrapping_add(1);
        septet_sketch::key::hash_integer(state, 0) as f64 / u64::MAX as f64
    };
    (0..length)
        .map(|_| ((distinct as f64 + 1.0).powf(draw()) - 1.0) as u64)
        .collect()
}

/// The sketch that `cms_agg(key, 0.001, 0.99)` is to give for these keys.
pub(crate) fn direct<K: Key>(keys: &[K]) -> CountMin<u64> {
    let mut sketch = CountMin::builder()
        .error(0.001, 1.0 - 0.99)
        .update_rule(UpdateRule::Plain)
        .build()
        .expect("the parameters are in their ranges");
    sketch.update_batch(keys);
    sketch
}

/// A column of numbers.
pub(crate) fn u64_column(values: &[u64]) -> ArrayRef {
    Arc::new(UInt64Array::from(values.to_vec()))
}

/// The bytes of a sketch, as they are stored.
pub(crate) fn bytes_of(sketch: &CountMin<u64>) -> Vec<u8> {
    sketch
        .to_bytes(&Options::default())
        .expect("it needs no feature")
}
