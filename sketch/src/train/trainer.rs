//! The loop that fits a network to counts.

use candle_core::{Device, Tensor};
use septet_core::nn::{Adam, NnError, Optimizer, Schedule, State, clip_grad_norm};
use septet_core::seed::SeedTree;

use super::sampler::Batches;
use super::{Loss, Network, Sampler};
use crate::error::SketchError;

/// Fits a network to examples: keys of earlier windows with their counts.
///
/// Adam with the learning rate 1e-3, batches of 1 024 and uniform sampling, as in the paper, unless
/// told otherwise; the number of steps is 1 000 unless told otherwise.
#[derive(Clone, Debug)]
pub struct Trainer {
    loss: Loss,
    sampler: Sampler,
    optimizer: Adam,
    rate: f64,
    schedule: Schedule,
    batch: usize,
    length: Length,
    clip: Option<f64>,
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
    /// The loss of the batch of the last step.
    pub loss: f64,
}

impl Trainer {
    /// A trainer for this loss. The seed decides which examples each step sees.
    #[must_use]
    pub fn new(loss: Loss, seed: &SeedTree) -> Self {
        Self {
            loss,
            sampler: Sampler::Uniform,
            optimizer: Adam::default(),
            rate: 1e-3,
            schedule: Schedule::default(),
            batch: 1024,
            length: Length::Steps(1000),
            clip: None,
            seed: seed.child("trainer"),
        }
    }

    /// How examples are drawn.
    #[must_use]
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = sampler;
        self
    }

    /// The constants of Adam.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Adam) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// The full learning rate.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// How the learning rate changes from step to step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// The number of examples in a step.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
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

    /// The largest norm of the gradient; larger ones are scaled down. No bound unless told otherwise.
    #[must_use]
    pub fn clip(mut self, norm: f64) -> Self {
        self.clip = Some(norm);
        self
    }

    /// Trains `network` on keys with their counts (a count of 0 is taken as 1), and reports each step
    /// to `progress`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when keys and counts differ in number, or there are fewer than a
    /// batch needs; [`SketchError::Tensor`] when a parameter gets no gradient.
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
        let mut batches = Batches::new(self.sampler, counts, self.batch, &self.seed)?;
        let steps = match self.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs * (keys.len() / self.batch) as u64,
        };
        let references: Vec<&K> = keys.iter().collect();
        let encoded = network.encode(&references).map_err(NnError::from)?;
        let mut state = State::default();
        for step in 0..steps {
            let examples = batches.next();
            let loss = self
                .loss_of(network, &encoded, counts, examples)
                .map_err(NnError::from)?;
            let mut gradients = network.parameters().gradients(&loss)?;
            if let Some(bound) = self.clip {
                (gradients, _) = clip_grad_norm(&gradients, bound)?;
            }
            let values = network.parameters().values();
            let rate = self.schedule.rate(self.rate, step);
            let (values, next) = self.optimizer.step(rate, &values, &gradients, &state)?;
            network.parameters().assign(&values)?;
            state = next;
            progress(Progress {
                step: step + 1,
                steps,
                loss: loss.to_scalar().map_err(NnError::from)?,
            });
        }
        Ok(())
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
