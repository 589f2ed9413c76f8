//! Predictors of the next request of a page.
//!
//! A [`Predictor`] predicts, at each request, when the same page is requested next. [`predictions`]
//! runs one over a trace. The result is a column that all policies share
//! ([`crate::trace::Trace::set_predictions`]), so that policies are compared on equal predictions.
//! [`oracle`] and [`belady_bits`] derive predictions from the true future, with optional noise.

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

/// The input of a predictor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The requested page.
    pub page: PageId,
    /// Index of the request, the time unit of predictions.
    pub now: u32,
    /// Address of the instruction that made the request, if the trace has it.
    pub pc: Option<u64>,
}

/// An online predictor.
pub trait Predictor {
    /// The predicted index of the page's next request. Called once per request, in order.
    fn predict(&mut self, access: &Access) -> f64;
}

/// Runs a predictor over a trace: one prediction per request.
pub fn predictions(predictor: &mut dyn Predictor, trace: &Trace) -> Vec<f64> {
    accesses(trace)
        .map(|access| predictor.predict(&access))
        .collect()
}

/// The requests of a trace as predictor inputs.
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

/// The entry of a page, after growing the vector to hold it.
pub(crate) fn entry_mut<T: Clone + Default>(values: &mut Vec<T>, page: PageId) -> &mut T {
    let index = page as usize;
    if index >= values.len() {
        values.resize((index + 1).next_power_of_two(), T::default());
    }
    &mut values[index]
}
