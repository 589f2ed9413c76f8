//! Encoders under training.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use septet_core::nn::{
    Adam, Checkpoint, DenseInit, Parameters, Schedule, linear, log_softmax, relu, softmax,
};
use septet_core::seed::SeedTree;

use super::frozen::{as_tensor, latents};
use super::groups::sum_of_groups;
use super::layer::Layer;
use super::{Fit, TrainError, fit, outputs};
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
    /// [`TrainError::Parameter`] when images, base model and encoder differ in width, a group has no
    /// possible size, or a checkpoint is asked for with [`EncoderLoss::PixelGan`], whose state is two
    /// networks; [`TrainError::Tensor`] when the training diverges.
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
        if loss != EncoderLoss::PixelGan {
            // The answer to one image stands for the base model.
            let answer = base.forward(&images.batch(&[0]))?;
            let training = fit::Goal {
                kind: format!("{loss:?} {rows:?}"),
                seed: &draws,
                images,
                answers: answer.as_slice(),
            };
            return fit.run(&self.parameters, &training, |step| {
                Ok(goal.loss(loss, &draw(step, 0)?)?)
            });
        }
        if fit.checkpoint.is_some() {
            let expected = "none with PixelGan, whose state is two networks";
            return Err(TrainError::parameter("checkpoint", expected, "a file"));
        }
        let critic = Critic::new(self.size.width, seed)?;
        self.fit_against(&critic, &goal, fit, &draw)
    }

    /// Trains against a discriminator, which takes several steps for each of the encoder.
    fn fit_against(
        &self,
        critic: &Critic,
        goal: &Goal<'_>,
        fit: &Fit,
        draw: &dyn Fn(u64, u64) -> std::result::Result<Groups, TrainError>,
    ) -> std::result::Result<(), TrainError> {
        let adversarial = fit.step_with(Adam {
            beta1: 0.0,
            beta2: 0.9,
            ..fit.optimizer
        });
        let mut encoder_state = Checkpoint::new(self.parameters.weights());
        let mut critic_state = Checkpoint::new(critic.parameters.weights());
        for step in 0..fit.steps {
            // The schedule counts the steps of the encoder, for both.
            let rate = fit.schedule.rate(fit.learning_rate, step);
            if rate == 0.0 {
                // No schedule rises from 0 again.
                break;
            }
            let of_critic = adversarial
                .schedule(Schedule::default())
                .learning_rate(rate);
            for number in 1..=CRITIC_STEPS {
                let groups = draw(step, number)?;
                let loss = critic.loss(&groups, &goal.exact(&groups)?)?;
                of_critic.take(&mut critic_state, &loss)?;
                critic.parameters.set(critic_state.weights.clone());
            }
            let groups = draw(step, 0)?;
            let fooled = critic.score(&groups.mean, &groups.made)?.mean_all()?;
            let pixels = goal.loss(EncoderLoss::PixelGan, &groups)?;
            let loss = (pixels - fooled.affine(GAN_WEIGHT, 0.0)?)?;
            adversarial.take(&mut encoder_state, &loss)?;
            self.parameters.set(encoder_state.weights.clone());
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

/// The groups of a step.
struct Groups {
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
        linear(latents, &self.head.0, Some(&self.head.1))
    }

    fn loss(&self, loss: EncoderLoss, step: &Groups) -> Result<Tensor> {
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
    fn exact(&self, step: &Groups) -> Result<Tensor> {
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

/// The temperature at which answers are compared in [`EncoderLoss::LatentDistillation`].
const TEMPERATURE: f64 = 6.0;

/// Steps of the discriminator for one of the encoder, and what its judgment weighs beside the
/// difference of pixels.
const CRITIC_STEPS: u64 = 5;
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
        let layer = |name, outputs, inputs| {
            Layer::new(&parameters, name, outputs, inputs, DenseInit::He, None)
        };
        let layers = [
            layer("0", CRITIC_HIDDEN, 2 * width)?,
            layer("1", 1, CRITIC_HIDDEN)?,
        ];
        Ok(Self { parameters, layers })
    }

    fn score(&self, mean: &Tensor, input: &Tensor) -> Result<Tensor> {
        let [inner, outer] = &self.layers;
        let seen = Tensor::cat(&[mean, input], 1)?;
        outer.forward(&relu(&inner.forward(&seen)?)?)
    }

    /// The hinge loss.
    fn loss(&self, step: &Groups, exact: &Tensor) -> Result<Tensor> {
        let real = self.score(&step.mean, exact)?;
        let made = self.score(&step.mean, &step.made.detach())?;
        let real = relu(&real.affine(-1.0, 1.0)?)?.mean_all()?;
        real + relu(&made.affine(1.0, 1.0)?)?.mean_all()?
    }
}

#[cfg(all(test, feature = "test-util"))]
#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
mod tests {
    use super::super::{CouplingNetwork, CouplingSize};
    use super::*;
    use crate::images::Strokes;
    use crate::network::checkerboard;

    fn vector(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn the_log_of_cosh_is_right_and_never_infinite() {
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

    /// Groups of three whose encoder gives their mean.
    fn step(images: &Images, mean: &EncoderNetwork) -> Groups {
        let chosen: Vec<usize> = (0..90).collect();
        let row = vec![1.0 / 3.0; 3];
        let queries = (90, images.width());
        let queries = Tensor::from_vec(images.gather(&chosen), queries, &Device::Cpu).unwrap();
        Groups {
            made: mean.forward(&queries, &row).unwrap(),
            mean: sum_of_groups(&queries, &row).unwrap(),
            chosen,
            row,
        }
    }

    #[test]
    fn the_discriminator_learns_to_tell_and_the_encoder_to_fool_it() {
        let seed = SeedTree::new(7);
        let images = Strokes::new(8, &seed).images(90, &seed);
        let size = CouplingSize {
            order: checkerboard(8, 8),
            blocks: 3,
            hidden: 16,
            classes: 10,
            spectral_bound: None,
        };
        let base = CouplingNetwork::new(size, &seed)
            .unwrap()
            .classifier()
            .unwrap();
        let size = EncoderSize {
            width: 64,
            features: 8,
            hidden: 32,
        };
        let network = EncoderNetwork::new(size, &seed).unwrap();
        let goal = Goal::new(&base, &images, EncoderLoss::PixelGan, 3).unwrap();
        let critic = Critic::new(64, &seed).unwrap();
        let step_now = || step(&images, &network);
        let exact = goal.exact(&step_now()).unwrap();
        let number = |tensor: Tensor| tensor.to_scalar::<f32>().unwrap();
        // The loss is the hinge loss of its scores.
        let scores = |input: &Tensor| -> Vec<f32> {
            let scores = critic.score(&step_now().mean, input).unwrap();
            scores.flatten_all().unwrap().to_vec1().unwrap()
        };
        let hinge = |scores: Vec<f32>, sign: f32| {
            let count = scores.len() as f32;
            scores
                .iter()
                .map(|score| (1.0 - sign * score).max(0.0))
                .sum::<f32>()
                / count
        };
        let right = hinge(scores(&exact), 1.0) + hinge(scores(&step_now().made), -1.0);
        let found = number(critic.loss(&step_now(), &exact).unwrap());
        assert!((found - right).abs() < 1e-5, "{found} for {right}");

        let fit = Fit::new(150, 30, 1e-3);
        let learn = || critic.loss(&step_now(), &exact);
        let training = fit::Goal {
            kind: String::new(),
            seed: &seed,
            images: &images,
            answers: &[],
        };
        fit.run(&critic.parameters, &training, |_| Ok(learn()?))
            .unwrap();
        let told = number(learn().unwrap());
        assert!(told < 0.2, "{told} is left of {found}");
        // It did not train the encoder.
        let score_of_made = || {
            let step = step_now();
            critic
                .score(&step.mean, &step.made)
                .unwrap()
                .mean_all()
                .unwrap()
        };
        let before = number(score_of_made());
        assert!(before < -0.8, "{before}");
        // The encoder follows the judgment, and it alone.
        let fool = Fit::new(30, 30, 1e-3);
        let judged = |_| Ok(score_of_made().neg()?);
        fool.run(network.parameters(), &training, judged).unwrap();
        let after = number(score_of_made());
        assert!(after > before + 0.5, "{before} to {after}");
    }
}
