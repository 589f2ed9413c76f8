//! Coupling networks under training.

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use rand::seq::SliceRandom as _;
use septet_core::nn::{Batches, DenseInit, Parameters, relu, soft_cross_entropy};
use septet_core::seed::SeedTree;

use super::fit::Goal;
use super::layer::Layer;
use super::{Fit, TrainError};
use crate::images::Images;
use crate::network::{Coupling, InvertibleClassifier, Mlp};

/// The size of a [`CouplingNetwork`].
#[derive(Clone, Debug, PartialEq)]
pub struct CouplingSize {
    /// Which input stands at each place of the two halves; see
    /// [`checkerboard`](crate::network::checkerboard).
    pub order: Vec<usize>,
    /// Coupling blocks.
    pub blocks: usize,
    /// Hidden units of the network of a block.
    pub hidden: usize,
    /// Classes of the head.
    pub classes: usize,
    /// What the largest singular value of each layer of the blocks is held to; `None` for no bound. With
    /// a bound `c`, a block stretches differences by `(c^2 + sqrt(c^4 + 4)) / 2` at most, both ways.
    ///
    /// Training knows the singular value by power iteration, which comes from below: it is an estimate.
    /// What holds of the trained network is what
    /// [`lipschitz_bounds`](crate::network::Bijection::lipschitz_bounds) tells.
    pub spectral_bound: Option<f64>,
}

/// An additive-coupling network with an affine head; becomes an [`InvertibleClassifier`].
#[derive(Debug)]
pub struct CouplingNetwork {
    size: CouplingSize,
    parameters: Parameters,
    /// Two layers a block.
    blocks: Vec<[Layer; 2]>,
    head: Layer,
    /// The two halves of the order.
    halves: [Tensor; 2],
}

impl CouplingNetwork {
    /// A network drawn from the seed.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for sizes that make no network.
    pub fn new(size: CouplingSize, seed: &SeedTree) -> std::result::Result<Self, TrainError> {
        Self::with_parameters(size, Parameters::new(seed.child("coupling network")))
    }

    /// A network with these parameters, such as those of a file.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when a parameter is missing or has another shape.
    pub fn with_parameters(
        size: CouplingSize,
        parameters: Parameters,
    ) -> std::result::Result<Self, TrainError> {
        if size.hidden == 0 || size.classes == 0 || size.blocks == 0 {
            let found = format!("{}, {}, {}", size.blocks, size.hidden, size.classes);
            return Err(TrainError::parameter(
                "size",
                "blocks, hidden units and classes",
                found,
            ));
        }
        if let Some(bound) = size.spectral_bound
            && !(bound.is_finite() && bound > 0.0)
        {
            let expected = "a positive number";
            return Err(TrainError::parameter("spectral bound", expected, bound));
        }
        // The same checks as for inference.
        Coupling::new(size.order.clone(), Vec::new())?;
        // Each block reads one half of the values and shifts the other.
        let half = size.order.len() / 2;
        let blocks = (0..size.blocks)
            .map(|block| {
                let layer = |index, outputs, inputs, init| {
                    let name = format!("block.{block}.{index}");
                    Layer::new(
                        &parameters,
                        name,
                        outputs,
                        inputs,
                        init,
                        size.spectral_bound,
                    )
                };
                Ok([
                    layer(0, size.hidden, half, DenseInit::He)?,
                    layer(1, half, size.hidden, DenseInit::Lecun)?,
                ])
            })
            .collect::<Result<_>>()?;
        // The head reads all latents; nothing has to invert it, so that it has no bound.
        let head = Layer::new(
            &parameters,
            "head",
            size.classes,
            size.order.len(),
            DenseInit::Lecun,
            None,
        )?;
        // The halves as indices, for selections inside the graph.
        let index = |order: &[usize]| {
            let order: Vec<u32> = order.iter().map(|&place| place as u32).collect();
            Tensor::new(order, &Device::Cpu)
        };
        let halves = [index(&size.order[..half])?, index(&size.order[half..])?];
        Ok(Self {
            size,
            parameters,
            blocks,
            head,
            halves,
        })
    }

    /// The trained variables.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The answers to a batch of shape `[n, d]`, with shape `[n, classes]`.
    ///
    /// # Errors
    ///
    /// Those of candle, when the shape is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.mixed(x, 0, |values| Ok(values.clone()))
    }

    /// The answers when the values before block `at`, the inputs for 0, are mixed.
    fn mixed(
        &self,
        x: &Tensor,
        at: usize,
        mix: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let [first, second] = &self.halves;
        let mut a = x.index_select(first, 1)?;
        let mut b = x.index_select(second, 1)?;
        for (index, [inner, outer]) in self.blocks.iter().enumerate() {
            if index == at {
                (a, b) = (mix(&a)?, mix(&b)?);
            }
            let next = (&a + outer.forward(&relu(&inner.forward(&b)?)?)?)?;
            a = std::mem::replace(&mut b, next);
        }
        if at == self.blocks.len() {
            (a, b) = (mix(&a)?, mix(&b)?);
        }
        self.head.forward(&Tensor::cat(&[a, b], 1)?)
    }

    /// Trains on images with labels, by cross-entropy with Manifold Mixup: in each step the values at a
    /// random depth, and the labels with them, are mixed with those of other images, by a share that is
    /// uniform in `[0, 1]` (V. Verma et al., "Manifold Mixup", ICML 2019, with `alpha = 1`).
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for fewer images than a batch, or a label that is no class;
    /// [`TrainError::Tensor`] when the training diverges.
    pub fn fit(
        &self,
        images: &Images,
        fit: &Fit,
        seed: &SeedTree,
    ) -> std::result::Result<(), TrainError> {
        check(images, fit, self.size.order.len(), self.size.classes)?;
        let seed = seed.child("manifold mixup");
        let mut batches = Batches::new(images.len(), fit.batch_size, &seed.child("batches"))?;
        let goal = Goal {
            kind: format!("mixup {:?}", self.size),
            seed: &seed,
            images,
            answers: &[],
        };
        fit.run(&self.parameters, &goal, |step| {
            let (x, chosen) = gather(images, &mut batches, step)?;
            let labels = one_hot(images, &chosen, self.size.classes)?;
            // The depth, the share and the partners of the mixture.
            let mut rng = seed.index(step).rng();
            let at = rng.random_range(0..=self.blocks.len());
            let share = rng.random::<f64>();
            let mut others: Vec<u32> = (0..fit.batch_size as u32).collect();
            others.shuffle(&mut rng);
            let others = Tensor::new(others, &Device::Cpu)?;
            let mix = |values: &Tensor| {
                let other = values.index_select(&others, 0)?;
                values.affine(share, 0.0)? + other.affine(1.0 - share, 0.0)?
            };
            let answers = self.mixed(&x, at, mix)?;
            Ok(soft_cross_entropy(&answers, &mix(&labels)?)?)
        })
    }

    /// The network for inference, with bounded weights.
    ///
    /// # Errors
    ///
    /// Those of candle.
    pub fn classifier(&self) -> std::result::Result<InvertibleClassifier<Coupling>, TrainError> {
        let blocks = self
            .blocks
            .iter()
            .map(|[inner, outer]| Ok(Mlp::new(vec![inner.fold("inner")?, outer.fold("outer")?])?))
            .collect::<std::result::Result<_, TrainError>>()?;
        let coupling = Coupling::new(self.size.order.clone(), blocks)?;
        Ok(InvertibleClassifier::new(
            coupling,
            self.head.fold("head")?,
        )?)
    }
}

/// The images of a step, `[batch size, width]`, and which ones they are.
pub(super) fn gather(
    images: &Images,
    batches: &mut Batches,
    step: u64,
) -> Result<(Tensor, Vec<usize>)> {
    batches.seek(step);
    let chosen: Vec<usize> = batches.draw().iter().map(|&image| image as usize).collect();
    let shape = (chosen.len(), images.width());
    let x = Tensor::from_vec(images.gather(&chosen), shape, &Device::Cpu)?;
    Ok((x, chosen))
}

pub(super) fn one_hot(images: &Images, chosen: &[usize], classes: usize) -> Result<Tensor> {
    let mut values = vec![0_f32; chosen.len() * classes];
    for (row, &index) in values.chunks_exact_mut(classes).zip(chosen) {
        row[images.labels()[index]] = 1.0;
    }
    Tensor::from_vec(values, (chosen.len(), classes), &Device::Cpu)
}

pub(super) fn check(
    images: &Images,
    fit: &Fit,
    width: usize,
    classes: usize,
) -> std::result::Result<(), TrainError> {
    if images.width() != width {
        let expected = format!("{width} pixels each");
        return Err(TrainError::parameter("images", expected, images.width()));
    }
    if fit.batch_size == 0 || images.len() < fit.batch_size {
        let expected = format!("1 to {}", images.len());
        return Err(TrainError::parameter(
            "batch size",
            expected,
            fit.batch_size,
        ));
    }
    if let Some(label) = images.labels().iter().find(|&&label| label >= classes) {
        let expected = format!("below {classes}");
        return Err(TrainError::parameter("labels", expected, label));
    }
    Ok(())
}
