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

use std::path::Path;

use candle_core::{Device, Tensor, Var};

pub use adam::Adam;
pub use clip::{clip_grad_norm, global_norm};
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use super::operation::Float;
use super::{NnError, TensorMap, file};

/// A rule that turns gradients into a step.
pub trait Optimizer: Send + Sync {
    /// One step with the learning rate `rate`: the new values of all parameters and the new
    /// state. `state` is [`State::default`] before the first step. The new values are variables, in
    /// memory of their own, from which gradients can be taken.
    ///
    /// # Errors
    /// [`NnError::Absent`] when a parameter has no gradient, or when `state` stems from steps
    /// of other parameters; candle's error when shapes or types disagree, for types other than f32
    /// and f64, and for tensors that are not on the CPU.
    fn step(
        &self,
        rate: f64,
        parameters: &TensorMap,
        gradients: &TensorMap,
        state: &State,
    ) -> Result<(TensorMap, State), NnError>;
}

/// What an optimizer remembers between steps.
#[derive(Clone, Debug, Default)]
pub struct State {
    steps: u64,
    /// The moments of the parameter `name` are called `<moment>/<name>`.
    moments: TensorMap,
}

/// The key under which a file keeps the number of steps.
const STEPS: &str = "steps";

impl State {
    /// How many steps were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Writes the state to a safetensors file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`NnError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        let steps = Some((STEPS, self.steps.to_string()));
        file::save(path.as_ref(), &self.moments, steps)
    }

    /// Reads a state that [`State::save`] wrote.
    ///
    /// # Errors
    /// [`NnError::File`], [`NnError::Format`], and [`NnError::Metadata`] when the file
    /// does not say how many steps were taken.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, NnError> {
        let path = path.as_ref();
        let (moments, metadata) = file::load(path, device)?;
        let found = metadata.get(STEPS).map_or("nothing", String::as_str);
        let steps = found.parse().map_err(|_| NnError::Metadata {
            path: path.to_owned(),
            key: STEPS,
            expected: "a number of steps",
            found: found.to_owned(),
        })?;
        Ok(Self { steps, moments })
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
