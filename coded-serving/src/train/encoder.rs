//! Encoders under training.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use rand::Rng;
use septet_core::seed::SeedTree;
use septet_core::tensor::{Adam, Parameters, State, linear, log_softmax, softmax};

use super::frozen::{as_tensor, latents};
use super::groups::sum_of_groups;
use super::layer::{Layer, RECTIFIED, builder};
use super::{Fit, TrainError, outputs};
use crate::code::Weights;
use crate::images::Images;
use crate::network::{Batch, Bijection as _, Coupling, InvertibleClassifier, Mlp, SetEncoder};

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

/// Begins as the mean of the queries, nearly.
const SMALL: Init = Init::Randn {
    mean: 0.0,
    stdev: 0.01,
};

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
        let builder = builder(&parameters);
        let seen = size.features + size.width;
        let rho = builder.pp("rho");
        Ok(Self {
            size,
            phi: Layer::new(
                &builder.pp("phi"),
                size.features,
                size.width,
                RECTIFIED,
                None,
            )?,
            rho: [
                Layer::new(&rho.pp(0), size.hidden, seen, RECTIFIED, None)?,
                Layer::new(&rho.pp(1), size.width, size.hidden, SMALL, None)?,
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
        let features = self.phi.forward(queries)?.relu()?;
        let features = sum_of_groups(&features, weights)?;
        let mean = sum_of_groups(queries, weights)?;
        let seen = Tensor::cat(&[&features, &mean], 1)?;
        let [inner, outer] = &self.rho;
        mean + outer.forward(&inner.forward(&seen)?.relu()?)?
    }

    /// Trains for groups of `size` queries and one parity. The base model stays as it is, and
    /// its answers to all images are worked out once; groups are drawn with replacement.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] when images, base model and encoder differ in width, or a group has no
    /// possible size; [`TrainError::Diverged`].
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
        if images.is_empty() || fit.batch == 0 {
            return Err(TrainError::parameter("batch", "at least 1, and images", 0));
        }
        let goal = Goal::new(base, images, loss, weights.queries())?;
        let rows: Vec<Vec<f32>> = (0..weights.parities())
            .map(|parity| weights.row(parity).iter().map(|&w| w as f32).collect())
            .collect();
        let mut rng = seed.child("encoder").rng();
        let mut draw = |step: u64| -> std::result::Result<Step, TrainError> {
            let count = fit.batch * weights.queries();
            let chosen: Vec<usize> = (0..count)
                .map(|_| rng.random_range(0..images.len()))
                .collect();
            let row = &rows[(step % rows.len() as u64) as usize];
            let shape = (count, images.width());
            let queries = Tensor::from_vec(images.gather(&chosen), shape, &Device::Cpu)?;
            Ok(Step {
                made: self.forward(&queries, row)?,
                mean: sum_of_groups(&queries, row)?,
                chosen,
                row: row.clone(),
            })
        };
        if loss != EncoderLoss::PixelGan {
            return fit.run(&self.parameters, |step| Ok(goal.loss(loss, &draw(step)?)?));
        }
        let critic = Critic::new(self.size.width, seed)?;
        let adversarial = Fit {
            optimiser: Adam {
                beta1: 0.0,
                beta2: 0.9,
                ..fit.optimiser
            },
            ..*fit
        };
        let (mut state, mut critic_state) = (State::default(), State::default());
        for number in 0..fit.steps {
            for _ in 0..CRITIC_STEPS {
                let step = draw(number)?;
                let loss = critic.loss(&step, &goal.exact(&step)?)?;
                let parameters = &critic.parameters;
                critic_state = adversarial.step(parameters, &critic_state, number, &loss)?;
            }
            let step = draw(number)?;
            let fooled = critic.score(&step.mean, &step.made)?.mean_all()?;
            let loss = (goal.loss(loss, &step)? - fooled.affine(GAN_WEIGHT, 0.0)?)?;
            state = adversarial.step(&self.parameters, &state, number, &loss)?;
        }
        Ok(())
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

/// Groups of a step.
struct Step {
    /// Which images they are, `k` a group.
    chosen: Vec<usize>,
    /// The weights.
    row: Vec<f32>,
    /// What the encoder makes of them.
    made: Tensor,
    /// Their weighted mean.
    mean: Tensor,
}

/// What the encoder is held against.
struct Goal<'a> {
    base: &'a InvertibleClassifier<Coupling>,
    bijection: Arc<Coupling>,
    head: (Tensor, Tensor),
    images: &'a Images,
    /// The answers of the base model to all images.
    answers: Batch,
    amplification: f64,
}

impl<'a> Goal<'a> {
    fn new(
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
        linear(latents, &self.head.0, &self.head.1)
    }

    fn loss(&self, loss: EncoderLoss, step: &Step) -> Result<Tensor> {
        match loss {
            EncoderLoss::Task => {
                let right = mixture(&self.answers, &step.chosen, &step.row);
                let found = self.answer(&latents(&step.made, &self.bijection)?)?;
                let error = (found - as_tensor(&right)?)?.sqr()?.sum(1)?.mean_all()?;
                error.affine(self.amplification, 0.0)
            }
            EncoderLoss::PixelLogCosh | EncoderLoss::PixelGan => {
                let difference = (&step.made - self.exact(step)?)?;
                let cosh = (difference.exp()? + difference.neg()?.exp()?)?;
                cosh.affine(0.5, 0.0)?.log()?.mean_all()
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

    fn mixed_latents(&self, step: &Step) -> Result<Batch> {
        let queries = self.images.batch(&step.chosen);
        let latents = self.base.latents(&queries);
        let latents = latents.map_err(candle_core::Error::wrap)?;
        let in_order: Vec<usize> = (0..step.chosen.len()).collect();
        Ok(mixture(&latents, &in_order, &step.row))
    }

    /// The exact inverse of the mixed latents.
    fn exact(&self, step: &Step) -> Result<Tensor> {
        let target = self.mixed_latents(step)?;
        let exact = self.base.bijection().inverse(&target);
        as_tensor(&exact.map_err(candle_core::Error::wrap)?)
    }
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

/// The temperature at which answers are compared in [`EncoderLoss::LatentDistillation`].
const TEMPERATURE: f64 = 6.0;

/// Steps of the discriminator for one of the encoder, and what its judgement weighs beside the
/// difference of pixels.
const CRITIC_STEPS: usize = 5;
const GAN_WEIGHT: f64 = 0.01;

/// Hidden units of the discriminator.
const CRITIC_HIDDEN: usize = 256;

/// Tells exact inverses from made inputs, given the mean of the queries.
struct Critic {
    parameters: Parameters,
    layers: [Layer; 2],
}

impl Critic {
    fn new(width: usize, seed: &SeedTree) -> Result<Self> {
        let parameters = Parameters::new(seed.child("discriminator"));
        let builder = builder(&parameters);
        let layers = [
            Layer::new(&builder.pp(0), CRITIC_HIDDEN, 2 * width, RECTIFIED, None)?,
            Layer::new(&builder.pp(1), 1, CRITIC_HIDDEN, RECTIFIED, None)?,
        ];
        Ok(Self { parameters, layers })
    }

    fn score(&self, mean: &Tensor, input: &Tensor) -> Result<Tensor> {
        let [inner, outer] = &self.layers;
        let seen = Tensor::cat(&[mean, input], 1)?;
        outer.forward(&inner.forward(&seen)?.relu()?)
    }

    /// The hinge loss.
    fn loss(&self, step: &Step, exact: &Tensor) -> Result<Tensor> {
        let real = self.score(&step.mean, exact)?;
        let made = self.score(&step.mean, &step.made.detach())?;
        let real = real.affine(-1.0, 1.0)?.relu()?.mean_all()?;
        real + made.affine(1.0, 1.0)?.relu()?.mean_all()?
    }
}
