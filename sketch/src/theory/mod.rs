//! Prediction of the error of a sketch from a histogram of counts.
//!
//! In a count-min sketch with fully random hashes, the error of a key is the minimum of `depth`
//! independent copies of the content of a counter. The distribution of that content is computed from
//! the histogram of counts with a Fourier transform, without a stream. The average absolute frequency
//! error ([`aafe`]) for any depth and width takes milliseconds, and [`plan`] finds the best division of
//! a memory budget.
//!
//! The theory also shows why *coverage* measures the quality of an oracle. Let `cc` be the fraction of
//! the stream that is left to the sketch. With one row the error is `N cc^2 / width`, apart from the
//! keys' own counts. With more rows it is `cc` times the mean of the minimum content, which depends on
//! the light keys and hardly on the oracle: the error grows with a power of `cc` between one (wide
//! sketches) and two (crowded ones).
//!
//! ```
//! use septet_sketch::stream::Zipf;
//! use septet_sketch::theory::{Histogram, aafe};
//!
//! // The synthetic table of the paper: a perfect oracle selects the 10 000 most frequent keys of a
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
