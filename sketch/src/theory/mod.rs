//! The error of a sketch, predicted from a histogram of counts.
//!
//! A count-min sketch with fully random hashes errs, for a key, by the least of `depth` independent
//! copies of what other keys put into a counter. The distribution of that content follows from how
//! many keys have which count, by a Fourier transform; no stream has to be run. So the average
//! absolute frequency error ([`aafe`]) of any depth and width takes milliseconds, [`plan`] finds
//! the best division of a budget in bytes, and tests have an oracle.
//!
//! The theory also says why *coverage* is what an oracle must be good at. Let `cc` be the share of
//! the stream that is left to the sketch. With one row the error is `N cc^2 / width`, but for the
//! keys' own counts. With more rows it is `cc` times the mean of the least content, which the light
//! keys decide and which an oracle hardly changes: the error grows with a power of `cc` between one
//! (wide sketches) and two (crowded ones).
//!
//! ```
//! use septet_sketch::stream::Zipf;
//! use septet_sketch::theory::{Histogram, aafe};
//!
//! // The synthetic table of the paper: a perfect oracle takes the 10 000 most frequent keys of a
//! // million, and 20 000 counters are left for the others.
//! let counts = Zipf::new(1_000_000, 1.0)?.counts(1_000_000);
//! let total = counts.iter().sum();
//! let residual = Histogram::from_counts(counts[10_000..].iter().copied());
//! for (depth, published) in [(1, 62.75), (2, 109.17), (3, 158.90), (4, 210.12)] {
//!     let predicted = aafe(&residual, total, depth, 20_000 / depth)?;
//!     assert!((predicted / published - 1.0).abs() < 0.002);
//! }
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```

mod content;
mod count_min;
mod count_sketch;
mod coverage_curve;
mod histogram;
mod plan;

pub use count_min::{aafe, aafe_one_row};
pub use count_sketch::aafe_count_sketch;
pub use coverage_curve::CoverageCurve;
pub use histogram::Histogram;
pub use plan::{Budget, Plan, plan};
