//! Optimizers as functions: values, gradients and state in, new values and new state out.
//!
//! Nothing is changed in place, so that several versions of a model can live beside each other,
//! and the state is a value that can be stored and read back.

mod adam;
mod sgd;
#[cfg(test)]
mod tests;

use candle_core::Tensor;
use std::collections::BTreeMap;

pub use adam::Adam;
pub use sgd::Sgd;

use super::{NnError, TensorMap, Weights};

/// A rule that turns gradients into a step.
pub trait Optimizer: Send + Sync {
    /// One step with the learning rate `rate`: the new snapshot of all parameters and the new
    /// state. `weights` stays as it is. `state` is [`State::default`] before the first step.
    ///
    /// # Errors
    /// [`NnError::Absent`] when a parameter has no gradient, or when `state` stems from steps
    /// of other parameters; candle's error when shapes disagree.
    fn step(
        &self,
        rate: f64,
        weights: &Weights,
        gradients: &TensorMap,
        state: &State,
    ) -> Result<(Weights, State), NnError>;
}

/// What an optimizer remembers between steps.
#[derive(Clone, Debug, Default)]
pub struct State {
    steps: u64,
    /// The moments of the parameter `name` are called `<moment>/<name>`.
    moments: TensorMap,
}

impl State {
    /// How many steps were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state after `steps` steps with these moments, named `<moment>/<parameter>`.
    pub(super) fn from_parts(steps: u64, moments: TensorMap) -> Self {
        Self { steps, moments }
    }

    /// The moments, named `<moment>/<parameter>`.
    pub(super) fn moments(&self) -> &TensorMap {
        &self.moments
    }

    /// The moment of a parameter: zeros before the first step.
    fn moment(&self, moment: &str, name: &str, like: &Tensor) -> Result<Tensor, NnError> {
        let key = format!("{moment}/{name}");
        match self.moments.get(&key) {
            Some(value) => Ok(value.clone()),
            None if self.steps == 0 => Ok(like.zeros_like()?),
            None => Err(NnError::Absent {
                set: "moments",
                name: key,
            }),
        }
    }
}

/// The gradient of a parameter, for which there must be one.
fn gradient<'a>(gradients: &'a TensorMap, name: &str) -> Result<&'a Tensor, NnError> {
    gradients.get(name).ok_or_else(|| NnError::Absent {
        set: "gradients",
        name: name.to_owned(),
    })
}

/// All gradients, scaled so that the square root of the sum of all their squares is at most
/// `bound`, and that norm before scaling.
///
/// The sum goes over the tensors in the order of their names, in f64: the same in every run. As in
/// PyTorch's `clip_grad_norm_`, the factor is `bound / (norm + 1e-6)`.
///
/// # Errors
/// Those of candle, for tensors that are not of a floating-point type.
pub fn clip_by_global_norm(gradients: &TensorMap, bound: f64) -> Result<(TensorMap, f64), NnError> {
    let mut squares = 0.0;
    for gradient in gradients.values() {
        squares += gradient
            .to_dtype(candle_core::DType::F64)?
            .sqr()?
            .sum_all()?
            .to_scalar::<f64>()?;
    }
    let norm = squares.sqrt();
    let factor = bound / (norm + 1e-6);
    if factor >= 1.0 {
        return Ok((gradients.clone(), norm));
    }
    let clipped = gradients
        .iter()
        .map(|(name, gradient)| Ok((name.clone(), gradient.affine(factor, 0.0)?)))
        .collect::<candle_core::Result<BTreeMap<_, _>>>()?;
    Ok((clipped, norm))
}
