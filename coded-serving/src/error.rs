//! What can go wrong, and where.

/// A tensor that cannot be.
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
        /// How many values were given.
        found: usize,
    },
    /// The dimensions multiply to more than memory can hold.
    #[error("a tensor of shape {shape:?} has more values than this machine can address")]
    TooLarge {
        /// The dimensions.
        shape: Vec<usize>,
    },
}

/// A code that cannot be made, or a group that cannot be coded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// A parameter is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        argument: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The tensors of a group differ in shape.
    #[error("the group has tensors of shape {first:?} and {other:?}")]
    Shapes {
        /// The shape of the first.
        first: Vec<usize>,
        /// A shape that differs from it.
        other: Vec<usize>,
    },
    /// A tensor has a value that is not a finite number; a sum with it would spoil the whole group.
    #[error("{what} {index} has a value that is not finite")]
    NotFinite {
        /// `query` or `output`.
        what: &'static str,
        /// Its place in the group, or its slot.
        index: usize,
    },
    /// All tensors are finite, and their weighted sum exceeds the largest number.
    #[error("a sum of {what} values is too large for a number of 32 bits")]
    Overflow {
        /// `query` or `output`.
        what: &'static str,
    },
    /// Too little has arrived to tell what is missing.
    #[error("{missing} answers are missing, and {received} outputs that could tell them arrived")]
    Unrecoverable {
        /// Answers that were asked for and have not arrived.
        missing: usize,
        /// Outputs that arrived and could help.
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
