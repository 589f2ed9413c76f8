//! The discriminator of adversarial training.

use candle_core::{Result, Tensor};
use septet_core::nn::{Adam, Checkpoint, DenseInit, Parameters, Schedule, relu};
use septet_core::seed::SeedTree;

use super::goal::{Goal, Groups};
use super::{EncoderLoss, EncoderNetwork};
use crate::train::layer::Layer;
use crate::train::{Fit, TrainError, fit};

/// Steps of the discriminator for one of the encoder, and the weight of its score beside the
/// difference of pixels.
const CRITIC_STEPS: u64 = 5;
const GAN_WEIGHT: f64 = 0.01;

impl EncoderNetwork {
    /// Trains against a discriminator, which takes several steps for each of the encoder. A checkpoint
    /// holds the states of both.
    pub(super) fn fit_against(
        &self,
        critic: &Critic,
        goal: &Goal<'_>,
        fit: &Fit,
        training: &fit::Goal<'_>,
        draw: &dyn Fn(u64, u64) -> std::result::Result<Groups, TrainError>,
    ) -> std::result::Result<(), TrainError> {
        let adversarial = fit.step_with(Adam {
            beta1: 0.0,
            beta2: 0.9,
            ..fit.optimizer
        });
        let networks = [&self.parameters, &critic.parameters];
        let file = fit.checkpoint_of(training, &adversarial);
        let [mut of_encoder, mut of_critic] = match &file {
            Some(file) => file.start(networks, fit.steps)?,
            None => networks.map(|parameters| Checkpoint::new(parameters.weights())),
        };
        for step in of_encoder.steps()..fit.steps {
            // The schedule counts the steps of the encoder, for both. At its end nothing is learned.
            let rate = fit.schedule.rate(fit.learning_rate, step);
            let critic_steps = if rate == 0.0 { 0 } else { CRITIC_STEPS };
            let constant = adversarial
                .schedule(Schedule::default())
                .learning_rate(rate);
            for number in 1..=critic_steps {
                let groups = draw(step, number)?;
                let loss = critic.loss(&groups, &goal.exact(&groups)?)?;
                constant.take(&mut of_critic, &loss)?;
                critic.parameters.set(of_critic.weights.clone());
            }

            // The encoder against the discriminator of this step.
            let groups = draw(step, 0)?;
            let fooled = critic.score(&groups.mean, &groups.made)?.mean_all()?;
            let pixels = goal.loss(EncoderLoss::PixelGan, &groups)?;
            let loss = (pixels - fooled.affine(GAN_WEIGHT, 0.0)?)?;
            adversarial.take(&mut of_encoder, &loss)?;
            self.parameters.set(of_encoder.weights.clone());
            if let Some(file) = &file {
                let states = [
                    (&self.parameters, &mut of_encoder),
                    (&critic.parameters, &mut of_critic),
                ];
                file.after_step(states, step + 1 == fit.steps)?;
            }
        }
        Ok(())
    }
}

/// Hidden units of the discriminator.
const CRITIC_HIDDEN: usize = 256;

/// Scores whether an input is an exact inverse rather than the output of an encoder, given the mean of
/// the queries.
pub(super) struct Critic {
    parameters: Parameters,
    layers: [Layer; 2],
}

impl Critic {
    pub(super) fn new(width: usize, seed: &SeedTree) -> Result<Self> {
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
    use candle_core::Device;

    use super::*;
    use crate::images::{Images, Strokes};
    use crate::network::checkerboard;
    use crate::train::groups::sum_of_groups;
    use crate::train::{CouplingNetwork, CouplingSize, EncoderSize};

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
    fn discriminator_and_encoder_each_reduce_their_own_loss() {
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
        let trained = number(learn().unwrap());
        assert!(trained < 0.2, "{found} to {trained}");
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
        // The encoder follows the score, and it alone.
        let fool = Fit::new(30, 30, 1e-3);
        let score = |_| Ok(score_of_made().neg()?);
        fool.run(network.parameters(), &training, score).unwrap();
        let after = number(score_of_made());
        assert!(after > before + 0.5, "{before} to {after}");
    }
}
