//! Optimizers as functions: values, gradients and state in, new values and new state out.
//!
//! Nothing is changed in place, so that several versions of a model can live beside each other,
//! and the state is a value that can be stored and read back.

mod adam;
mod clip;
mod rms_prop;
mod sgd;
#[cfg(test)]
mod tests;

use candle_core::{Tensor, Var};

pub use adam::Adam;
pub use clip::{clip_grad_norm, global_norm};
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use super::operation::Float;
use super::{NnError, TensorMap, Weights};

/// A rule that turns gradients into a step.
pub trait Optimizer: Send + Sync {
    /// One step with the learning rate `rate`: the new snapshot of all parameters and the new state.
    /// `weights` stays as it is. `state` is [`State::default`] before the first step.
    ///
    /// # Errors
    /// [`NnError::Absent`] when a parameter has no gradient, or when `state` stems from steps
    /// of other parameters; candle's error when shapes or types disagree, for types other than f32
    /// and f64, and for tensors that are not on the CPU.
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

    /// The state after one more step, still without moments.
    fn next(&self) -> Self {
        Self {
            steps: self.steps + 1,
            moments: TensorMap::new(),
        }
    }

    /// The moment of a parameter: zeros before the first step.
    fn moment(&self, moment: &str, name: &str, like: &Tensor) -> Result<Tensor, NnError> {
        let key = format!("{moment}/{name}");
        match self.moments.get(&key) {
            Some(value) => {
                check(&key, value, like)?;
                Ok(value.clone())
            }
            None if self.steps == 0 => Ok(like.zeros_like()?),
            None => Err(NnError::Absent {
                set: "moments",
                name: key,
            }),
        }
    }
}

/// The gradient of a parameter, which must exist and have its shape and type.
fn gradient<'a>(
    gradients: &'a TensorMap,
    name: &str,
    value: &Tensor,
) -> Result<&'a Tensor, NnError> {
    let gradient = gradients.get(name).ok_or_else(|| NnError::Absent {
        set: "gradients",
        name: name.to_owned(),
    })?;
    check(name, gradient, value)?;
    Ok(gradient)
}

/// An error unless a tensor beside a parameter has its shape and type.
fn check(name: &str, found: &Tensor, value: &Tensor) -> candle_core::Result<()> {
    if found.dims() != value.dims() || found.dtype() != value.dtype() {
        candle_core::bail!(
            "optimizer: `{name}` is {:?} {:?} for a parameter {:?} {:?}",
            found.dtype(),
            found.dims(),
            value.dtype(),
            value.dims()
        );
    }
    Ok(())
}

/// A tensor with the shape of `like` that is outside every graph.
fn moment<T: Float>(values: Vec<T>, like: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}

/// A variable with the shape of `like`, as a tensor.
fn variable<T: Float>(values: Vec<T>, like: &Tensor) -> candle_core::Result<Tensor> {
    Ok(Var::from_vec(values, like.shape(), like.device())?.into_inner())
}
