//! SQL functions for the sketches of [`septet_sketch`] in DataFusion and Ballista.
//!
//! [`register`] adds them to a session:
//!
//! | Function | Result |
//! |---|---|
//! | `cms_agg(key, epsilon, confidence[, seed])` | a count-min sketch of the keys, as binary |
//! | `cms_agg_weighted(key, weight, epsilon, confidence[, seed])` | the same, each key counted `weight` times |
//! | `cms_merge(sketch)` | the sum of stored sketches |
//! | `cms_estimate(sketch, key)` | the estimated count of a key: never too small, and too large by more than `epsilon` times the total with probability at most `1 - confidence` |
//! | `cms_total(sketch)` | the total count of all keys |
//! | `cms_info(sketch)` | depth, width, seed, total and bytes |
//! | `approx_top_k(key, k[, counters])` | the most frequent keys: a list of structures of `item`, `count` and `error` |
//! | `approx_top_k_weighted(key, weight, k[, counters])` | the same, each key counted `weight` times |
//! | `learned_cms_agg(key, model)` | a sketch with a table of exact counts, filled by the advice of an oracle |
//! | `learned_cms_merge(sketch, model)` | the sum of such sketches |
//! | `learned_cms_estimate(sketch, key, model)` | the estimated count of a key |
//! | `learned_cms_coverage(sketch, model)` | the fraction of all occurrences that were counted exactly |
//!
//! Keys are integers, strings and binary, in any layout and also in dictionaries. The hash of a key
//! depends neither on the width of an integer nor on the layout of a string. NULL is not counted.
//! All other arguments are constants. Errors in a call are reported when the query is planned, if
//! possible.
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
//! Count-min sketches are linear: the result has the same bytes for any number of partitions and any
//! order of rows. `approx_top_k` is exact as long as no partition has more distinct keys than counters;
//! with fewer counters its bounds hold for any number of partitions. Learned sketches never
//! underestimate; which keys are in the table may depend on the order of rows.
//!
//! # Names
//!
//! DataFusion 55.2 has no functions with these names. [`register`] replaces functions of the same name
//! in the `SessionContext`: check for a built-in `approx_top_k`, with another result type, after an upgrade.

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

/// The functions of this crate, for programs that register functions elsewhere than in a session, such
/// as the schedulers and executors of Ballista.
#[derive(Clone, Debug)]
pub struct Functions {
    /// The aggregate functions.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// The scalar functions.
    pub scalar: Vec<Arc<ScalarUDF>>,
}

impl Functions {
    /// All functions; the learned ones use these models.
    ///
    /// # Errors
    ///
    /// Those of DataFusion if it does not accept a signature.
    pub fn new(models: Models) -> Result<Self> {
        let models = Arc::new(models);
        // Both learned functions and the queries share one registry of models.
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

/// Adds the functions to a session, without models for the learned ones.
///
/// # Errors
///
/// As of [`Functions::new`].
pub fn register(context: &SessionContext) -> Result<()> {
    register_with(context, Models::new())
}

/// Adds the functions to a session; the learned ones use these models.
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
