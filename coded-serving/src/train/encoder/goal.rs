//! What an encoder is compared with, and the losses.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use septet_core::nn::{linear, log_softmax, softmax};

use super::EncoderLoss;
use crate::images::Images;
use crate::network::{Batch, Bijection as _, Coupling, InvertibleClassifier};
use crate::train::frozen::{as_tensor, latents};
use crate::train::{TrainError, outputs};

/// The temperature at which answers are compared in [`EncoderLoss::LatentDistillation`].
const TEMPERATURE: f64 = 6.0;

/// The groups of a step.
pub(super) struct Groups {
    /// Which images they are, `k` a group.
    pub(super) chosen: Vec<usize>,
    /// The weights.
    pub(super) row: Vec<f32>,
    /// What the encoder makes of them.
    pub(super) made: Tensor,
    /// Their weighted mean.
    pub(super) mean: Tensor,
}

/// What the encoder is compared with.
pub(super) struct Goal<'a> {
    base: &'a InvertibleClassifier<Coupling>,
    bijection: Arc<Coupling>,
    head: (Tensor, Tensor),
    images: &'a Images,
    /// The answers of the base model to all images.
    answers: Batch,
    amplification: f64,
}

impl<'a> Goal<'a> {
    pub(super) fn new(
        base: &'a InvertibleClassifier<Coupling>,
        images: &'a Images,
        loss: EncoderLoss,
        size: usize,
    ) -> std::result::Result<Self, TrainError> {
        let head = base.head();
        let weight = as_tensor(&head.weight().transpose())?;
        let bias = Tensor::new(head.bias(), &Device::Cpu)?;
        let answers = match loss {
            EncoderLoss::Task => outputs(images, |x| base.forward(x))?,
            _ => Batch::zeros(0, 0),
        };
        Ok(Self {
            base,
            bijection: Arc::new(base.bijection().clone()),
            head: (weight, bias),
            images,
            answers,
            amplification: (size * size) as f64,
        })
    }

    fn answer(&self, latents: &Tensor) -> Result<Tensor> {
        linear(latents, &self.head.0, Some(&self.head.1))
    }

    pub(super) fn loss(&self, loss: EncoderLoss, step: &Groups) -> Result<Tensor> {
        match loss {
            EncoderLoss::Task => {
                let right = mixture(&self.answers, &step.chosen, &step.row);
                let found = self.answer(&latents(&step.made, &self.bijection)?)?;
                let error = (found - as_tensor(&right)?)?.sqr()?.sum(1)?.mean_all()?;
                error.affine(self.amplification, 0.0)
            }
            EncoderLoss::PixelLogCosh | EncoderLoss::PixelGan => {
                log_cosh(&(&step.made - self.exact(step)?)?)?.mean_all()
            }
            EncoderLoss::LatentDistillation => {
                let target = self.mixed_latents(step)?;
                let exact = self.base.bijection().inverse(&target);
                let exact = as_tensor(&exact.map_err(candle_core::Error::wrap)?)?;
                let target = as_tensor(&target)?;
                let found = latents(&step.made, &self.bijection)?;
                let pixels = (&step.made - exact)?.abs()?.mean_all()?;
                let apart = (&found - &target)?.abs()?.mean_all()?;
                let cool = |answers: Tensor| answers.affine(1.0 / TEMPERATURE, 0.0);
                let right = cool(self.answer(&target)?)?;
                let found = cool(self.answer(&found)?)?;
                let divergence =
                    (softmax(&right)? * (log_softmax(&right)? - log_softmax(&found)?)?)?;
                let divergence = divergence.sum(1)?.mean_all()?;
                (pixels.affine(0.1, 0.0)? + apart)? + divergence.affine(10.0, 0.0)?
            }
        }
    }

    fn mixed_latents(&self, step: &Groups) -> Result<Batch> {
        let queries = self.images.batch(&step.chosen);
        let latents = self.base.latents(&queries);
        let latents = latents.map_err(candle_core::Error::wrap)?;
        let in_order: Vec<usize> = (0..step.chosen.len()).collect();
        Ok(mixture(&latents, &in_order, &step.row))
    }

    /// The exact inverse of the mixed latents.
    pub(super) fn exact(&self, step: &Groups) -> Result<Tensor> {
        let target = self.mixed_latents(step)?;
        let exact = self.base.bijection().inverse(&target);
        as_tensor(&exact.map_err(candle_core::Error::wrap)?)
    }
}

/// `|x| + ln(1 + exp(-2 |x|)) - ln 2`, which no `x` is too large for.
fn log_cosh(x: &Tensor) -> Result<Tensor> {
    let size = x.abs()?;
    let rest = size.affine(-2.0, 0.0)?.exp()?.affine(1.0, 1.0)?.log()?;
    (size + rest)?.affine(1.0, -std::f64::consts::LN_2)
}

/// The weighted sums of these columns, a group each.
fn mixture(columns: &Batch, members: &[usize], weights: &[f32]) -> Batch {
    let size = weights.len();
    let mut mixed = Batch::zeros(columns.nrows(), members.len() / size);
    for (group, mut sum) in members.chunks_exact(size).zip(mixed.column_iter_mut()) {
        for (&member, &weight) in group.iter().zip(weights) {
            sum.axpy(weight, &columns.column(member), 1.0);
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn log_cosh_and_its_gradient_are_accurate_and_finite() {
        let xs = [-300.0, -2.0, -1e-3, 0.0, 0.5, 3.0, 1e4];
        let found: Vec<f32> = log_cosh(&vector(&xs)).unwrap().to_vec1().unwrap();
        for (found, x) in found.into_iter().zip(xs) {
            let x = f64::from(x).abs();
            // Beyond 20 the rest of cosh is lost in 64 bits.
            let right = if x < 20.0 {
                x.cosh().ln()
            } else {
                x - std::f64::consts::LN_2
            };
            assert!(
                (f64::from(found) - right).abs() < 1e-6 * (1.0 + x),
                "{found} for {right}"
            );
        }
        let x = candle_core::Var::from_tensor(&vector(&xs)).unwrap();
        let slopes = log_cosh(&x).unwrap().sum_all().unwrap().backward().unwrap();
        let slopes: Vec<f32> = slopes.get(&x).unwrap().to_vec1().unwrap();
        for (slope, x) in slopes.into_iter().zip(xs) {
            assert!((slope - x.tanh()).abs() < 1e-6, "{slope} at {x}");
        }
    }
}
