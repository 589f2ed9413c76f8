//! How long and how fast a training runs.

use candle_core::Tensor;
use septet_core::nn::{Adam, CheckpointFile, Decay, Parameters, Schedule, Step};
use septet_core::seed::SeedTree;

use super::TrainError;
use crate::images::Images;

/// What a network is trained for: with its steps, all that decides the result.
pub(super) struct Goal<'a> {
    /// The kind of training and its options.
    pub(super) kind: String,
    pub(super) seed: &'a SeedTree,
    pub(super) images: &'a Images,
    /// The answers of the base model, or some of them.
    pub(super) answers: &'a [f32],
}

impl Goal<'_> {
    /// What identifies the training of a checkpoint.
    fn parts(&self, step: &Step, batch_size: usize) -> impl Iterator<Item = Vec<u8>> {
        let bytes = |values: &[f32]| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
        let labels = self.images.labels();
        let options = (&self.kind, self.seed, step, batch_size, labels);
        let images = (0..labels.len()).map(move |index| bytes(self.images.image(index)));
        [format!("{options:?}").into_bytes(), bytes(self.answers)]
            .into_iter()
            .chain(images)
    }
}

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
    /// ends with the same bits as without the interruption. The file of a training on other images,
    /// with other options or another seed is an error.
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
        goal: &Goal<'_>,
        loss: impl FnMut(u64) -> Result<Tensor, TrainError>,
    ) -> Result<(), TrainError> {
        let step = self.step_with(self.optimizer);
        let file = self.checkpoint_of(goal, &step);
        step.run(parameters, self.steps, file.as_ref(), loss, |_| ())
    }

    /// The checkpoint's file, bound to what decides the result of this training.
    pub(super) fn checkpoint_of(&self, goal: &Goal<'_>, step: &Step) -> Option<CheckpointFile> {
        let file = self.checkpoint.clone()?;
        Some(file.for_training(goal.parts(step, self.batch_size)))
    }
}
