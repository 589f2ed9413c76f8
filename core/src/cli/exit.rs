//! How a program ends.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// How a program ends. Scripts rely on the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Done, and the verdict is negative: a claim is contradicted, reports are manipulated.
    Negative = 1,
    /// Done, without a verdict.
    Inconclusive = 2,
    /// The arguments are wrong.
    Usage = 3,
    /// A file or data set is missing or damaged, or a file cannot be written.
    Data = 4,
    /// The program has a bug.
    Internal = 5,
    /// The user interrupted the program.
    Interrupted = 130,
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Self::Success
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with the class that decides the exit code.
///
/// It wraps the error, which keeps its text and its causes. As the argument of `anyhow`'s `context`
/// its class is not found.
///
/// ```
/// use septet_core::cli::Failure;
///
/// fn percent(text: &str) -> anyhow::Result<u8> {
///     let percent: u8 = text.parse().map_err(Failure::usage)?;
///     if percent > 100 {
///         return Err(Failure::usage(format!("expected at most 100, found {percent}")).into());
///     }
///     Ok(percent)
/// }
/// assert!(percent("101").unwrap_err().is::<Failure>());
/// ```
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// Wrong arguments, which clap could not know to be wrong.
    #[must_use]
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Usage, error)
    }

    /// Missing or damaged data.
    #[must_use]
    pub fn data(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Data, error)
    }

    /// A bug: something that no user can cause.
    #[must_use]
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Internal, error)
    }

    /// An error that ends the program in this way.
    #[must_use]
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
