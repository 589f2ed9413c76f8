//! Workers that straggle, and clients that do not wait: what latency is measured with.
//!
//! * [`Delay`] is how long a task takes or is held up: the sleep of the paper's experiment, or a
//!   distribution with a heavy tail.
//! * [`Synthetic`] is a pool of workers that only take time; with a [`Shuffle`] they are slowed in
//!   pairs, as by transfers in the background. On tokio's paused clock an hour of it passes in seconds.
//! * [`open_loop`] sends queries when they are due, whether or not earlier ones were answered, and
//!   counts latency from when each was due: a server that stalls cannot hide it by slowing its clients.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use septet_coded_serving::Tensor;
//! use septet_coded_serving::code::{InvNet, MixedQueries};
//! use septet_coded_serving::engine::{Engine, Query};
//! use septet_coded_serving::load::{Answered, Arrivals, Delay, Synthetic, open_loop};
//! use septet_core::seed::SeedTree;
//!
//! // Twenty milliseconds of service; one task in ten takes a tenth of a second more.
//! let seed = SeedTree::new(1);
//! let service = Delay::constant(Duration::from_millis(20)).or_more(0.1, Duration::from_millis(100))?;
//! let code = Arc::new(InvNet::new(10, 1, MixedQueries)?);
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! let summary = runtime.block_on(async {
//!     let engine = Engine::builder(code, Synthetic::new(24, service, &seed)).build();
//!     let arrivals = Arrivals::poisson(200.0)?;
//!     let summary = open_loop(2000, arrivals, &seed, move |number| {
//!         let engine = engine.clone();
//!         let query = Query::new(Tensor::vector(vec![number as f32]));
//!         async move { Answered::from(&engine.predict(query).await) }
//!     })
//!     .await;
//!     Ok::<_, septet_coded_serving::load::LoadError>(summary)
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
pub use open_loop::{Answered, Summary, open_loop};
pub use shuffle::Shuffle;
pub use synthetic::Synthetic;

/// That a delay or a load is impossible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{parameter}: expected {expected}, found {found}")]
pub struct LoadError {
    /// Which parameter.
    pub parameter: &'static str,
    /// What is possible.
    pub expected: &'static str,
    /// What it was.
    pub found: f64,
}

/// Checks a parameter.
fn check(
    parameter: &'static str,
    expected: &'static str,
    found: f64,
    holds: bool,
) -> Result<(), LoadError> {
    // What is not a number holds nothing.
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
