//! What stops an experiment.

use std::error::Error;
use std::fmt;

use crate::cli::Failure;

/// An error that stops an experiment: any error of a system, with what was being done.
///
/// `?` turns every error into one. For that, this type is not an [`Error`] itself.
pub struct ExperimentError {
    doing: Option<String>,
    source: Box<dyn Error + Send + Sync>,
}

impl ExperimentError {
    /// An error from a text or from a boxed error.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            doing: None,
            source: source.into(),
        }
    }

    /// The error with what was being done when it arose.
    #[must_use]
    pub fn while_doing(self, doing: impl Into<String>) -> Self {
        Self {
            doing: Some(match self.doing {
                None => doing.into(),
                Some(inner) => format!("{}: {inner}", doing.into()),
            }),
            source: self.source,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ExperimentError {
    fn from(source: E) -> Self {
        Self::new(source)
    }
}

/// An experiment that stops has a mistake, or meets one in what it uses.
impl From<ExperimentError> for Failure {
    fn from(error: ExperimentError) -> Self {
        // The text holds the causes.
        Self::internal(error.to_string())
    }
}

impl fmt::Display for ExperimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(doing) = &self.doing {
            write!(f, "{doing}: ")?;
        }
        write!(f, "{}", self.source)?;
        let mut shown = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(inner) = cause {
            // Some errors repeat their source in their own text.
            let text = inner.to_string();
            if !shown.contains(&text) {
                write!(f, ": {text}")?;
            }
            shown = text;
            cause = inner.source();
        }
        Ok(())
    }
}

impl fmt::Debug for ExperimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
