//! How a command ended, as the exit code that the README promises.

use std::process::{ExitCode, ExitStatus};

/// The end of a command, from best to worst: the worst one is the exit code of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// No claim's verdict is news, or the command did what it was asked.
    Success,
    /// Some claim's interval straddles its bound.
    Inconclusive,
    /// Some claim is contradicted that is not known to be, or a check of `ci` or `doctor` failed.
    Failure,
    /// A file is missing or damaged; the message holds the command that fixes it.
    DataMissing,
    /// The arguments make no sense, or name what does not exist.
    Usage,
    /// An internal error.
    Crash,
    /// The user stopped the run (Ctrl-C).
    Interrupted,
}

/// What a shell expects of a program that ended on Ctrl-C: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

impl Outcome {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Inconclusive => 2,
            Self::Usage => 3,
            Self::DataMissing => 4,
            Self::Crash => 5,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// Whether a run of an experiment that ended so has left a report.
    pub(crate) fn has_report(self) -> bool {
        matches!(self, Self::Success | Self::Inconclusive | Self::Failure)
    }

    /// The outcome of a system's program. A code that the programs do not use (a panic's 101, a
    /// signal) is a crash.
    pub(crate) fn of_program(status: ExitStatus) -> Self {
        if interrupted(status) {
            return Self::Interrupted;
        }
        match status.code() {
            Some(0) => Self::Success,
            Some(1) => Self::Failure,
            Some(2) => Self::Inconclusive,
            Some(3) => Self::Usage,
            Some(4) => Self::DataMissing,
            _ => Self::Crash,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

#[cfg(unix)]
fn interrupted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const SIGINT: i32 = 2;
    status.signal() == Some(SIGINT) || status.code() == Some(i32::from(INTERRUPTED))
}

#[cfg(not(unix))]
fn interrupted(status: ExitStatus) -> bool {
    const STATUS_CONTROL_C_EXIT: i32 = 0xC000_013A_u32 as i32;
    [STATUS_CONTROL_C_EXIT, i32::from(INTERRUPTED)]
        .map(Some)
        .contains(&status.code())
}

/// An error together with the exit code it deserves.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) outcome: Outcome,
    pub(crate) source: anyhow::Error,
}

impl CommandError {
    pub(crate) fn new(outcome: Outcome, source: impl Into<anyhow::Error>) -> Self {
        Self {
            outcome,
            source: source.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Outcome::Usage, anyhow::Error::msg(message.into()))
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(source: anyhow::Error) -> Self {
        Self::new(Outcome::Crash, source)
    }
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
            assert_eq!(i32::from(Outcome::of_program(exited(code)).code()), code);
        }
    }

    #[test]
    fn panics_signals_and_foreign_codes_are_crashes() {
        const SIGSEGV: i32 = 11;
        assert_eq!(Outcome::of_program(exited(101)), Outcome::Crash);
        assert_eq!(Outcome::of_program(exited(77)), Outcome::Crash);
        assert_eq!(
            Outcome::of_program(ExitStatus::from_raw(SIGSEGV)),
            Outcome::Crash
        );
    }

    #[test]
    fn control_c_is_told_apart_from_a_crash() {
        const SIGINT: i32 = 2;
        assert_eq!(
            Outcome::of_program(ExitStatus::from_raw(SIGINT)),
            Outcome::Interrupted
        );
        assert_eq!(Outcome::of_program(exited(130)), Outcome::Interrupted);
    }

    #[test]
    fn a_contradiction_is_worse_than_doubt_and_a_crash_worse_than_both() {
        let worst = [
            Outcome::Inconclusive,
            Outcome::Crash,
            Outcome::Success,
            Outcome::Failure,
        ]
        .into_iter()
        .max();
        assert_eq!(worst, Some(Outcome::Crash));
        assert!(Outcome::Failure > Outcome::Inconclusive);
    }
}
