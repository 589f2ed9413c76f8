//! How long and how fast a training runs.

use candle_core::Tensor;
use septet_core::nn::{Adam, CheckpointFile, Decay, Parameters, Schedule, Step};

use super::TrainError;

/// How long and how fast a training runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The number of steps.
    pub steps: u64,
    /// Examples, or groups of examples, of a step.
    pub batch_size: usize,
    /// The full learning rate, a positive number.
    pub learning_rate: f64,
    /// How the learning rate changes from step to step.
    pub schedule: Schedule,
    /// The constants of Adam.
    pub optimizer: Adam,
    /// Where the state of the training is kept; a training that finds the file continues from it, and
    /// ends with the same bits as without the interruption.
    pub checkpoint: Option<CheckpointFile>,
}

impl Fit {
    /// A training of `steps` steps of Adam, with a warm-up of up to 100 steps and a decay to zero along
    /// half a cosine, without a checkpoint.
    #[must_use]
    pub fn new(steps: u64, batch_size: usize, learning_rate: f64) -> Self {
        let warm_up = (steps / 10).min(100);
        Self {
            steps,
            batch_size,
            learning_rate,
            schedule: Schedule {
                warm_up,
                decay: Decay::Cosine {
                    steps: steps - warm_up,
                    floor: 0.0,
                },
            },
            optimizer: Adam::default(),
            checkpoint: None,
        }
    }

    /// One step of this training, with the optimizer's constants replaced.
    pub(super) fn step_with(&self, optimizer: Adam) -> Step {
        Step::new(optimizer, self.learning_rate).schedule(self.schedule)
    }

    /// Takes all steps; `loss` gives the loss of a step under the newest parameters.
    pub(super) fn run(
        &self,
        parameters: &Parameters,
        loss: impl FnMut(u64) -> Result<Tensor, TrainError>,
    ) -> Result<(), TrainError> {
        let step = self.step_with(self.optimizer);
        step.run(
            parameters,
            self.steps,
            self.checkpoint.as_ref(),
            loss,
            |_| (),
        )
    }
}
