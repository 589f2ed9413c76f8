//! The loop of every training.

use candle_core::Tensor;
use septet_core::nn::{Adam, Decay, Optimizer, Parameters, Schedule, State};

use super::TrainError;

/// How long and how fast a training runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Steps.
    pub steps: u64,
    /// Examples, or groups of examples, of a step.
    pub batch: usize,
    /// The full learning rate.
    pub rate: f64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// The constants of Adam.
    pub optimizer: Adam,
}

impl Fit {
    /// So many steps of Adam, with a warm-up of up to 100 steps and a fall to zero along half a
    /// cosine.
    #[must_use]
    pub fn new(steps: u64, batch: usize, rate: f64) -> Self {
        let warm_up = (steps / 10).min(100);
        Self {
            steps,
            batch,
            rate,
            schedule: Schedule {
                warm_up,
                decay: Decay::Cosine {
                    steps: steps - warm_up,
                    floor: 0.0,
                },
            },
            optimizer: Adam::default(),
        }
    }

    /// Takes all steps on the loss of each.
    pub(super) fn run(
        &self,
        parameters: &Parameters,
        mut loss: impl FnMut(u64) -> Result<Tensor, TrainError>,
    ) -> Result<(), TrainError> {
        let mut state = State::default();
        for step in 0..self.steps {
            state = self.step(parameters, &state, step, &loss(step)?)?;
        }
        Ok(())
    }

    /// One step.
    pub(super) fn step(
        &self,
        parameters: &Parameters,
        state: &State,
        step: u64,
        loss: &Tensor,
    ) -> Result<State, TrainError> {
        let value = loss.to_scalar::<f32>()?;
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, loss: value });
        }
        let gradients = parameters.gradients(loss)?;
        let rate = self.schedule.rate(self.rate, step);
        let (values, next) = self
            .optimizer
            .step(rate, &parameters.values(), &gradients, state)?;
        parameters.assign(&values)?;
        Ok(next)
    }
}
