//! Samples and what follows from them.

use serde::{Deserialize, Serialize};

/// What one process measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Requests replayed.
    pub requests: u64,
    /// Requests that missed.
    pub misses: u64,
    /// CPU seconds of the simulation alone.
    pub replay_seconds: f64,
    /// CPU seconds from opening the file to the last request.
    pub with_reading_seconds: f64,
    /// Peak resident memory of the process.
    pub peak_bytes: u64,
    /// Resident memory before the trace was opened: the interpreter and its libraries.
    pub baseline_bytes: u64,
}

/// The samples of every contender for one policy on one trace, in the order they were taken.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The policy.
    pub policy: String,
    /// The trace.
    pub trace: String,
    /// The capacity in pages.
    pub capacity: u64,
    /// Ours.
    pub ours: Vec<Sample>,
    /// libCacheSim's with a hash table that fits; empty when it lacks the policy.
    pub tuned: Vec<Sample>,
    /// libCacheSim's with its default parameters; empty when it lacks the policy.
    pub as_installed: Vec<Sample>,
}

/// Median and range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle value, or the mean of the two middle ones.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// The spread of some values; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }

    /// Range over median.
    #[must_use]
    pub fn relative(&self) -> f64 {
        (self.max - self.min) / self.median
    }
}

/// How many times as long theirs took as ours, repetition by repetition: the two samples of a
/// repetition were taken one soon after the other.
pub fn ratio(
    ours: &[Sample],
    theirs: &[Sample],
    seconds: impl Fn(&Sample) -> f64,
) -> Option<Spread> {
    let pairs = ours.iter().zip(theirs);
    Spread::of(pairs.map(|(ours, theirs)| seconds(theirs) / seconds(ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let odd = Spread::of([3.0, 1.0, 2.0]).expect("three values");
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(odd.relative(), 1.0);
        let even = Spread::of([4.0, 1.0, 2.0, 3.0]).expect("four values");
        assert_eq!(even.median, 2.5);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let sample = |seconds| Sample {
            requests: 1,
            misses: 1,
            replay_seconds: seconds,
            with_reading_seconds: 2.0 * seconds,
            peak_bytes: 1,
            baseline_bytes: 0,
        };
        let ours = [sample(1.0), sample(2.0), sample(4.0)];
        let theirs = [sample(3.0), sample(6.0), sample(20.0)];
        let spread = ratio(&ours, &theirs, |sample| sample.replay_seconds).expect("pairs");
        assert_eq!((spread.median, spread.min, spread.max), (3.0, 3.0, 5.0));
        assert!(ratio(&ours, &[], |sample| sample.replay_seconds).is_none());
    }
}
