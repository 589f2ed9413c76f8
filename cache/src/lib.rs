//! Robust learning-augmented caching: a trace-driven simulator.
//!
//! A *learned* replacement policy follows predictions of when each page is requested next. It is
//! excellent while the predictions are good and has no guarantee when they are not. A *robust* one
//! (LRU, Marker) has a guarantee and ignores predictions. This crate holds both kinds, and the
//! combinations that follow whichever of them has missed less so far, as studied in
//! J. Chłędowski, A. Polak, B. Szabucki, K. Żołna, "Robust Learning-Augmented Caching: An
//! Experimental Study" (ICML 2021).
//!
//! # The principal types
//!
//! * A [`Trace`](trace::Trace) holds requests as dense columns: pages are numbered once, while a
//!   file is read, and a simulation never hashes. [`trace::open`] reads a dozen formats, compressed
//!   or not; [`trace::generate`] makes traces from a seed.
//! * A [`Policy`](policy::Policy) is a replacement policy with its cache. [`policy`] has the classic
//!   ones, [`learned`] those that follow predictions, [`combine`] the robust combinations. Each is a
//!   type of its own; [`PolicySpec`] builds them by name.
//! * Predictions are a column of the trace, made by a [`Predictor`](predict::Predictor) or, spoiled
//!   on purpose, by an oracle ([`predict`]).
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
//! With good predictions the combination costs a little more than following them; with bad ones, a
//! little more than LRU:
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
//! # What is counted
//!
//! A request whose page is not cached is a miss, the first request of a page among them. In paging
//! every page has size 1 and is admitted when it is requested; policies that also take objects of
//! different sizes say so ([`policy::Needs`]). [`set_associative`] treats each set of a hardware
//! cache as a cache of its own and sums the misses. [`miss_ratio_curve`] gives the miss ratio over
//! the capacity.
//!
//! # Features
//!
//! None is on by default. `compression` reads and writes `.gz`, `.zst` and `.xz` traces and zip
//! archives; `cli` builds the tool `cachesim`. The paper's experiment is a package of its own,
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

pub use error::CacheError;
pub use septet_core::seed::SeedTree;
pub use spec::PolicySpec;

/// The example of the README, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
