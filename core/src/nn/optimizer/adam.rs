//! Adam and AdamW.

use candle_core::Tensor;

use super::{Optimizer, State, gradient, moment, variable};
use crate::nn::operation::{Float, by_type, with_elements};
use crate::nn::vector::map;
use crate::nn::{NnError, TensorMap, Weights};

/// Adam (Kingma and Ba, ICLR 2015, algorithm 1) and AdamW (Loshchilov and Hutter, ICLR 2019,
/// algorithm 2), in PyTorch's form. With gradient `g`, value `p`, moments `m` and `v` at step `t`:
///
/// ```text
/// decoupled:  p <- p (1 - rate weight_decay)      otherwise:  g <- g + weight_decay p
/// m <- beta1 m + (1 - beta1) g
/// v <- beta2 v + (1 - beta2) g^2
/// p <- p - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, in `[0, 1)`.
    pub beta2: f64,
    /// Keeps the division finite.
    pub epsilon: f64,
    /// How strongly parameters are drawn to zero.
    pub weight_decay: f64,
    /// Whether the decay acts on the value (AdamW) or is added to the gradient (Adam).
    pub decoupled: bool,
}

impl Default for Adam {
    /// Adam with the constants of the paper, without decay.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
        }
    }
}

impl Adam {
    /// AdamW: Adam with decoupled weight decay.
    #[must_use]
    pub fn decoupled(weight_decay: f64) -> Self {
        Self {
            weight_decay,
            decoupled: true,
            ..Self::default()
        }
    }
}

/// The decaying mean of gradients.
const FIRST: &str = "first_moment";
/// The decaying mean of squared gradients.
const SECOND: &str = "second_moment";

impl Optimizer for Adam {
    fn step(
        &self,
        rate: f64,
        weights: &Weights,
        gradients: &TensorMap,
        state: &State,
    ) -> Result<(Weights, State), NnError> {
        let mut next = state.next();
        // The bias corrections become two factors: sqrt(v / (1 - beta2^t)) = root sqrt(v).
        let unbias = |beta: f64| 1.0 - beta.powf(next.steps as f64);
        let constants = Constants {
            shrink: if self.decoupled {
                1.0 - rate * self.weight_decay
            } else {
                1.0
            },
            rate: rate / unbias(self.beta1),
            root: unbias(self.beta2).sqrt().recip(),
        };
        let mut values = TensorMap::new();
        for (name, value) in weights.tensors() {
            // Each parameter by itself: its value and both moments in one pass over the memory.
            let grad = gradient(gradients, name, value)?;
            let first = state.moment(FIRST, name, value)?;
            let second = state.moment(SECOND, name, value)?;
            let (value, first, second) = by_type!(
                "adam",
                value.dtype(),
                update(self, &constants, [value, grad, &first, &second])
            )?;
            values.insert(name.clone(), value);
            next.moments.insert(format!("{FIRST}/{name}"), first);
            next.moments.insert(format!("{SECOND}/{name}"), second);
        }
        Ok((Weights::from_variables(values), next))
    }
}

/// What is the same for all parameters of a step.
struct Constants {
    /// What a value is multiplied by before the step.
    shrink: f64,
    /// The learning rate, with the bias of the first moment taken out.
    rate: f64,
    /// What takes the bias out of the root of the second moment.
    root: f64,
}

/// The new value and moments, in one pass.
fn update<T: Float>(
    adam: &Adam,
    constants: &Constants,
    tensors: [&Tensor; 4],
) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
    // Constants in the type of the tensors, copied into the loop so that it vectorizes.
    let [beta1, beta2, epsilon] = [adam.beta1, adam.beta2, adam.epsilon].map(T::from_f64);
    let (rest1, rest2) = (T::from_f64(1.0 - adam.beta1), T::from_f64(1.0 - adam.beta2));
    let decay = T::from_f64(if adam.decoupled {
        0.0
    } else {
        adam.weight_decay
    });
    let [shrink, rate, root] = [constants.shrink, constants.rate, constants.root].map(T::from_f64);
    let results = with_elements(tensors, |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [value, grad, first, second]: [T; 4]| {
                let grad = grad + decay * value;
                let first = beta1 * first + rest1 * grad;
                let second = beta2 * second + rest2 * (grad * grad);
                // m / (1 - beta1^t) is in the rate.
                let step = first / (second.sqrt() * root + epsilon);
                [value * shrink - rate * step, first, second]
            },
        ))
    })?;
    let [value, first, second] = results;
    let like = tensors[0];
    Ok((
        variable(value, like)?,
        moment(first, like)?,
        moment(second, like)?,
    ))
}
