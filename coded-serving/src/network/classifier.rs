//! Invertible networks with an affine head.

use super::{Batch, Bijection, Coupling, Dense, NetworkError, Tensors};
use crate::tensor::Tensor;

/// A bijection `f` with an affine head `g`: the outputs are `g(f(x))`.
///
/// Since the head is affine and the weights of a parity sum to 1, outputs can be decoded instead of latents:
/// workers return one value per class, not one per input.
#[derive(Clone, Debug, PartialEq)]
pub struct InvertibleClassifier<F> {
    bijection: F,
    head: Dense,
}

impl<F: Bijection> InvertibleClassifier<F> {
    /// A classifier from its parts.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`] when the inputs of the head differ in number from the latents.
    pub fn new(bijection: F, head: Dense) -> Result<Self, NetworkError> {
        // A bijection has as many latents as inputs.
        if head.inputs() != bijection.width() {
            return Err(NetworkError::Width {
                layer: "head".to_owned(),
                expected: head.inputs(),
                found: bijection.width(),
            });
        }
        Ok(Self { bijection, head })
    }

    /// The bijection.
    #[must_use]
    pub fn bijection(&self) -> &F {
        &self.bijection
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Dense {
        &self.head
    }

    /// The latents of a batch.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn latents(&self, x: &Batch) -> Result<Batch, NetworkError> {
        self.bijection.forward(x)
    }

    /// The outputs for latents.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn answers_of(&self, latents: &Batch) -> Result<Batch, NetworkError> {
        self.head.forward("head", latents)
    }

    /// The outputs for a batch.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn forward(&self, x: &Batch) -> Result<Batch, NetworkError> {
        self.answers_of(&self.latents(x)?)
    }

    /// The output for one query. Its shape is ignored.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn answer(&self, query: &Tensor) -> Result<Tensor, NetworkError> {
        let x = super::batch(query.values(), self.bijection.width())?;
        Ok(Tensor::vector(self.forward(&x)?.as_slice().to_vec()))
    }

    /// Multiply-adds for one query.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.bijection.operations() + self.head.operations()
    }
}

impl InvertibleClassifier<Coupling> {
    /// Reads the tensors that [`to_tensors`](Self::to_tensors) returns.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or has the wrong shape.
    pub fn from_tensors(tensors: &Tensors) -> Result<Self, NetworkError> {
        let bijection = Coupling::from_tensors(tensors, "")?;
        Self::new(bijection, Dense::from_tensors(tensors, "head")?)
    }

    /// The parameters by name.
    #[must_use]
    pub fn to_tensors(&self) -> Tensors {
        let mut tensors = Tensors::default();
        self.bijection.insert_into(&mut tensors, "");
        self.head.insert_into(&mut tensors, "head");
        tensors
    }
}
