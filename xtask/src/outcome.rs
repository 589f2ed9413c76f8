//! How the programs that the runner starts end.

use std::process::ExitStatus;

use septet_core::cli::Exit;

/// All ends, from best to worst.
const RANKING: [Exit; 7] = [
    Exit::Success,
    Exit::Inconclusive,
    Exit::Negative,
    Exit::Data,
    Exit::Usage,
    Exit::Internal,
    Exit::Interrupted,
];

/// The worse of two ends, which is that of both programs together.
pub(crate) fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: &Exit| RANKING.iter().position(|ranked| ranked == exit);
    std::cmp::max_by_key(one, other, rank)
}

/// Whether a run of an experiment that ended so has left a report.
pub(crate) fn has_report(exit: Exit) -> bool {
    matches!(exit, Exit::Success | Exit::Inconclusive | Exit::Negative)
}

/// The end of a system's program. A code that the programs do not use (a signal) is an internal
/// error.
pub(crate) fn of_program(status: ExitStatus) -> Exit {
    if interrupted(status) {
        return Exit::Interrupted;
    }
    let code = status.code();
    let same_code = |exit: &Exit| Some(i32::from(exit.code())) == code;
    let known = RANKING.into_iter().find(same_code);
    known.unwrap_or(Exit::Internal)
}

#[cfg(unix)]
fn interrupted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const SIGINT: i32 = 2;
    // The program ended by the signal itself, without a handler that exits with 130.
    status.signal() == Some(SIGINT)
}

#[cfg(not(unix))]
fn interrupted(status: ExitStatus) -> bool {
    const STATUS_CONTROL_C_EXIT: i32 = 0xC000_013A_u32 as i32;
    status.code() == Some(STATUS_CONTROL_C_EXIT)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// The wait status of a process that exited by itself with this code.
    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn the_codes_of_the_programs_pass_through() {
        for code in 0..=5 {
            assert_eq!(i32::from(of_program(exited(code)).code()), code);
        }
    }

    #[test]
    fn panics_signals_and_foreign_codes_are_crashes() {
        const SIGSEGV: i32 = 11;
        assert_eq!(of_program(exited(101)), Exit::Internal);
        assert_eq!(of_program(exited(77)), Exit::Internal);
        assert_eq!(of_program(ExitStatus::from_raw(SIGSEGV)), Exit::Internal);
    }

    #[test]
    fn control_c_is_told_apart_from_a_crash() {
        const SIGINT: i32 = 2;
        assert_eq!(of_program(ExitStatus::from_raw(SIGINT)), Exit::Interrupted);
        assert_eq!(of_program(exited(130)), Exit::Interrupted);
    }

    #[test]
    fn a_contradiction_is_worse_than_doubt_and_a_crash_worse_than_both() {
        let outcomes = [
            Exit::Inconclusive,
            Exit::Internal,
            Exit::Success,
            Exit::Negative,
        ];
        let worst = outcomes.into_iter().fold(Exit::Success, worse);
        assert_eq!(worst, Exit::Internal);
        assert_eq!(worse(Exit::Negative, Exit::Inconclusive), Exit::Negative);
    }
}
