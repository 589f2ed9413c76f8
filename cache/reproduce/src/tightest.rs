//! One claim for many measurements: the one that comes closest to its bound speaks for all.

use septet_core::experiment::{Estimate, Expected, Verdict};

/// A measurement with its bound.
pub(crate) struct Candidate {
    /// Where it was measured.
    pub(crate) place: String,
    pub(crate) expected: Expected,
    pub(crate) measured: Estimate,
}

/// The candidate with the least room to its bound, and how many there were. If it is within its
/// bound, all are.
pub(crate) fn tightest(candidates: Vec<Candidate>) -> Option<(Candidate, usize)> {
    let count = candidates.len();
    let tightest = candidates.into_iter().min_by(|a, b| {
        let severity = severity(a).cmp(&severity(b));
        severity.then(room(a).total_cmp(&room(b)))
    })?;
    Some((tightest, count))
}

/// A contradiction outranks doubt, and doubt a small room.
fn severity(candidate: &Candidate) -> u8 {
    match candidate.expected.judge(&candidate.measured).0 {
        Verdict::Contradicted => 0,
        Verdict::Inconclusive => 1,
        Verdict::Reproduced | Verdict::Skipped => 2,
    }
}

/// The distance from the worse end of the interval to the bound, relative to the bound; negative
/// outside.
fn room(candidate: &Candidate) -> f64 {
    let value = candidate.measured.value;
    let (low, high) = candidate.measured.ends().unwrap_or((value, value));
    let relative = |difference: f64, bound: f64| difference / bound.abs().max(f64::MIN_POSITIVE);
    match candidate.expected {
        Expected::Equals(bound) => -relative((value - bound).abs(), bound),
        Expected::AtMost(bound) => relative(bound - high, bound),
        Expected::AtLeast(bound) => relative(low - bound, bound),
        Expected::Between(least, most) => {
            relative(most - high, most).min(relative(low - least, least))
        }
        Expected::Near(bound, width) => {
            relative(bound + width - high, bound).min(relative(low - bound + width, bound))
        }
    }
}
