//! Predictors of the next request of a page.
//!
//! A [`Predictor`] sees the requests one after another and predicts, at each of them, when the same
//! page is requested next. [`predictions`] runs one over a trace; the result is a column that all
//! policies share ([`crate::trace::Trace::set_predictions`]), so that comparing policies never
//! compares predictors. [`oracle`] and [`belady_bits`] know the future and spoil it on purpose.

mod bits;
mod oracle;
mod pleco;
mod popularity;
mod recency;
mod reuse_table;
mod spec;

pub use bits::belady_bits;
pub use oracle::{Noise, oracle};
pub use pleco::Pleco;
pub use popularity::Popularity;
pub use recency::Recency;
pub use reuse_table::ReuseTable;
pub use spec::PredictorSpec;

use crate::request::PageId;
use crate::trace::Trace;

/// One request as a predictor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The page asked for.
    pub page: PageId,
    /// Index of the request: the clock that predictions are made in.
    pub now: u32,
    /// Address of the instruction that made the request, if the trace has it.
    pub pc: Option<u64>,
}

/// Predicts requests online.
pub trait Predictor {
    /// The predicted index of the next request of this page. Called once for each request in order;
    /// a larger value means later.
    fn predict(&mut self, access: &Access) -> f64;
}

/// One prediction for each request of a trace.
pub fn predictions(predictor: &mut dyn Predictor, trace: &Trace) -> Vec<f64> {
    accesses(trace)
        .map(|access| predictor.predict(&access))
        .collect()
}

/// The requests of a trace as a predictor sees them.
pub(crate) fn accesses(trace: &Trace) -> impl Iterator<Item = Access> + '_ {
    trace
        .pages()
        .iter()
        .enumerate()
        .map(|(index, &page)| Access {
            page,
            now: index as u32,
            pc: trace.pcs().map(|pcs| pcs[index]),
        })
}

/// A vector that grows to the index that is asked for.
pub(crate) fn grown<T: Clone + Default>(values: &mut Vec<T>, page: PageId) -> &mut T {
    let index = page as usize;
    if index >= values.len() {
        values.resize((index + 1).next_power_of_two(), T::default());
    }
    &mut values[index]
}
