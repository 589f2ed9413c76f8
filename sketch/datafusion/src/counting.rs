//! Accumulators for count-min sketches. Under `GROUP BY` there are many sketches, most of them nearly
//! empty.
//!
//! A sketch with `epsilon` = 0.001 takes 106 KiB for any number of keys. The [`GroupState`] of a group
//! is therefore a list of hashes at first, and becomes a sketch when the list would take half as much
//! memory. Sketches with plain update do not depend on the order of updates, so the result is bitwise
//! the same.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::common::{Result, ScalarValue, resources_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use septet_sketch::codec::native::{Native, Options};
use septet_sketch::count_min::{CountMin, CountMinBuilder};
use septet_sketch::{FrequencySketch, Merge, SketchError};

use crate::key::{hash_column, keep_valid, read_weights};
use crate::stored;

/// Hashes are buffered up to this number, so that a sketch counts them in a batch.
const BATCH: usize = 64;

/// The first byte of a state that is a list of hashes, and of one that is a sketch.
const LIST: u8 = 0;
const SKETCH: u8 = 1;

/// The parameters of a call: the function and its sketches.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) function: &'static str,
    /// Whether the second column holds weights.
    pub(crate) weighted: bool,
    pub(crate) sketch: CountMinBuilder<u64>,
    /// The seed of the sketches, and the bytes of their counters.
    pub(crate) seed: u64,
    pub(crate) sketch_bytes: usize,
}

/// The state of one group.
#[derive(Debug, Default)]
struct GroupState {
    /// Hashes that the sketch has not counted yet.
    hashes: Vec<u64>,
    /// Their weights, if the call is weighted.
    weights: Vec<u64>,
    sketch: Option<Box<CountMin<u64>>>,
}

/// The hashes of a batch of rows, and their weights.
#[derive(Debug, Default)]
struct Rows {
    hashes: Vec<u64>,
    weights: Vec<u64>,
}

impl Counter {
    fn error(&self, error: SketchError) -> DataFusionError {
        stored::error(self.function, "state", error)
    }

    /// Reads all rows of a batch; the values of null rows are meaningless. Returns the nulls, if any.
    fn read(&self, columns: &[ArrayRef], rows: &mut Rows) -> Result<Option<NullBuffer>> {
        let keys = &columns[0];
        hash_column(keys, self.seed, &mut rows.hashes)?;
        // Logical nulls include those in the values of a dictionary.
        let nulls = keys.logical_nulls();
        let nulls = if self.weighted {
            let weights = &columns[1];
            // A row is null if its key or its weight is.
            read_weights(self.function, weights, nulls.as_ref(), &mut rows.weights)?
        } else {
            nulls
        };
        Ok(nulls.filter(|nulls| nulls.null_count() > 0))
    }
}

impl Rows {
    fn capacity_bytes(&self) -> usize {
        (self.hashes.capacity() + self.weights.capacity()) * size_of::<u64>()
    }
}

impl GroupState {
    /// Counts hashes with their weights. Large batches go directly to the sketch.
    fn add(&mut self, counter: &Counter, hashes: &[u64], weights: &[u64]) -> Result<()> {
        if let Some(sketch) = self.sketch.as_mut().filter(|_| hashes.len() >= BATCH) {
            count(sketch, hashes, weights);
            return Ok(());
        }
        self.hashes.extend_from_slice(hashes);
        self.weights.extend_from_slice(weights);
        self.flush_if_full(counter)
    }

    /// Moves the list into the sketch if it is long enough.
    fn flush_if_full(&mut self, counter: &Counter) -> Result<()> {
        // Without a sketch the list may take half of the sketch's memory; beside a sketch it is
        // only a buffer that makes batches.
        let listed = (self.hashes.len() + self.weights.len()) * size_of::<u64>();
        let limit = if self.sketch.is_some() {
            BATCH * size_of::<u64>()
        } else {
            counter.sketch_bytes / 2
        };
        if listed >= limit {
            self.flush(counter)?;
        }
        Ok(())
    }

    /// Moves the list into the sketch, which is created if necessary, and returns the sketch.
    fn flush(&mut self, counter: &Counter) -> Result<&mut CountMin<u64>> {
        let sketch = match self.sketch.take() {
            Some(sketch) => sketch,
            None => {
                let sketch = counter.sketch.clone().build();
                Box::new(sketch.map_err(|error| counter.error(error))?)
            }
        };
        let sketch = self.sketch.insert(sketch);
        count(sketch, &self.hashes, &self.weights);
        self.hashes.clear();
        self.weights.clear();
        // The first list can be long; from now on the lists have at most the size of a batch.
        self.hashes.shrink_to(BATCH);
        self.weights.shrink_to(BATCH);
        Ok(sketch)
    }

    /// The encoded sketch.
    fn bytes(&mut self, counter: &Counter) -> Result<Vec<u8>> {
        let bytes = self.flush(counter)?.to_bytes(&Options::default());
        bytes.map_err(|error| counter.error(error))
    }

    /// The encoded list or sketch.
    fn state(&mut self, counter: &Counter) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        if self.sketch.is_some() {
            state.push(SKETCH);
            state.append(&mut self.bytes(counter)?);
        } else {
            state.push(LIST);
            // All hashes, then all weights, as little-endian words.
            let numbers = self.hashes.iter().chain(&self.weights);
            state.extend(numbers.flat_map(|number| number.to_le_bytes()));
        }
        Ok(state)
    }

    /// Adds an encoded state.
    fn merge(&mut self, counter: &Counter, state: &[u8]) -> Result<()> {
        match state.split_first() {
            Some((&SKETCH, bytes)) => {
                // Counters can be added, but the hashes behind them are lost: this group becomes a
                // sketch as well. Plain update is linear, so the sum is what one sketch of all rows
                // would hold.
                let other = CountMin::from_bytes(bytes).map_err(|error| counter.error(error))?;
                let sketch = self.flush(counter)?;
                sketch.merge(&other).map_err(|error| counter.error(error))
            }
            Some((&LIST, bytes)) if bytes.len() % self.list_unit(counter) == 0 => {
                // With weights, the first half of the words are the hashes.
                let (numbers, _) = bytes.as_chunks::<8>();
                let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
                let hashes = bytes.len() / self.list_unit(counter);
                self.hashes.extend(numbers.by_ref().take(hashes));
                self.weights.extend(numbers);
                self.flush_if_full(counter)
            }
            // An empty state, an unknown tag, or a list that was cut: not written by this function.
            _ => Err(counter.error(SketchError::Decode {
                format: "state",
                offset: 0,
                expected: "a list of hashes or a sketch".to_owned(),
                found: format!("{} other bytes", state.len()),
            })),
        }
    }

    /// Bytes of a row in a list.
    fn list_unit(&self, counter: &Counter) -> usize {
        size_of::<u64>() * if counter.weighted { 2 } else { 1 }
    }

    fn memory(&self) -> usize {
        let sketch = self.sketch.as_deref();
        // Capacities, not lengths: memory pools account for what is allocated.
        let counters = sketch.map_or(0, |sketch| size_of_val(sketch) + sketch.size_bytes());
        (self.hashes.capacity() + self.weights.capacity()) * size_of::<u64>() + counters
    }
}

fn count(sketch: &mut CountMin<u64>, hashes: &[u64], weights: &[u64]) {
    if weights.is_empty() {
        sketch.update_hashes(hashes);
    } else {
        sketch.update_hashes_by(hashes, weights);
    }
}

/// Counts all rows in one sketch.
#[derive(Debug)]
pub(crate) struct CountAccumulator {
    counter: Counter,
    group: GroupState,
    rows: Rows,
}

impl CountAccumulator {
    pub(crate) fn new(counter: Counter) -> Self {
        Self {
            counter,
            group: GroupState::default(),
            rows: Rows::default(),
        }
    }
}

impl Accumulator for CountAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if let Some(nulls) = self.counter.read(columns, &mut self.rows)? {
            // The values of null rows are meaningless: only valid rows reach the sketch.
            keep_valid(&mut self.rows.hashes, &nulls);
            keep_valid(&mut self.rows.weights, &nulls);
        }
        let Rows { hashes, weights } = &self.rows;
        self.group.add(&self.counter, hashes, weights)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states[0].as_binary::<i32>().iter().flatten() {
            self.group.merge(&self.counter, state)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.group.state(&self.counter)?;
        Ok(vec![ScalarValue::Binary(Some(state))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = self.group.bytes(&self.counter)?;
        Ok(ScalarValue::Binary(Some(bytes)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.group.memory() + self.rows.capacity_bytes()
    }
}

/// Counts each group in a sketch of its own.
#[derive(Debug)]
pub(crate) struct CountGroupsAccumulator {
    counter: Counter,
    groups: Vec<GroupState>,
    rows: Rows,
    /// Bytes of the groups, without the vector of them.
    memory: usize,
}

impl CountGroupsAccumulator {
    pub(crate) fn new(counter: Counter) -> Self {
        Self {
            counter,
            groups: Vec::new(),
            rows: Rows::default(),
            memory: 0,
        }
    }

    /// Changes one group and updates the memory total.
    fn change(
        &mut self,
        group: usize,
        change: impl FnOnce(&mut GroupState, &Counter) -> Result<()>,
    ) -> Result<()> {
        let state = &mut self.groups[group];
        let before = state.memory();
        change(state, &self.counter)?;
        // The total includes `before`, so the difference cannot be negative.
        self.memory = self.memory + state.memory() - before;
        Ok(())
    }

    /// Removes groups and returns their sketches or states as a binary column.
    fn emit(
        &mut self,
        emit_to: EmitTo,
        bytes: impl Fn(&mut GroupState, &Counter) -> Result<Vec<u8>>,
    ) -> Result<ArrayRef> {
        let mut column = BinaryBuilder::new();
        // `EmitTo::First` takes a prefix; the groups behind it move to the front and stay counted.
        for mut state in emit_to.take_needed(&mut self.groups) {
            self.memory -= state.memory();
            append(
                &self.counter,
                &mut column,
                &bytes(&mut state, &self.counter)?,
            )?;
        }
        Ok(Arc::new(column.finish()))
    }
}

/// Appends a row; fails if the column exceeds the range of its 32-bit offsets.
fn append(counter: &Counter, column: &mut BinaryBuilder, bytes: &[u8]) -> Result<()> {
    let length = column.values_slice().len() + bytes.len();
    if i32::try_from(length).is_err() {
        return resources_err!(
            "{}: the sketches of {} groups take more than the 2 GiB of a binary column; \
             use a larger epsilon or fewer groups in a partition",
            counter.function,
            column.offsets_slice().len()
        );
    }
    column.append_value(bytes);
    Ok(())
}

impl GroupsAccumulator for CountGroupsAccumulator {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups
            .resize_with(total_num_groups, GroupState::default);
        // The buffer is moved out, because `change` borrows `self`.
        let mut rows = std::mem::take(&mut self.rows);
        let nulls = self.counter.read(columns, &mut rows)?;
        for (row, &group) in group_indices.iter().enumerate() {
            if is_counted(row, nulls.as_ref(), filter) {
                // Rows are added one by one: neighbors mostly belong to different groups. Without
                // weights the slice is empty.
                let weight = rows.weights.get(row).map_or(&[][..], std::slice::from_ref);
                let hash = std::slice::from_ref(&rows.hashes[row]);
                self.change(group, |state, counter| state.add(counter, hash, weight))?;
            }
        }
        self.rows = rows;
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups
            .resize_with(total_num_groups, GroupState::default);
        let states = states[0].as_binary::<i32>().iter();
        for (&group, state) in group_indices.iter().zip(states) {
            if let Some(other) = state {
                self.change(group, |state, counter| state.merge(counter, other))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.emit(emit_to, GroupState::bytes)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to, GroupState::state)?])
    }

    /// Each row becomes a list of one hash.
    fn convert_to_state(
        &self,
        columns: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        // DataFusion calls this when grouping before the exchange does not pay: every row is sent
        // as a group of its own.
        let mut rows = Rows::default();
        let nulls = self.counter.read(columns, &mut rows)?;
        let mut column = BinaryBuilder::new();
        for (row, hash) in rows.hashes.iter().enumerate() {
            // A row that is not counted needs a state too: an empty list.
            let mut state = vec![LIST];
            if is_counted(row, nulls.as_ref(), filter) {
                let weight = rows.weights.get(row);
                let numbers = std::iter::once(hash).chain(weight);
                state.extend(numbers.flat_map(|number| number.to_le_bytes()));
            }
            append(&self.counter, &mut column, &state)?;
        }
        Ok(vec![Arc::new(column.finish())])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.groups.capacity() * size_of::<GroupState>()
            + self.memory
            + self.rows.capacity_bytes()
    }
}

fn is_counted(row: usize, nulls: Option<&NullBuffer>, filter: Option<&BooleanArray>) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
        && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}
