//! Stochastic gradient descent.

use super::{Optimizer, State, gradient};
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
        let mut next = State {
            steps: state.steps + 1,
            moments: TensorMap::new(),
        };
        let mut values = TensorMap::new();
        for (name, value) in weights.tensors() {
            let value = value.detach();
            let mut direction = gradient(gradients, name)?.detach();
            if self.weight_decay != 0.0 {
                direction = (direction + value.affine(self.weight_decay, 0.0)?)?;
            }
            if self.momentum != 0.0 {
                let velocity = state.moment(VELOCITY, name, &value)?;
                let velocity = (velocity.affine(self.momentum, 0.0)? + &direction)?;
                direction = if self.nesterov {
                    (direction + velocity.affine(self.momentum, 0.0)?)?
                } else {
                    velocity.clone()
                };
                next.moments.insert(format!("{VELOCITY}/{name}"), velocity);
            }
            values.insert(name.clone(), (value - direction.affine(rate, 0.0)?)?);
        }
        Ok((Weights::new(values)?, next))
    }
}
