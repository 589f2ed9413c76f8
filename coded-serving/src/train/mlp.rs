//! Networks of fully connected layers under training: parity models and students.

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use septet_core::nn::{Batches, DenseInit, Parameters, relu, soft_cross_entropy, softmax};
use septet_core::seed::SeedTree;

use super::coupling::{check, gather, one_hot};
use super::fit::Goal;
use super::layer::Layer;
use super::{Fit, TrainError};
use crate::images::Images;
use crate::network::{Batch, Mlp};

/// Fully connected layers with rectifiers between them; becomes an [`Mlp`].
#[derive(Debug)]
pub struct MlpNetwork {
    parameters: Parameters,
    widths: Vec<usize>,
    layers: Vec<Layer>,
}

impl MlpNetwork {
    /// A network whose layers have these widths, from that of the input to that of the output.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for fewer than two widths, or a width of 0.
    pub fn new(widths: &[usize], seed: &SeedTree) -> std::result::Result<Self, TrainError> {
        if widths.len() < 2 || widths.contains(&0) {
            let found = format!("{widths:?}");
            return Err(TrainError::parameter(
                "widths",
                "two or more, none 0",
                found,
            ));
        }
        let parameters = Parameters::new(seed.child("mlp network"));
        let last = widths.len() - 2;
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                let init = if index == last {
                    DenseInit::Lecun
                } else {
                    DenseInit::He
                };
                Layer::new(&parameters, index.to_string(), pair[1], pair[0], init, None)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            widths: widths.to_vec(),
            layers,
        })
    }

    /// The trained variables.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The answers to a batch of shape `[n, inputs]`, with shape `[n, outputs]`.
    ///
    /// # Errors
    ///
    /// Those of candle, when the shape is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut values = x.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                values = relu(&values)?;
            }
            values = layer.forward(&values)?;
        }
        Ok(values)
    }

    /// Trains to answer as the labels and the base model do: the mean of the cross-entropies with both.
    /// `answers` are those of the base model to all images.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] when the images do not fit;
    /// [`TrainError::Tensor`] when the training diverges.
    pub fn fit_student(
        &self,
        images: &Images,
        answers: &Batch,
        fit: &Fit,
        seed: &SeedTree,
    ) -> std::result::Result<(), TrainError> {
        let (width, classes) = self.ends();
        check(images, fit, width, classes)?;
        check_answers(images, answers, classes)?;
        let seed = seed.child("student");
        let mut batches = Batches::new(images.len(), fit.batch_size, &seed)?;
        let goal = Goal {
            kind: "student".to_owned(),
            seed: &seed,
            images,
            answers: answers.as_slice(),
        };
        fit.run(&self.parameters, &goal, |step| {
            let (x, chosen) = gather(images, &mut batches, step)?;
            let base = softmax(&rows(answers, &chosen)?)?;
            let targets = (one_hot(images, &chosen, classes)? + base)?.affine(0.5, 0.0)?;
            Ok(soft_cross_entropy(&self.forward(&x)?, &targets)?)
        })
    }

    /// Trains to answer the sum of `size` images, scaled by `1 / sqrt(size)`, with the sum of the base
    /// model's answers, scaled likewise; by mean squared error on groups drawn with replacement.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] when the images do not fit;
    /// [`TrainError::Tensor`] when the training diverges.
    pub fn fit_parity(
        &self,
        images: &Images,
        answers: &Batch,
        size: usize,
        fit: &Fit,
        seed: &SeedTree,
    ) -> std::result::Result<(), TrainError> {
        let (width, classes) = self.ends();
        check(images, fit, width, classes)?;
        check_answers(images, answers, classes)?;
        if size == 0 {
            return Err(TrainError::parameter("size", "at least 1", size));
        }
        let seed = seed.child("parity");
        let scale = 1.0 / (size as f32).sqrt();
        let goal = Goal {
            kind: format!("parity of {size}"),
            seed: &seed,
            images,
            answers: answers.as_slice(),
        };
        fit.run(&self.parameters, &goal, |step| {
            let mut rng = seed.index(step).rng();
            let mut sums = vec![0.0; fit.batch_size * width];
            let mut targets = vec![0.0; fit.batch_size * classes];
            for (sum, target) in sums
                .chunks_exact_mut(width)
                .zip(targets.chunks_exact_mut(classes))
            {
                for _ in 0..size {
                    let index = rng.random_range(0..images.len());
                    add(sum, images.image(index), scale);
                    add(target, answers.column(index).as_slice(), scale);
                }
            }
            let x = Tensor::from_vec(sums, (fit.batch_size, width), &Device::Cpu)?;
            let targets = Tensor::from_vec(targets, (fit.batch_size, classes), &Device::Cpu)?;
            Ok((self.forward(&x)? - targets)?.sqr()?.mean_all()?)
        })
    }

    fn ends(&self) -> (usize, usize) {
        (self.widths[0], self.widths[self.widths.len() - 1])
    }

    /// The network for inference.
    ///
    /// # Errors
    ///
    /// Those of candle.
    pub fn mlp(&self) -> std::result::Result<Mlp, TrainError> {
        let layers = self.layers.iter().map(|layer| layer.fold("layer"));
        Ok(Mlp::new(layers.collect::<std::result::Result<_, _>>()?)?)
    }

    /// The parity model for inference: it answers the scaled sum of `size` queries with the sum of
    /// their answers.
    ///
    /// # Errors
    ///
    /// Those of candle.
    pub fn parity_model(&self, size: usize) -> std::result::Result<Mlp, TrainError> {
        Ok(self.mlp()?.scaled((size as f32).sqrt()))
    }
}

fn add(sum: &mut [f32], values: &[f32], scale: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

fn check_answers(
    images: &Images,
    answers: &Batch,
    classes: usize,
) -> std::result::Result<(), TrainError> {
    if answers.shape() == (classes, images.len()) {
        return Ok(());
    }
    let expected = format!("{classes} for each of {} images", images.len());
    Err(TrainError::parameter(
        "answers",
        expected,
        format!("{:?}", answers.shape()),
    ))
}

/// These columns of a batch as a tensor, a row each.
fn rows(batch: &Batch, chosen: &[usize]) -> Result<Tensor> {
    let mut values = Vec::with_capacity(chosen.len() * batch.nrows());
    for &index in chosen {
        values.extend_from_slice(batch.column(index).as_slice());
    }
    Tensor::from_vec(values, (chosen.len(), batch.nrows()), &Device::Cpu)
}
