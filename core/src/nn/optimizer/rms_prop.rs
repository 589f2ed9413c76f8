//! Root mean square propagation.

use candle_core::Tensor;

use super::{Optimizer, State, gradient, moment, variable};
use crate::nn::operation::{Float, by_type, with_elements};
use crate::nn::vector::map;
use crate::nn::{NnError, TensorMap, Weights};

/// Root mean square propagation (Tieleman and Hinton, lecture 6.5, 2012) in PyTorch's form. With
/// gradient `g`, value `p`, decaying mean of squares `v`, and with a momentum the velocity `b`:
///
/// ```text
/// g <- g + weight_decay p
/// v <- alpha v + (1 - alpha) g^2
/// b <- momentum b + g / (sqrt(v) + epsilon)
/// p <- p - rate b
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Decay of the mean of squared gradients, in `[0, 1)`.
    pub alpha: f64,
    /// Keeps the division finite.
    pub epsilon: f64,
    /// How much of the last velocity stays, in `[0, 1)`.
    pub momentum: f64,
    /// The factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    /// PyTorch's constants: `alpha` 0.99, `epsilon` 1e-8, neither momentum nor decay.
    fn default() -> Self {
        Self {
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }
}

/// The decaying mean of squared gradients.
const SECOND: &str = "second_moment";
/// The running sum of steps.
const VELOCITY: &str = "velocity";

impl Optimizer for RmsProp {
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
            let second = state.moment(SECOND, name, value)?;
            // Without momentum there is no velocity to keep.
            let (value, second) = if self.momentum == 0.0 {
                let tensors = [value, grad, &second];
                by_type!("rms_prop", value.dtype(), descend(self, rate, tensors))?
            } else {
                let velocity = state.moment(VELOCITY, name, value)?;
                let tensors = [value, grad, &second, &velocity];
                let (value, second, velocity) =
                    by_type!("rms_prop", value.dtype(), accelerate(self, rate, tensors))?;
                next.moments.insert(format!("{VELOCITY}/{name}"), velocity);
                (value, second)
            };
            values.insert(name.clone(), value);
            next.moments.insert(format!("{SECOND}/{name}"), second);
        }
        Ok((Weights::from_variables(values), next))
    }
}

impl RmsProp {
    /// Decay and mean of squares as a function of numbers: the scaled gradient and the new mean.
    #[inline(always)]
    fn scaled<T: Float>(&self) -> impl Fn(T, T, T) -> (T, T) + use<T> {
        let (alpha, rest) = (T::from_f64(self.alpha), T::from_f64(1.0 - self.alpha));
        let (decay, epsilon) = (T::from_f64(self.weight_decay), T::from_f64(self.epsilon));
        #[inline(always)]
        move |value, grad, second| {
            let grad = grad + decay * value;
            let second = alpha * second + rest * (grad * grad);
            (grad / (second.sqrt() + epsilon), second)
        }
    }
}

/// A step without momentum: the new value and mean of squares, in one pass.
fn descend<T: Float>(
    optimizer: &RmsProp,
    rate: f64,
    tensors: [&Tensor; 3],
) -> candle_core::Result<(Tensor, Tensor)> {
    let (rate, scaled) = (T::from_f64(rate), optimizer.scaled::<T>());
    let [value, second] = with_elements(tensors, |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [value, grad, second]: [T; 3]| {
                let (step, second) = scaled(value, grad, second);
                [value - rate * step, second]
            },
        ))
    })?;
    Ok((variable(value, tensors[0])?, moment(second, tensors[0])?))
}

/// A step with momentum: the new value, mean of squares and velocity, in one pass.
fn accelerate<T: Float>(
    optimizer: &RmsProp,
    rate: f64,
    tensors: [&Tensor; 4],
) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
    let (rate, momentum) = (T::from_f64(rate), T::from_f64(optimizer.momentum));
    let scaled = optimizer.scaled::<T>();
    let [value, second, velocity] = with_elements(tensors, |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [value, grad, second, velocity]: [T; 4]| {
                let (step, second) = scaled(value, grad, second);
                let velocity = momentum * velocity + step;
                [value - rate * velocity, second, velocity]
            },
        ))
    })?;
    Ok((
        variable(value, tensors[0])?,
        moment(second, tensors[0])?,
        moment(velocity, tensors[0])?,
    ))
}
