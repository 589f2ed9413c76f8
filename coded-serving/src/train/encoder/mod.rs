//! Encoders under training.

mod critic;
mod goal;

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use septet_core::nn::{DenseInit, Parameters, relu};
use septet_core::seed::SeedTree;

use self::critic::Critic;
use self::goal::{Goal, Groups};
use super::groups::sum_of_groups;
use super::layer::Layer;
use super::{Fit, TrainError, fit};
use crate::code::Weights;
use crate::images::Images;
use crate::network::{Bijection as _, Coupling, InvertibleClassifier, Mlp, SetEncoder};

/// What an encoder is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderLoss {
    /// Answers that decode well: the squared error of the decoded answers, which is that of the
    /// parity's answer times `k^2`. Only errors that the head sees count.
    Task,
    /// Inputs like the exact inverse: the mean of `log cosh` of the difference of pixels.
    PixelLogCosh,
    /// The same with a discriminator that is to tell made inputs from exact inverses, by the hinge
    /// loss; fully connected here, in place of the paper's convolutional one.
    PixelGan,
    /// 0.1 times the absolute difference of pixels, that of latents, and 10 times the divergence of the
    /// answers at temperature 6, as in a variant of the authors' code.
    LatentDistillation,
}

/// The size of an [`EncoderNetwork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSize {
    /// Numbers in a query.
    pub width: usize,
    /// Outputs of `phi`, computed for each query of a group.
    pub features: usize,
    /// Hidden units of `rho`, computed once for a group.
    pub hidden: usize,
}

/// The encoder `E(X) = mean(x_i) + rho(mean(phi(x_i)), mean(x_i))`; becomes a [`SetEncoder`].
#[derive(Debug)]
pub struct EncoderNetwork {
    size: EncoderSize,
    parameters: Parameters,
    phi: Layer,
    rho: [Layer; 2],
}

/// The encoder begins close to the mean of the queries.
const SMALL: DenseInit = DenseInit::Normal { deviation: 0.01 };

impl EncoderNetwork {
    /// A network drawn from the seed.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for an empty layer.
    pub fn new(size: EncoderSize, seed: &SeedTree) -> std::result::Result<Self, TrainError> {
        if size.width == 0 || size.features == 0 || size.hidden == 0 {
            let found = format!("{size:?}");
            return Err(TrainError::parameter("size", "no empty layer", found));
        }
        let parameters = Parameters::new(seed.child("encoder network"));
        let seen = size.features + size.width;
        let layer = |name, outputs, inputs, init| {
            Layer::new(&parameters, name, outputs, inputs, init, None)
        };
        Ok(Self {
            size,
            phi: layer("phi", size.features, size.width, DenseInit::He)?,
            rho: [
                layer("rho.0", size.hidden, seen, DenseInit::He)?,
                layer("rho.1", size.width, size.hidden, SMALL)?,
            ],
            parameters,
        })
    }

    /// The trained variables.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The parity queries of `n` groups of `k` queries, one for each weight: from shape `[n k, d]` to
    /// `[n, d]`.
    ///
    /// # Errors
    ///
    /// Those of candle, when the shape is another.
    pub fn forward(&self, queries: &Tensor, weights: &[f32]) -> Result<Tensor> {
        let features = relu(&self.phi.forward(queries)?)?;
        let features = sum_of_groups(&features, weights)?;
        let mean = sum_of_groups(queries, weights)?;
        let seen = Tensor::cat(&[&features, &mean], 1)?;
        let [inner, outer] = &self.rho;
        mean + outer.forward(&relu(&inner.forward(&seen)?)?)?
    }

    /// Trains for groups of `size` queries and one parity. The base model stays as it is, and
    /// its answers to all images are computed once; groups are drawn with replacement.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] when images, base model and encoder differ in width, or a group has no
    /// possible size; [`TrainError::Tensor`] when the training diverges, or for its checkpoint.
    pub fn fit(
        &self,
        base: &InvertibleClassifier<Coupling>,
        images: &Images,
        size: usize,
        loss: EncoderLoss,
        fit: &Fit,
        seed: &SeedTree,
    ) -> std::result::Result<(), TrainError> {
        self.fit_parities(
            base,
            images,
            &Weights::mean(size).map_err(in_training)?,
            loss,
            fit,
            seed,
        )
    }

    /// Trains for the parities of these weights, each step for one of them, in turn.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_parities(
        &self,
        base: &InvertibleClassifier<Coupling>,
        images: &Images,
        weights: &Weights,
        loss: EncoderLoss,
        fit: &Fit,
        seed: &SeedTree,
    ) -> std::result::Result<(), TrainError> {
        for (argument, width) in [
            ("images", images.width()),
            ("base", base.bijection().width()),
        ] {
            if width != self.size.width {
                let expected = format!("a width of {}", self.size.width);
                return Err(TrainError::parameter(argument, expected, width));
            }
        }
        if images.is_empty() || fit.batch_size == 0 {
            return Err(TrainError::parameter(
                "batch size",
                "at least 1, and images",
                fit.batch_size,
            ));
        }
        // What all steps share: the targets, and the weights of each parity.
        let goal = Goal::new(base, images, loss, weights.queries())?;
        let rows: Vec<Vec<f32>> = (0..weights.parities())
            .map(|parity| weights.row(parity).iter().map(|&w| w as f32).collect())
            .collect();
        let draws = seed.child("encoder");
        // A draw of groups for a step; a step of the discriminator has a number of its own.
        let draw = |step: u64, number: u64| -> std::result::Result<Groups, TrainError> {
            let mut rng = draws.index(step).index(number).rng();
            let count = fit.batch_size * weights.queries();
            let chosen: Vec<usize> = (0..count)
                .map(|_| rng.random_range(0..images.len()))
                .collect();
            let row = &rows[(step % rows.len() as u64) as usize];
            let shape = (count, images.width());
            let queries = Tensor::from_vec(images.gather(&chosen), shape, &Device::Cpu)?;
            Ok(Groups {
                made: self.forward(&queries, row)?,
                mean: sum_of_groups(&queries, row)?,
                chosen,
                row: row.clone(),
            })
        };
        // The answer to one image stands for the base model.
        let answer = base.forward(&images.batch(&[0]))?;
        let training = fit::Goal {
            kind: format!("{loss:?} {rows:?}"),
            seed: &draws,
            images,
            answers: answer.as_slice(),
        };
        // Adversarial training alternates between two networks; every other loss has one.
        if loss == EncoderLoss::PixelGan {
            let critic = Critic::new(self.size.width, seed)?;
            return self.fit_against(&critic, &goal, fit, &training, &draw);
        }
        fit.run(&self.parameters, &training, |step| {
            Ok(goal.loss(loss, &draw(step, 0)?)?)
        })
    }

    /// The encoder for inference.
    ///
    /// # Errors
    ///
    /// Those of candle.
    pub fn encoder(&self) -> std::result::Result<SetEncoder, TrainError> {
        let [inner, outer] = &self.rho;
        Ok(SetEncoder::new(
            Mlp::new(vec![self.phi.fold("phi")?])?,
            Mlp::new(vec![inner.fold("rho.0")?, outer.fold("rho.1")?])?,
        )?)
    }
}

fn in_training(error: crate::error::CodeError) -> TrainError {
    TrainError::parameter("size", "a possible group", error)
}
