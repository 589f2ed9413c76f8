//! A trace in memory: one column a field, pages numbered densely.

use std::sync::OnceLock;

use crate::trace::numbering::Numbering;

use crate::error::CacheError;
use crate::request::{NEVER, PageId};
use crate::trace::{NextAccess, Record};

/// The largest number of requests, and of distinct pages, that a [`Trace`] holds.
const LIMIT: usize = u32::MAX as usize - 1;

/// A trace in memory.
///
/// Pages are numbered densely in the order of first appearance, once, while the trace is built:
/// a simulation indexes arrays and never hashes. A column exists only when the records hold it,
/// so that a plain trace of n requests takes 4 n bytes.
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
    /// Reads records to their end.
    ///
    /// Sizes are kept when some record has a size other than 1, times when some record has a time
    /// other than 0, program counters when the first record has one. When every record says when
    /// its page is requested next, the trace knows the future; the indices are computed as by
    /// [`Trace::annotate`], since files count differently, and parts of traces keep the numbers
    /// of the whole.
    ///
    /// # Errors
    /// The first error among the records; [`CacheError::TooLarge`] from 2^32 - 2 requests on.
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
    /// From 2^32 - 2 requests on.
    pub fn from_ids(ids: impl IntoIterator<Item = u64>) -> Self {
        Self::from_records(ids.into_iter().map(|id| Ok(Record::of(id))))
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

    /// The id that a page has in the trace file.
    ///
    /// # Panics
    /// If `page >= page_count()`.
    #[must_use]
    pub fn original_id(&self, page: PageId) -> u64 {
        self.original_ids[page as usize]
    }

    /// Index of the next request of the same page for every request, [`NEVER`] where there is
    /// none; `None` for a trace that was not annotated.
    #[must_use]
    pub fn next(&self) -> Option<&[u32]> {
        let next = || self.compute_next();
        self.future
            .known
            .then(|| &**self.future.next.get_or_init(next))
    }

    /// Object sizes; `None` when all are 1.
    #[must_use]
    pub fn sizes(&self) -> Option<&[u32]> {
        self.sizes.as_deref()
    }

    /// Time stamps; `None` when the trace has none.
    #[must_use]
    pub fn times(&self) -> Option<&[u64]> {
        self.times.as_deref()
    }

    /// Program counters; `None` when the trace has none.
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

    /// Attaches one prediction a request.
    ///
    /// # Errors
    /// [`CacheError::Argument`] when there are not as many predictions as requests.
    pub fn set_predictions(&mut self, predictions: Vec<f64>) -> Result<(), CacheError> {
        if predictions.len() != self.len() {
            return Err(CacheError::Argument {
                name: "predictions",
                value: format!("{} values", predictions.len()),
                expected: "one value for each request",
            });
        }
        self.predictions = Some(predictions);
        Ok(())
    }

    /// Drops the sizes: every object counts 1.
    pub fn ignore_sizes(&mut self) {
        self.sizes = None;
    }

    /// Makes the trace know when each page is requested next. The indices are computed in one
    /// backward pass, O(n), when they are asked for.
    pub fn annotate(&mut self) {
        self.future.known = true;
    }

    /// Forgets the future, so that policies that need it refuse this trace.
    pub fn forget_future(&mut self) {
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

    /// The part of the trace from `start` to `end` (exclusive), with pages numbered anew and the
    /// future and predictions dropped.
    ///
    /// # Panics
    /// If `start > end` or `end > len()`.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        self.select(start..end)
    }

    /// The requests at these indices, with pages numbered anew and the future and predictions
    /// dropped.
    pub(crate) fn select(&self, indices: impl Iterator<Item = usize>) -> Self {
        self.select_as(indices, |id| id)
    }

    /// As [`Trace::select`], with other ids: requests whose ids become equal ask for one page.
    pub(crate) fn select_as(
        &self,
        indices: impl Iterator<Item = usize>,
        rename: impl Fn(u64) -> u64,
    ) -> Self {
        let mut builder = Builder::default();
        for index in indices {
            let mut record = self.record(index, NextAccess::Unknown);
            record.id = rename(record.id);
            // A part of a trace that exists is never too large.
            let _ = builder.push(record);
        }
        builder.finish().unwrap_or_default()
    }

    /// The requests at these indices, with pages numbered anew, predictions kept, and the future
    /// computed anew if it was known.
    pub(crate) fn sample(&self, indices: &[usize]) -> Self {
        let mut sample = self.select(indices.iter().copied());
        sample.future.known = self.future.known;
        sample.predictions = self
            .predictions
            .as_ref()
            .map(|predictions| indices.iter().map(|&index| predictions[index]).collect());
        sample
    }

    /// One request as a record, with what is known of its next access.
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

/// Whether the trace knows when pages are requested next, and the indices once they were asked for.
#[derive(Clone, Debug, Default)]
struct Future {
    known: bool,
    next: OnceLock<Vec<u32>>,
}

/// The indices follow from the pages, so that having computed them makes no difference.
impl PartialEq for Future {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

/// Records that are taken in together.
const BLOCK: usize = 256;

/// Collects records into columns.
#[derive(Default)]
struct Builder {
    numbering: Numbering,
    trace: Trace,
    block: Vec<Record>,
    /// Whether every record so far said when its page is requested next.
    knows_future: bool,
}

impl Builder {
    #[inline]
    fn push(&mut self, record: Record) -> Result<(), CacheError> {
        self.block.push(record);
        if self.block.len() == BLOCK {
            self.take_in()?;
        }
        Ok(())
    }

    /// Moves the block into the columns.
    fn take_in(&mut self) -> Result<(), CacheError> {
        let block = std::mem::take(&mut self.block);
        let trace = &mut self.trace;
        let before = trace.pages.len();
        if block.len() > LIMIT - before {
            return Err(CacheError::TooLarge {
                what: "requests",
                limit: LIMIT as u64,
            });
        }
        if before == 0 {
            self.knows_future = !block.is_empty();
            let has_pc = block.first().is_some_and(|record| record.pc.is_some());
            trace.pcs = has_pc.then(Vec::new);
        }
        if trace.sizes.is_none() && block.iter().any(|record| record.size != 1) {
            trace.sizes = Some(vec![1; before]);
        }
        if trace.times.is_none() && block.iter().any(|record| record.time != 0) {
            trace.times = Some(vec![0; before]);
        }
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
        self.knows_future &= block
            .iter()
            .all(|record| record.next != NextAccess::Unknown);
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Trace, CacheError> {
        self.take_in()?;
        self.trace.pages.shrink_to_fit();
        self.trace.future.known = self.knows_future;
        Ok(self.trace)
    }
}
