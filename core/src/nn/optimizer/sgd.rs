//! Stochastic gradient descent.

use candle_core::Tensor;

use super::{Optimizer, State, gradient, moment, variable};
use crate::nn::operation::{Float, by_type, with_elements};
use crate::nn::vector::map;
use crate::nn::{NnError, TensorMap, Weights};

/// Stochastic gradient descent with momentum, Nesterov's look-ahead and weight decay, in PyTorch's
/// form (`torch.optim.SGD` without dampening). With gradient `g`, value `p` and velocity `b`:
///
/// ```text
/// g <- g + weight_decay p
/// b <- momentum b + g
/// p <- p - rate (nesterov ? g + momentum b : b)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// How much of the last velocity stays, in `[0, 1)`; 0 is plain descent.
    pub momentum: f64,
    /// Whether to look ahead along the velocity (Nesterov; Sutskever et al. 2013).
    pub nesterov: bool,
    /// The factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

/// The running sum of gradients.
const VELOCITY: &str = "velocity";

impl Optimizer for Sgd {
    fn step(
        &self,
        rate: f64,
        weights: &Weights,
        gradients: &TensorMap,
        state: &State,
    ) -> Result<(Weights, State), NnError> {
        let mut next = state.next();
        let mut values = TensorMap::new();
        for (name, value) in weights.tensors() {
            let grad = gradient(gradients, name, value)?;
            // Plain descent has no moments.
            if self.momentum == 0.0 {
                let value = by_type!("sgd", value.dtype(), descend(self, rate, [value, grad]))?;
                values.insert(name.clone(), value);
            } else {
                let velocity = state.moment(VELOCITY, name, value)?;
                let (value, velocity) = by_type!(
                    "sgd",
                    value.dtype(),
                    accelerate(self, rate, [value, grad, &velocity])
                )?;
                values.insert(name.clone(), value);
                next.moments.insert(format!("{VELOCITY}/{name}"), velocity);
            }
        }
        Ok((Weights::from_variables(values), next))
    }
}

/// A step without momentum: the new value.
fn descend<T: Float>(sgd: &Sgd, rate: f64, tensors: [&Tensor; 2]) -> candle_core::Result<Tensor> {
    let (rate, decay) = (T::from_f64(rate), T::from_f64(sgd.weight_decay));
    let [value] = with_elements(tensors, |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [value, grad]: [T; 2]| [value - rate * (grad + decay * value)],
        ))
    })?;
    variable(value, tensors[0])
}

/// A step with momentum: the new value and velocity, in one pass.
fn accelerate<T: Float>(
    sgd: &Sgd,
    rate: f64,
    tensors: [&Tensor; 3],
) -> candle_core::Result<(Tensor, Tensor)> {
    let (rate, decay) = (T::from_f64(rate), T::from_f64(sgd.weight_decay));
    let (momentum, nesterov) = (T::from_f64(sgd.momentum), sgd.nesterov);
    let [value, velocity] = with_elements(tensors, |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [value, grad, velocity]: [T; 3]| {
                let grad = grad + decay * value;
                let velocity = momentum * velocity + grad;
                // The look-ahead is the velocity after one more step with the same gradient.
                let direction = if nesterov {
                    grad + momentum * velocity
                } else {
                    velocity
                };
                [value - rate * direction, velocity]
            },
        ))
    })?;
    Ok((variable(value, tensors[0])?, moment(velocity, tensors[0])?))
}
