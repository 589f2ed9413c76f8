//! How a run ends.

use crate::report::{DataState, Report, Verdict};

/// How a run ends, with its exit code. A script can rely on the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All required claims are reproduced or skipped with a reason.
    Reproduced = 0,
    /// A required claim is contradicted.
    Contradicted = 1,
    /// A required claim is inconclusive, and none is contradicted.
    Inconclusive = 2,
    /// The command line is wrong.
    Usage = 3,
    /// A data set is damaged, or absent where the profile needs it.
    Data = 4,
    /// The experiment stopped.
    Crash = 5,
}

impl Exit {
    /// The end of a run that left this report. Wrong data come first: what was measured without
    /// them is not what was asked for.
    pub(super) fn of(report: &Report, absent_data_is_an_error: bool) -> Self {
        let data_are_wrong = report.data.iter().any(|record| match record.state {
            DataState::Verified => false,
            DataState::Absent => absent_data_is_an_error,
            DataState::Damaged => true,
        });
        let any_required = |verdict| {
            let mut required = report.claims.iter().filter(|claim| claim.required);
            required.any(|claim| claim.verdict == verdict)
        };
        if data_are_wrong {
            Self::Data
        } else if any_required(Verdict::Contradicted) {
            Self::Contradicted
        } else if any_required(Verdict::Inconclusive) {
            Self::Inconclusive
        } else {
            Self::Reproduced
        }
    }
}
