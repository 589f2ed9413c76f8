//! The loop that fits a network to counts.

use candle_core::{DType, Device, Tensor};
use septet_core::nn::{Adam, CheckpointFile, NnError, Schedule, Step};
use septet_core::seed::SeedTree;

use super::sampler::SampledBatches;
use super::{Loss, Network, Sampler};
use crate::error::SketchError;

/// Fits a network to examples: keys of earlier windows with their counts.
///
/// The defaults are Adam with the learning rate 1e-3, batches of 1 024 and uniform sampling, as in
/// the paper, and 1 000 steps.
#[derive(Clone, Debug)]
pub struct Trainer {
    loss: Loss,
    sampler: Sampler,
    step: Step,
    batch_size: usize,
    length: Length,
    checkpoint: Option<CheckpointFile>,
    seed: SeedTree,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    Steps(u64),
    Epochs(u64),
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps that were taken, from 1.
    pub step: u64,
    /// Steps that will be taken.
    pub steps: u64,
    /// The loss of the last step's batch, before the step.
    pub loss: f64,
}

impl Trainer {
    /// A trainer for this loss. The seed decides which examples each step sees.
    #[must_use]
    pub fn new(loss: Loss, seed: &SeedTree) -> Self {
        Self {
            loss,
            sampler: Sampler::Uniform,
            step: Step::new(Adam::default(), 1e-3),
            batch_size: 1024,
            length: Length::Steps(1000),
            checkpoint: None,
            seed: seed.child("trainer"),
        }
    }

    /// How examples are drawn.
    #[must_use]
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = sampler;
        self
    }

    /// The constants of Adam; the default is that of [`Adam`].
    #[must_use]
    pub fn optimizer(mut self, optimizer: Adam) -> Self {
        self.step = self.step.optimizer(optimizer);
        self
    }

    /// The full learning rate, a positive number.
    #[must_use]
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.step = self.step.learning_rate(rate);
        self
    }

    /// How the learning rate changes from step to step; the default is a constant.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.step = self.step.schedule(schedule);
        self
    }

    /// The number of examples in a step.
    #[must_use]
    pub fn batch_size(mut self, size: usize) -> Self {
        self.batch_size = size;
        self
    }

    /// The number of steps.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.length = Length::Steps(steps);
        self
    }

    /// The number of steps, as passes over the examples; a last batch that is not full is dropped.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.length = Length::Epochs(epochs);
        self
    }

    /// The maximum global norm of the gradients; larger ones are scaled down to it. The default is
    /// no maximum.
    #[must_use]
    pub fn max_gradient_norm(mut self, norm: f64) -> Self {
        self.step = self.step.max_gradient_norm(norm);
        self
    }

    /// Keeps the state of the training in this file, and continues from it when it is there: the
    /// result is the same, bit for bit, as without the interruption. The file of a training with
    /// other examples, options or another seed is an error.
    #[must_use]
    pub fn checkpoint(mut self, file: CheckpointFile) -> Self {
        self.checkpoint = Some(file);
        self
    }

    /// Trains `network` on keys with their counts (a count of 0 is taken as 1), and reports each step
    /// to `progress`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when keys and counts differ in number; [`SketchError::Tensor`] when
    /// there are fewer keys than a batch needs, a parameter gets no gradient, the training diverges,
    /// or its checkpoint cannot be read or written.
    pub fn fit<K>(
        &self,
        network: &impl Network<K>,
        keys: &[K],
        counts: &[u64],
        mut progress: impl FnMut(Progress),
    ) -> Result<(), SketchError> {
        if keys.len() != counts.len() {
            let expected = format!("{}, one for each key", keys.len());
            return Err(SketchError::parameter("counts", expected, counts.len()));
        }
        self.loss.check()?;
        let mut batches = SampledBatches::new(self.sampler, counts, self.batch_size, &self.seed)?;
        let steps = match self.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs * batches.per_epoch(),
        };
        // Keys are encoded once: a step only selects rows.
        let references: Vec<&K> = keys.iter().collect();
        let encoded = network.encode(&references).map_err(NnError::from)?;
        let file = match &self.checkpoint {
            Some(file) => Some(
                self.described(file, &encoded, counts)
                    .map_err(NnError::from)?,
            ),
            None => None,
        };
        // The number of a step decides its examples, so that a resumed training sees the same ones.
        self.step.run(
            network.parameters(),
            steps,
            file.as_ref(),
            |step| -> Result<Tensor, SketchError> {
                let loss = self.loss_of(network, &encoded, counts, batches.of_step(step));
                Ok(loss.map_err(NnError::from)?)
            },
            |report| {
                progress(Progress {
                    step: report.step,
                    steps,
                    loss: report.loss,
                });
            },
        )
    }

    /// The checkpoint's file, bound to the options and examples of this training.
    fn described(
        &self,
        file: &CheckpointFile,
        encoded: &Tensor,
        counts: &[u64],
    ) -> candle_core::Result<CheckpointFile> {
        let options = (
            self.loss,
            self.sampler,
            self.step,
            self.batch_size,
            self.seed,
        );
        let keys: Vec<u32> = encoded.to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
        let keys = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        let counts = counts
            .iter()
            .flat_map(|count| count.to_le_bytes())
            .collect();
        let parts = [format!("{options:?}").into_bytes(), keys, counts];
        Ok(file.clone().for_training(parts))
    }

    fn loss_of<K>(
        &self,
        network: &impl Network<K>,
        encoded: &Tensor,
        counts: &[u64],
        examples: Vec<u32>,
    ) -> candle_core::Result<Tensor> {
        let counts: Vec<f64> = examples
            .iter()
            .map(|&example| counts[example as usize].max(1) as f64)
            .collect();
        let size = examples.len();
        let counts = Tensor::from_vec(counts, size, &Device::Cpu)?;
        let examples = Tensor::from_vec(examples, size, &Device::Cpu)?;
        let scores = network.forward(&encoded.index_select(&examples, 0)?)?;
        self.loss.value(&scores, &counts, self.sampler.exponent())
    }
}
