//! Statistics of small experiments: estimates with intervals.
//!
//! Every function that cannot answer (too few values, a value that is not finite, a level outside
//! `(0, 1)`) returns `None`. Functions that draw random numbers take the generator, so that a
//! [`SeedTree`](crate::seed::SeedTree) makes them repeatable.
//!
//! | Question | Function |
//! |---|---|
//! | How sure is any statistic of these samples? | [`bca`] |
//! | How sure is a success rate of `k` in `n`? | [`wilson`] |
//! | How sure is a mean of normal samples? | [`student_t`] |
//! | By how much do paired runs differ? | [`paired_difference`], [`paired_ratio`] |
//! | With which power does one quantity grow with another? | [`log_log_slope`] |
//! | What remains significant among many tests? | [`holm`], [`benjamini_hochberg`] |

mod bootstrap;
mod describe;
mod intervals;
mod mean_interval;
mod multiple;
mod paired;
mod slope;

pub use bootstrap::bca;
pub use describe::{mean, median, quantile, standard_deviation};
pub use intervals::{Interval, student_t, wilson};
pub use mean_interval::{STUDENT_SAMPLES, mean_interval};
pub use multiple::{benjamini_hochberg, holm};
pub use paired::{Comparison, paired_difference, paired_ratio};
pub use slope::{Slope, log_log_slope};
