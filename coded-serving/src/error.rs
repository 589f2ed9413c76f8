//! Errors of tensors and codes.

/// A shape that no tensor can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The number of values is not the product of the dimensions.
    #[error("a tensor of shape {shape:?} has {expected} values, found {found}")]
    Length {
        /// The dimensions.
        shape: Vec<usize>,
        /// Their product.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// The product of the dimensions overflows.
    #[error("a tensor of shape {shape:?} has more values than can be addressed")]
    TooLarge {
        /// The dimensions.
        shape: Vec<usize>,
    },
}

/// Why a code cannot be built, or a group not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// A parameter is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        argument: &'static str,
        /// The allowed range.
        expected: String,
        /// The value.
        found: String,
    },
    /// The tensors of a group differ in shape.
    #[error("the group has tensors of shape {first:?} and {other:?}")]
    Shapes {
        /// The shape of the first tensor.
        first: Vec<usize>,
        /// A shape that differs from it.
        other: Vec<usize>,
    },
    /// A tensor has a value that is not finite; a sum with it would be useless for the whole group.
    #[error("{what} {index} has a value that is not finite")]
    NotFinite {
        /// `query` or `output`.
        what: &'static str,
        /// The index of the query in the group, or the slot of the output.
        index: usize,
    },
    /// All tensors are finite, but their weighted sum is not.
    #[error("a weighted sum of {what} values overflows 32-bit floats")]
    Overflow {
        /// `query` or `output`.
        what: &'static str,
    },
    /// Too few outputs arrived to decode the missing answers.
    #[error(
        "{missing} answers are missing, and only {received} outputs arrived to decode them from"
    )]
    Unrecoverable {
        /// Requested answers that have not arrived.
        missing: usize,
        /// Outputs that arrived and help to decode them.
        received: usize,
    },
}

impl CodeError {
    /// A parameter outside its range.
    pub(crate) fn parameter(
        argument: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Parameter {
            argument,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
