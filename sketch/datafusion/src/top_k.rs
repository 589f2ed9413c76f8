//! `approx_top_k(key, k[, counters])` and `approx_top_k_weighted(key, weight, k[, counters])`: the
//! most frequent keys of a column by SpaceSaving.
//!
//! The result has the type of Spark's function of this name, a list of structures with an `item` and
//! its `count`, plus a third field as in ClickHouse: the maximum `error` by which the count is too
//! large. States are lists of the same type with all counters instead of `k`.

use std::cmp::Reverse;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, ListArray, StructArray, UInt64Array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Expr, Signature, Volatility};
use septet_sketch::heavy_hitters::SpaceSaving;
use septet_sketch::{Key, Merge};

use crate::argument::{self, Constants, Types};
use crate::key::{byte_rows, check_type, is_bytes, read_weights};
use crate::stored;

/// The maximum number of counters, as in Spark.
const MAX_COUNTERS: u64 = 1_000_000;

/// The minimum of the default number of counters.
const DEFAULT_COUNTERS: u64 = 1000;

/// The default number of counters for each key of the result.
const DEFAULT_COUNTERS_PER_KEY: u64 = 10;

/// `approx_top_k` or `approx_top_k_weighted`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopKAggregate {
    call: Call,
    signature: Signature,
}

/// Selects one of the two functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    weighted: bool,
}

impl TopKAggregate {
    /// `approx_top_k`, or `approx_top_k_weighted`.
    pub(crate) fn new(weighted: bool) -> Result<Self> {
        let call = Call { weighted };
        let signature = Signature::user_defined(Volatility::Immutable)
            .with_parameter_names(call.parameters().to_vec())?;
        Ok(Self { call, signature })
    }
}

impl Call {
    fn name(self) -> &'static str {
        if self.weighted {
            "approx_top_k_weighted"
        } else {
            "approx_top_k"
        }
    }

    fn parameters(self) -> &'static [&'static str] {
        if self.weighted {
            &["key", "weight", "k", "counters"]
        } else {
            &["key", "k", "counters"]
        }
    }

    /// The position of `k`, after the columns.
    fn first_constant(self) -> usize {
        if self.weighted { 2 } else { 1 }
    }

    /// `k` and the number of counters.
    fn sizes(self, constants: &Constants) -> Result<(usize, usize)> {
        let first = self.first_constant();
        let k = constants.integer(first, "k", 1..=MAX_COUNTERS)?;
        let counters = if constants.len() > first + 1 {
            constants.integer(first + 1, "counters", k..=MAX_COUNTERS)?
        } else {
            let counters = k.saturating_mul(DEFAULT_COUNTERS_PER_KEY);
            counters.clamp(DEFAULT_COUNTERS, MAX_COUNTERS)
        };
        // Both are at most a million.
        Ok((k as usize, counters as usize))
    }
}

/// The type of the items of a column of keys.
fn item_type(key: &DataType) -> &DataType {
    match key {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn entry_fields(item: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("item", item.clone(), false),
        Field::new("count", DataType::UInt64, false),
        Field::new("error", DataType::UInt64, false),
    ])
}

fn list_type(item: &DataType) -> DataType {
    DataType::new_list(DataType::Struct(entry_fields(item)), false)
}

impl AggregateUDFImpl for TopKAggregate {
    fn name(&self) -> &str {
        self.call.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call;
        let required = call.parameters().len() - 1;
        let mut types =
            Types::new(call.name(), found, call.parameters(), required)?.next("key", check_type)?;
        if call.weighted {
            types = types.next("weight", argument::integer)?;
        }
        let types = types
            .next("k", argument::integer)?
            .next("counters", argument::integer)?;
        Ok(types.finish())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(key) => Ok(list_type(item_type(key))),
            None => argument::wrong_number(self.call.name(), 0),
        }
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let call = self.call;
        Some(Box::new(
            move |aggregate: AggregateFunction, _: &SimplifyContext| {
                // Checks the constants when the query is planned; the call itself stays as it is.
                argument::refuse_distinct(call.name(), aggregate.params.distinct)?;
                let first = call.first_constant();
                if let Some(constants) = Constants::of_call(call.name(), &aggregate, first) {
                    call.sizes(&constants)?;
                }
                Ok(Expr::AggregateFunction(aggregate))
            },
        ))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let call = self.call;
        argument::refuse_distinct(call.name(), arguments.is_distinct)?;
        let (k, counters) = call.sizes(&Constants::of_accumulator(call.name(), &arguments))?;
        let item = item_type(arguments.expr_fields[0].data_type());
        // Three representations are enough for all keys: bytes, and integers widened to 64 bits
        // with and without sign. NULL was coerced to a signed integer.
        Ok(if is_bytes(item) {
            Box::new(TopKAccumulator::<Vec<u8>>::new(call, item, k, counters)?)
        } else if item.is_unsigned_integer() {
            Box::new(TopKAccumulator::<u64>::new(call, item, k, counters)?)
        } else {
            Box::new(TopKAccumulator::<i64>::new(call, item, k, counters)?)
        })
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "counters");
        // A state has the type of the result, with all counters instead of `k`.
        let list = arguments.return_field.data_type().clone();
        Ok(vec![Arc::new(Field::new(name, list, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// A key in the summary: a 64-bit integer, or bytes.
trait Item: Key + Ord + Hash + Clone + Debug + Send + Sync + 'static {
    /// Counts the rows of a column that are not null, with `weights[row]` or once.
    fn count(
        summary: &mut SpaceSaving<Self>,
        column: &ArrayRef,
        nulls: Option<&NullBuffer>,
        weights: Option<&[u64]>,
    ) -> Result<()>;

    /// A column of these items, in the widest type.
    fn column(items: Vec<Self>) -> ArrayRef;

    /// Heap memory of the item in bytes.
    fn pointed_bytes(&self) -> usize {
        0
    }
}

/// Calls `count` with the weight of each row that is not null.
fn count_valid<K>(
    keys: impl Iterator<Item = K>,
    nulls: Option<&NullBuffer>,
    weights: Option<&[u64]>,
    mut count: impl FnMut(K, u64),
) {
    for (row, key) in keys.enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            count(key, weights.map_or(1, |weights| weights[row]));
        }
    }
}

macro_rules! integer_items {
    ($($integer:ty, $arrow:ty, $array:ty, $data_type:expr;)*) => {$(
        impl Item for $integer {
            fn count(
                summary: &mut SpaceSaving<Self>,
                column: &ArrayRef,
                nulls: Option<&NullBuffer>,
                weights: Option<&[u64]>,
            ) -> Result<()> {
                let column = cast(column, &$data_type)?;
                let keys = column.as_primitive::<$arrow>().values();
                // The usual case goes to the summary as one batch.
                if nulls.is_none() && weights.is_none() {
                    summary.update_batch(keys);
                } else {
                    count_valid(keys.iter(), nulls, weights, |key, by| summary.update_by(key, by));
                }
                Ok(())
            }

            fn column(items: Vec<Self>) -> ArrayRef {
                Arc::new(<$array>::from(items))
            }
        }
    )*};
}
integer_items! {
    i64, Int64Type, Int64Array, DataType::Int64;
    u64, UInt64Type, UInt64Array, DataType::UInt64;
}

impl Item for Vec<u8> {
    fn count(
        summary: &mut SpaceSaving<Self>,
        column: &ArrayRef,
        nulls: Option<&NullBuffer>,
        weights: Option<&[u64]>,
    ) -> Result<()> {
        count_valid(byte_rows(column)?, nulls, weights, |key, by| {
            summary.update_by(key, by);
        });
        Ok(())
    }

    fn column(items: Vec<Self>) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(items))
    }

    fn pointed_bytes(&self) -> usize {
        self.capacity()
    }
}

/// Counts one group.
#[derive(Debug)]
struct TopKAccumulator<K: Item> {
    call: Call,
    /// The type of the column, and of the items of the result.
    item: DataType,
    k: usize,
    summary: SpaceSaving<K>,
    weights: Vec<u64>,
}

impl<K: Item> TopKAccumulator<K> {
    fn new(call: Call, item: &DataType, k: usize, counters: usize) -> Result<Self> {
        let summary = SpaceSaving::new(counters, 0)
            .map_err(|error| stored::error(call.name(), "counters", error))?;
        Ok(Self {
            call,
            item: item.clone(),
            k,
            summary,
            weights: Vec::new(),
        })
    }

    /// The `k` keys with the largest counts as a list. Ties are ordered by key, so that the result does
    /// not depend on the order of rows.
    fn largest(&self, k: usize) -> Result<ScalarValue> {
        // By descending count, then by key.
        let mut entries: Vec<(&K, u64)> = self.summary.entries().collect();
        entries.sort_unstable_by_key(|&(key, count)| (Reverse(count), key));
        entries.truncate(k);
        // No count is less than its error: a key has occurred.
        let error = self.summary.max_error();
        let errors = entries.iter().map(|&(_, count)| error.min(count));
        let errors = UInt64Array::from_iter_values(errors);
        let counts = UInt64Array::from_iter_values(entries.iter().map(|&(_, count)| count));
        let items = K::column(entries.into_iter().map(|(key, _)| key.clone()).collect());
        // The struct array of the entries, as the only row of a list array.
        let columns: Vec<ArrayRef> = vec![
            cast(&items, &self.item)?,
            Arc::new(counts),
            Arc::new(errors),
        ];
        let fields = entry_fields(&self.item);
        let entries = StructArray::try_new(fields.clone(), columns, None)?;
        let field = Field::new_list_field(DataType::Struct(fields), false);
        let one_row = OffsetBuffer::from_lengths([entries.len()]);
        let list = ListArray::try_new(Arc::new(field), one_row, Arc::new(entries), None)?;
        Ok(ScalarValue::List(Arc::new(list)))
    }

    /// The summary whose counters are listed in `state`.
    fn restored(&self, state: &ArrayRef) -> Result<SpaceSaving<K>> {
        let Some(entries) = state.as_struct_opt() else {
            return internal_err!("a state of type {}", state.data_type());
        };
        let mut summary = SpaceSaving::new(self.summary.counters(), 0)
            .map_err(|error| stored::error(self.call.name(), "state", error))?;
        let counts = entries.column(1).as_primitive::<UInt64Type>().values();
        // The keys are distinct, so each gets a counter of its own.
        K::count(&mut summary, entries.column(0), None, Some(counts))?;
        Ok(summary)
    }
}

impl<K: Item> Accumulator for TopKAccumulator<K> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let keys = &columns[0];
        let mut nulls = keys.logical_nulls();
        let mut weights = None;
        if self.call.weighted {
            // A row is null if its key or its weight is.
            nulls = read_weights(
                self.call.name(),
                &columns[1],
                nulls.as_ref(),
                &mut self.weights,
            )?;
            weights = Some(&self.weights[..]);
        }
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        // Keys are counted, not indices: batches have different dictionaries.
        let plain = match keys.data_type() {
            DataType::Dictionary(_, values) => &cast(keys, values)?,
            _ => keys,
        };
        K::count(&mut self.summary, plain, nulls.as_ref(), weights)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states[0].as_list::<i32>().iter().flatten() {
            let other = self.restored(&state)?;
            self.summary
                .merge(&other)
                .map_err(|error| stored::error(self.call.name(), "state", error))?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.largest(usize::MAX)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.largest(self.k)
    }

    fn size(&self) -> usize {
        // The summary reports its counters without what its keys point to.
        let keys = self.summary.entries();
        size_of_val(self)
            + self.summary.size_bytes()
            + keys.map(|(key, _)| key.pointed_bytes()).sum::<usize>()
            + self.weights.capacity() * size_of::<u64>()
    }
}
