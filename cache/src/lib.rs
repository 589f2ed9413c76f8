//! Robust learning-augmented caching: a trace-driven simulator.
//!
//! A *learned* replacement policy follows predictions of each page's next request. It performs well
//! with good predictions and has no guarantee with bad ones. A *robust* policy (LRU, Marker) has a
//! worst-case guarantee and ignores predictions. This crate implements both kinds, and combinations
//! that follow whichever policy has missed less so far, as studied in
//! J. Chłędowski, A. Polak, B. Szabucki, K. Żołna, "Robust Learning-Augmented Caching: An
//! Experimental Study" (ICML 2021).
//!
//! # Main types
//!
//! * A [`Trace`](trace::Trace) stores requests as dense columns. Pages are numbered while a file is
//!   read, so that a simulation never hashes. [`trace::open`] reads 14 formats, compressed or not;
//!   [`trace::generate`] generates traces from a seed.
//! * A [`Policy`](policy::Policy) is a replacement policy with its cache: classic ones in [`policy`],
//!   learned ones in [`learned`], robust combinations in [`combine`]. [`PolicySpec`] builds them by
//!   name.
//! * Predictions are a column of the trace, computed by a [`Predictor`](predict::Predictor) or from
//!   the true future with synthetic noise ([`predict`]).
//!
//! ```
//! use septet_cache::trace::Trace;
//! use septet_cache::{PolicySpec, SeedTree};
//!
//! // A loop over 12 pages with a cache of 8: the worst case of LRU.
//! let trace = Trace::from_ids((0..1_200).map(|i| i % 12));
//! let misses = |name: &str| {
//!     let spec: PolicySpec = name.parse()?;
//!     let tally = spec.build(8, &SeedTree::new(0))?.replay(&trace)?;
//!     Ok::<u64, septet_cache::CacheError>(tally.misses)
//! };
//! assert_eq!(misses("LRU")?, 1_200);
//! assert!(misses("LIRS")? < 600);
//! # Ok::<(), septet_cache::CacheError>(())
//! ```
//!
//! # Insurance
//!
//! A combination costs slightly more than the predictions when they are good, and slightly more than
//! LRU when they are bad:
//!
//! ```
//! use septet_cache::predict::PredictorSpec;
//! use septet_cache::trace::generate::Pattern;
//! use septet_cache::trace::Trace;
//! use septet_cache::{PolicySpec, SeedTree};
//!
//! let seed = SeedTree::new(7);
//! let zipf = Pattern::Zipf { objects: 2_000, alpha: 0.9 };
//! let mut trace = Trace::from_records(zipf.requests(&seed)?.take(50_000).map(Ok))?;
//! trace.annotate();
//! let mut misses = |policy: &str, predictor: &str| {
//!     let predictor: PredictorSpec = predictor.parse()?;
//!     trace.set_predictions(predictor.predict(&trace, 100, &seed)?)?;
//!     let spec: PolicySpec = policy.parse()?;
//!     Ok::<f64, septet_cache::CacheError>(spec.build(100, &seed)?.replay(&trace)?.misses as f64)
//! };
//! let lru = misses("LRU", "oracle")?;
//! let combined = "D(FtP, LRU, gamma=0.01)";
//! assert!(misses(combined, "oracle")? < 1.02 * misses("FtP", "oracle")?);
//! assert!(misses("FtP", "negated")? > 1.3 * lru);
//! assert!(misses(combined, "negated")? < 1.02 * lru);
//! # Ok::<(), septet_cache::CacheError>(())
//! ```
//!
//! # Cost model
//!
//! A request of a page that is not cached is a miss, including the first request of the page. In
//! paging, every page has size 1 and is admitted when requested; [`policy::Needs`] states whether a
//! policy requires that. [`set_associative`] simulates each set of a hardware cache separately and
//! sums the misses. [`miss_ratio_curve`] computes the miss ratio as a function of capacity, and
//! [`trace_summary`] the statistics of a trace.
//!
//! # Features
//!
//! No feature is enabled by default. `compression` reads and writes `.gz`, `.zst` and `.xz` traces and
//! reads zip archives; `cli` builds the tool `cachesim`. The paper's experiment is the package
//! `septet-cache-reproduce`.

pub mod combine;
pub mod error;
pub mod learned;
pub mod miss_ratio_curve;
pub mod policy;
pub mod predict;
pub mod request;
pub mod set_associative;
mod spec;
pub mod trace;
pub mod trace_summary;

pub use error::CacheError;
pub use septet_core::seed::SeedTree;
pub use spec::PolicySpec;

/// The example of the README, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
