//! Why a stream cannot be read further.

use std::io;

use septet_core::io::{Position, ReadError, Unexpected};

use crate::error::SketchError;

/// An error of a decoder; [`Records`](super::Records) adds the format and the file.
#[derive(Debug)]
pub(super) enum Failure {
    Unexpected(Unexpected),
    Read(io::Error),
    Other(SketchError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Unexpected> for Failure {
    fn from(unexpected: Unexpected) -> Self {
        Self::Unexpected(unexpected)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Read(error),
            ReadError::Unexpected(unexpected) => Self::Unexpected(unexpected),
        }
    }
}

impl Failure {
    /// What was expected and what was found at a position.
    #[cold]
    pub(super) fn at(
        position: Position,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Unexpected(Unexpected {
            position,
            expected: expected.into(),
            found: found.into(),
        })
    }
}

/// An unsigned decimal number; `None` if the text is not one or exceeds 64 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}
