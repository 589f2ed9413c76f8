//! A trace in memory: one column per field, pages numbered densely.

use std::sync::OnceLock;

use crate::trace::numbering::Numbering;

use crate::error::CacheError;
use crate::request::{NEVER, PageId};
use crate::trace::{NextAccess, Record};

/// The largest number of requests, and of distinct pages, that a [`Trace`] holds.
const LIMIT: usize = u32::MAX as usize - 1;

/// A trace in memory.
///
/// Pages are numbered densely in order of first appearance while the trace is built, so that a
/// simulation indexes arrays and never hashes. A column exists only if the records have the field:
/// a plain trace of n requests takes 4n bytes.
///
/// ```
/// use septet_cache::trace::Trace;
///
/// let trace = Trace::from_ids([70, 20, 70]);
/// assert_eq!(trace.pages(), [0, 1, 0]);
/// assert_eq!(trace.page_count(), 2);
/// assert_eq!(trace.original_id(1), 20);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    pages: Vec<PageId>,
    original_ids: Vec<u64>,
    future: Future,
    sizes: Option<Vec<u32>>,
    times: Option<Vec<u64>>,
    pcs: Option<Vec<u64>>,
    predictions: Option<Vec<f64>>,
}

impl Trace {
    /// Collects records.
    ///
    /// Sizes are kept if some record has a size other than 1, times if some record has a time other
    /// than 0, program counters if the first record has one. If every record has a known
    /// [`NextAccess`], the trace is annotated. The indices are then recomputed as by
    /// [`Trace::annotate`], because files number requests differently and parts of traces keep the
    /// numbers of the whole.
    ///
    /// # Errors
    /// The first error among the records; [`CacheError::TooLarge`] for 2^32 - 2 or more requests.
    pub fn from_records(
        records: impl IntoIterator<Item = Result<Record, CacheError>>,
    ) -> Result<Self, CacheError> {
        let mut builder = Builder::default();
        for record in records {
            builder.push(record?)?;
        }
        builder.finish()
    }

    /// A trace of unit-size requests.
    ///
    /// # Panics
    /// For 2^32 - 2 or more requests.
    pub fn from_ids(ids: impl IntoIterator<Item = u64>) -> Self {
        Self::from_records(ids.into_iter().map(|id| Ok(Record::from_id(id))))
            .expect("fewer than 2^32 - 2 requests")
    }

    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Number of distinct pages.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.original_ids.len()
    }

    /// The requested pages in order.
    #[must_use]
    pub fn pages(&self) -> &[PageId] {
        &self.pages
    }

    /// The id of a page in the trace file.
    ///
    /// # Panics
    /// If `page >= page_count()`.
    #[must_use]
    pub fn original_id(&self, page: PageId) -> u64 {
        self.original_ids[page as usize]
    }

    /// For each request, the index of the next request of the same page, or [`NEVER`]. `None` for a
    /// trace without annotation.
    #[must_use]
    pub fn next(&self) -> Option<&[u32]> {
        let next = || self.compute_next();
        self.future
            .known
            .then(|| &**self.future.next.get_or_init(next))
    }

    /// Object sizes; `None` if all are 1.
    #[must_use]
    pub fn sizes(&self) -> Option<&[u32]> {
        self.sizes.as_deref()
    }

    /// Time stamps, if the trace has any.
    #[must_use]
    pub fn times(&self) -> Option<&[u64]> {
        self.times.as_deref()
    }

    /// Program counters, if the trace has any.
    #[must_use]
    pub fn pcs(&self) -> Option<&[u64]> {
        self.pcs.as_deref()
    }

    /// Predicted indices of the next request of the same page; `None` before
    /// [`Trace::set_predictions`].
    #[must_use]
    pub fn predictions(&self) -> Option<&[f64]> {
        self.predictions.as_deref()
    }

    /// Attaches one prediction per request.
    ///
    /// # Errors
    /// [`CacheError::Argument`] if the numbers of predictions and of requests differ.
    pub fn set_predictions(&mut self, predictions: Vec<f64>) -> Result<(), CacheError> {
        if predictions.len() != self.len() {
            return Err(CacheError::Argument {
                name: "predictions",
                value: format!("{} values", predictions.len()),
                expected: "one value per request",
            });
        }
        self.predictions = Some(predictions);
        Ok(())
    }

    /// Drops the sizes: every object has size 1.
    pub fn ignore_sizes(&mut self) {
        self.sizes = None;
    }

    /// Annotates the trace with next accesses. They are computed on first use, in one backward
    /// pass, O(n).
    pub fn annotate(&mut self) {
        self.future.known = true;
    }

    /// Removes the annotation, so that offline policies return an error on this trace.
    pub fn clear_future(&mut self) {
        self.future = Future::default();
    }

    fn compute_next(&self) -> Vec<u32> {
        let mut last = vec![NEVER; self.page_count()];
        let mut next = vec![NEVER; self.len()];
        for (index, &page) in self.pages.iter().enumerate().rev() {
            next[index] = last[page as usize];
            last[page as usize] = index as u32;
        }
        next
    }

    /// The requests from `start` to `end` (exclusive) as a trace with renumbered pages, without
    /// annotation and predictions.
    ///
    /// # Panics
    /// If `start > end` or `end > len()`.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        self.select(start..end)
    }

    /// The requests at these indices as a trace with renumbered pages, without annotation and
    /// predictions.
    pub(crate) fn select(&self, indices: impl Iterator<Item = usize>) -> Self {
        self.select_as(indices, |id| id)
    }

    /// As [`Trace::select`], with ids mapped by `rename`: ids with equal images become one page.
    pub(crate) fn select_as(
        &self,
        indices: impl Iterator<Item = usize>,
        rename: impl Fn(u64) -> u64,
    ) -> Self {
        let mut builder = Builder::default();
        for index in indices {
            let mut record = self.record(index, NextAccess::Unknown);
            record.id = rename(record.id);
            // A part of an existing trace never exceeds the limit.
            let _ = builder.push(record);
        }
        builder.finish().unwrap_or_default()
    }

    /// The requests at these indices as a trace with renumbered pages and the same predictions. It
    /// is annotated if the whole trace is.
    pub(crate) fn sample(&self, indices: &[usize]) -> Self {
        let mut sample = self.select(indices.iter().copied());
        sample.future.known = self.future.known;
        sample.predictions = self
            .predictions
            .as_ref()
            .map(|predictions| indices.iter().map(|&index| predictions[index]).collect());
        sample
    }

    /// One request as a record, with its next access if the trace is annotated.
    ///
    /// # Panics
    /// If `index >= len()`.
    #[must_use]
    pub fn record_at(&self, index: usize) -> Record {
        let next = match self.next() {
            None => NextAccess::Unknown,
            Some(next) if next[index] == NEVER => NextAccess::Never,
            Some(next) => NextAccess::At(u64::from(next[index]) + 1),
        };
        self.record(index, next)
    }

    fn record(&self, index: usize, next: NextAccess) -> Record {
        Record {
            time: self.times.as_ref().map_or(0, |times| times[index]),
            id: self.original_ids[self.pages[index] as usize],
            size: self.sizes.as_ref().map_or(1, |sizes| sizes[index]),
            next,
            pc: self.pcs.as_ref().map(|pcs| pcs[index]),
        }
    }
}

/// Whether the trace is annotated, and the lazily computed next accesses.
#[derive(Clone, Debug, Default)]
struct Future {
    known: bool,
    next: OnceLock<Vec<u32>>,
}

/// The next accesses follow from the pages, so whether they were computed is ignored.
impl PartialEq for Future {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

/// Records per block of the builder.
const BLOCK: usize = 256;

/// Collects records into columns.
#[derive(Default)]
struct Builder {
    numbering: Numbering,
    trace: Trace,
    block: Vec<Record>,
    /// Whether every record so far has a known next access.
    has_next_access: bool,
}

impl Builder {
    #[inline]
    fn push(&mut self, record: Record) -> Result<(), CacheError> {
        self.block.push(record);
        if self.block.len() == BLOCK {
            self.flush_block()?;
        }
        Ok(())
    }

    /// Moves the block into the columns.
    fn flush_block(&mut self) -> Result<(), CacheError> {
        let block = std::mem::take(&mut self.block);
        let trace = &mut self.trace;
        let before = trace.pages.len();
        if block.len() > LIMIT - before {
            return Err(CacheError::TooLarge {
                what: "requests",
                limit: LIMIT as u64,
            });
        }
        // Optional columns start when the first value needs them, filled with defaults up to here.
        if before == 0 {
            self.has_next_access = !block.is_empty();
            let has_pc = block.first().is_some_and(|record| record.pc.is_some());
            trace.pcs = has_pc.then(Vec::new);
        }
        if trace.sizes.is_none() && block.iter().any(|record| record.size != 1) {
            trace.sizes = Some(vec![1; before]);
        }
        if trace.times.is_none() && block.iter().any(|record| record.time != 0) {
            trace.times = Some(vec![0; before]);
        }
        // Number the pages of the whole block at once, which overlaps cache misses.
        let ids = block.iter().map(|record| record.id);
        self.numbering
            .number(ids, &mut trace.original_ids, &mut trace.pages);
        if let Some(sizes) = &mut trace.sizes {
            sizes.extend(block.iter().map(|record| record.size));
        }
        if let Some(times) = &mut trace.times {
            times.extend(block.iter().map(|record| record.time));
        }
        if let Some(pcs) = &mut trace.pcs {
            pcs.extend(block.iter().map(|record| record.pc.unwrap_or(0)));
        }
        self.has_next_access &= block
            .iter()
            .all(|record| record.next != NextAccess::Unknown);
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Trace, CacheError> {
        self.flush_block()?;
        self.trace.pages.shrink_to_fit();
        self.trace.future.known = self.has_next_access;
        Ok(self.trace)
    }
}
