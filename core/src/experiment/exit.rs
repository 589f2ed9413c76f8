//! How a run ends.

use crate::report::{Claim, DataState, Report, Verdict};

/// How a run ends, with its exit code. A script can rely on the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every claim is reproduced, skipped with a reason, or contradicted as the list of known
    /// contradictions says.
    Reproduced = 0,
    /// A claim is contradicted that is not on that list, or one on the list is not contradicted.
    Contradicted = 1,
    /// A claim is inconclusive, and no verdict is news.
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
        if data_are_wrong {
            Self::Data
        } else if report.claims.iter().any(Claim::is_news) {
            Self::Contradicted
        } else if report.count(Verdict::Inconclusive) > 0 {
            Self::Inconclusive
        } else {
            Self::Reproduced
        }
    }
}
