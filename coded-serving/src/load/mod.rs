//! Load generation and straggler models for latency measurements.
//!
//! * [`Delay`] is a service time or a straggler delay: constant, log-normal, with occasional stragglers.
//! * [`Synthetic`] is a pool of workers that compute nothing and only take time; a [`Shuffle`] slows pairs
//!   of them, as background transfers do. With tokio's clock paused, an hour is simulated in seconds.
//! * [`open_loop`] sends queries on schedule, whether or not earlier ones were answered, and measures
//!   latency from the scheduled time: a server that stalls cannot hide it by slowing its clients
//!   (coordinated omission).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use septet_coded_serving::Tensor;
//! use septet_coded_serving::code::{InvNet, MixedQueries};
//! use septet_coded_serving::engine::{Engine, Query};
//! use septet_coded_serving::load::{Arrivals, Delay, Outcome, Synthetic, open_loop};
//! use septet_core::seed::SeedTree;
//!
//! // A task takes 20 ms, and one in ten 100 ms longer.
//! let seed = SeedTree::new(1);
//! let service = Delay::constant(Duration::from_millis(20)).with_stragglers(0.1, Duration::from_millis(100))?;
//! let code = Arc::new(InvNet::new(10, 1, MixedQueries)?);
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! let summary = runtime.block_on(async {
//!     let engine = Engine::builder(code, Synthetic::new(24, service, &seed)).build()?;
//!     let arrivals = Arrivals::poisson(200.0)?;
//!     let summary = open_loop(2000, arrivals, &seed, move |number| {
//!         let engine = engine.clone();
//!         let query = Query::new(Tensor::vector(vec![number as f32]));
//!         async move { Outcome::from(&engine.predict(query).await) }
//!     })
//!     .await;
//!     Ok::<_, Box<dyn std::error::Error>>(summary)
//! })?;
//! assert_eq!(summary.answered(), 2000);
//! assert!(summary.quantile(0.5) < Duration::from_millis(25));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod delay;
mod open_loop;
mod shuffle;
mod synthetic;

pub use arrivals::Arrivals;
pub use delay::Delay;
pub use open_loop::{Outcome, Summary, open_loop};
pub use shuffle::Shuffle;
pub use synthetic::Synthetic;

/// A parameter of a delay or a load is outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{parameter}: expected {expected}, found {found}")]
pub struct LoadError {
    /// The parameter.
    pub parameter: &'static str,
    /// The allowed range.
    pub expected: &'static str,
    /// The value.
    pub found: f64,
}

/// Checks that a parameter is finite and in its range.
fn check(
    parameter: &'static str,
    expected: &'static str,
    found: f64,
    holds: bool,
) -> Result<(), LoadError> {
    // Comparisons with NaN do not hold, and infinity has no meaning for any parameter.
    if holds && found.is_finite() {
        Ok(())
    } else {
        Err(LoadError {
            parameter,
            expected,
            found,
        })
    }
}

/// Checks that a parameter is a probability.
pub(crate) fn check_probability(parameter: &'static str, found: f64) -> Result<(), LoadError> {
    check(parameter, "0 to 1", found, (0.0..=1.0).contains(&found))
}
