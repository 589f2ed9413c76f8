//! How a run ends.

use crate::cli::Exit;
use crate::report::{Claim, DataState, Report, Verdict};

/// How a run ends that left this report. Wrong data come first: what was measured without them is not
/// what was requested. Then verdicts that are news, then inconclusive ones.
pub(super) fn exit_of(report: &Report, absent_data_is_an_error: bool) -> Exit {
    let data_are_wrong = report.data.iter().any(|record| match record.state {
        DataState::Verified => false,
        DataState::Absent => absent_data_is_an_error,
        DataState::Damaged => true,
    });
    if data_are_wrong {
        Exit::Data
    } else if report.claims.iter().any(Claim::is_news) {
        Exit::Negative
    } else if report.count(Verdict::Inconclusive) > 0 {
        Exit::Inconclusive
    } else {
        Exit::Success
    }
}
