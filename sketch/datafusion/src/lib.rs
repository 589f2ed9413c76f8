//! SQL functions over the sketches of [`septet_sketch`], for DataFusion and so for Ballista.
//!
//! [`register`] adds them to a session:
//!
//! | Function | Result |
//! |---|---|
//! | `cms_agg(key, epsilon, confidence[, seed])` | a count-min sketch of the keys, as binary |
//! | `cms_agg_weighted(key, weight, epsilon, confidence[, seed])` | the same, each key counted `weight` times |
//! | `cms_merge(sketch)` | the sum of stored sketches |
//! | `cms_estimate(sketch, key)` | how often the key occurred: never too little, and too much by more than `epsilon` times the total with a probability of at most `1 - confidence` |
//! | `cms_total(sketch)` | how often all keys occurred together |
//! | `cms_info(sketch)` | depth, width, seed, total and bytes |
//! | `approx_top_k(key, k[, counters])` | the most frequent keys: a list of structures of `item`, `count` and `error` |
//! | `approx_top_k_weighted(key, weight, k[, counters])` | the same, each key counted `weight` times |
//! | `learned_cms_agg(key, model)` | a sketch with a table of exact counts, filled as an oracle advises |
//! | `learned_cms_merge(sketch, model)` | the sum of such sketches |
//! | `learned_cms_estimate(sketch, key, model)` | how often the key occurred |
//! | `learned_cms_coverage(sketch, model)` | the share of all occurrences that the table counted exactly |
//!
//! Keys are integers, strings and binary, in any layout and also in dictionaries. The hash of a key
//! depends neither on the width of an integer nor on the layout of a string. NULL is not counted.
//! All other arguments are constants. What is wrong in a call is reported when the query is planned,
//! if it can be seen there.
//!
//! ```
//! use datafusion::prelude::SessionContext;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> datafusion::error::Result<()> {
//! let context = SessionContext::new();
//! septet_sketch_datafusion::register(&context)?;
//! let query = "SELECT cms_estimate(cms_agg(word, 0.001, 0.99), 'fox') AS foxes
//!     FROM (VALUES ('fox'), ('dog'), ('fox')) AS words (word)";
//! context.sql(query).await?.show().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Partitions
//!
//! Count-min sketches are linear: the result has the same bytes for any number of partitions, and
//! in any order of rows. `approx_top_k` is exact as long as no partition has more different keys
//! than counters; with fewer counters its bounds hold for any number of partitions. Learned sketches
//! never underestimate; which keys have a place in the table may depend on the order of rows.

mod argument;
mod count_min;
mod counting;
mod estimate;
mod inspect;
mod key;
mod learned;
mod merge;
mod models;
mod stored;
mod top_k;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

pub use crate::models::{ModelBuilder, ModelKey, Models, SharedOracle};

use crate::count_min::CountMinAggregate;
use crate::estimate::Estimate;
use crate::inspect::Inspect;
use crate::learned::{LearnedAggregate, LearnedQuery};
use crate::merge::MergeAggregate;
use crate::top_k::TopKAggregate;

/// The functions of this crate, for programs that keep functions elsewhere than in a session: the
/// schedulers and executors of Ballista.
#[derive(Clone, Debug)]
pub struct Functions {
    /// Those that take all rows of a group.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// Those that take one row.
    pub scalar: Vec<Arc<ScalarUDF>>,
}

impl Functions {
    /// The functions, the learned ones with these models.
    ///
    /// # Errors
    ///
    /// Those of DataFusion when it does not accept a signature.
    pub fn new(models: Models) -> Result<Self> {
        let models = Arc::new(models);
        let aggregate: [AggregateUDF; 7] = [
            CountMinAggregate::new(false)?.into(),
            CountMinAggregate::new(true)?.into(),
            MergeAggregate::new()?.into(),
            TopKAggregate::new(false)?.into(),
            TopKAggregate::new(true)?.into(),
            LearnedAggregate::of_keys(&models)?.into(),
            LearnedAggregate::of_sketches(&models)?.into(),
        ];
        let scalar: [ScalarUDF; 5] = [
            Estimate::new()?.into(),
            Inspect::total()?.into(),
            Inspect::info()?.into(),
            LearnedQuery::estimate(&models)?.into(),
            LearnedQuery::coverage(&models)?.into(),
        ];
        Ok(Self {
            aggregate: aggregate.into_iter().map(Arc::new).collect(),
            scalar: scalar.into_iter().map(Arc::new).collect(),
        })
    }
}

/// Adds the functions to a session, without models: the learned ones have nothing to name.
///
/// # Errors
///
/// As of [`Functions::new`].
pub fn register(context: &SessionContext) -> Result<()> {
    register_with(context, Models::new())
}

/// Adds the functions to a session, the learned ones with these models.
///
/// # Errors
///
/// As of [`Functions::new`].
pub fn register_with(context: &SessionContext, models: Models) -> Result<()> {
    let functions = Functions::new(models)?;
    for function in functions.aggregate {
        context.register_udaf(Arc::unwrap_or_clone(function));
    }
    for function in functions.scalar {
        context.register_udf(Arc::unwrap_or_clone(function));
    }
    Ok(())
}
