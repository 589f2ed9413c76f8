//! Adam and AdamW.

use super::{Optimizer, State, gradient};
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
const MEAN: &str = "mean";
/// The decaying mean of squared gradients.
const SQUARE: &str = "square";

impl Optimizer for Adam {
    fn step(
        &self,
        rate: f64,
        weights: &Weights,
        gradients: &TensorMap,
        state: &State,
    ) -> Result<(Weights, State), NnError> {
        let steps = state.steps + 1;
        let mut next = State {
            steps,
            moments: TensorMap::new(),
        };
        let unbias = |beta: f64| 1.0 / (1.0 - beta.powf(steps as f64));
        let mut values = TensorMap::new();
        for (name, value) in weights.tensors() {
            let mut value = value.detach();
            let mut slope = gradient(gradients, name)?.detach();
            if self.weight_decay != 0.0 {
                if self.decoupled {
                    value = value.affine(1.0 - rate * self.weight_decay, 0.0)?;
                } else {
                    slope = (slope + value.affine(self.weight_decay, 0.0)?)?;
                }
            }
            let mean = state.moment(MEAN, name, &value)?;
            let mean = (mean.affine(self.beta1, 0.0)? + slope.affine(1.0 - self.beta1, 0.0)?)?;
            let square = state.moment(SQUARE, name, &value)?;
            let square =
                (square.affine(self.beta2, 0.0)? + slope.sqr()?.affine(1.0 - self.beta2, 0.0)?)?;
            let scale = square
                .affine(unbias(self.beta2), 0.0)?
                .sqrt()?
                .affine(1.0, self.epsilon)?;
            let step = (&mean / scale)?.affine(rate * unbias(self.beta1), 0.0)?;
            values.insert(name.clone(), (value - step)?);
            next.moments.insert(format!("{MEAN}/{name}"), mean);
            next.moments.insert(format!("{SQUARE}/{name}"), square);
        }
        Ok((Weights::new(values)?, next))
    }
}
