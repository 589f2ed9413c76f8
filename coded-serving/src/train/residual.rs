//! Residual blocks under training.

use candle_core::{Result, Tensor};
use septet_core::nn::{DenseInit, Parameters, relu};
use septet_core::seed::SeedTree;

use super::TrainError;
use super::layer::Layer;
use crate::network::{Mlp, Residual};

/// Small fully connected residual blocks `y = x + F(x)` whose layers are bounded, so that the blocks have
/// inverses; becomes a [`Residual`].
#[derive(Debug)]
pub struct ResidualNetwork {
    width: usize,
    parameters: Parameters,
    blocks: Vec<[Layer; 2]>,
}

impl ResidualNetwork {
    /// Blocks drawn from the seed; `bound` is the largest singular value of each of their two layers.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for an empty network, or a bound that is not between 0 and 1.
    pub fn new(
        width: usize,
        hidden: usize,
        blocks: usize,
        bound: f64,
        seed: &SeedTree,
    ) -> std::result::Result<Self, TrainError> {
        if width == 0 || hidden == 0 || blocks == 0 {
            let found = format!("{width}, {hidden}, {blocks}");
            return Err(TrainError::parameter("size", "none is 0", found));
        }
        if !(bound > 0.0 && bound < 1.0) {
            let expected = "between 0 and 1, both excluded";
            return Err(TrainError::parameter("bound", expected, bound));
        }
        let parameters = Parameters::new(seed.child("residual network"));
        let blocks = (0..blocks)
            .map(|block| {
                let layer = |index, outputs, inputs, init| {
                    let name = format!("block.{block}.{index}");
                    Layer::new(&parameters, name, outputs, inputs, init, Some(bound))
                };
                Ok([
                    layer(0, hidden, width, DenseInit::He)?,
                    layer(1, width, hidden, DenseInit::Lecun)?,
                ])
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            width,
            parameters,
            blocks,
        })
    }

    /// The trained variables.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The latents of a batch of shape `[n, width]`.
    ///
    /// # Errors
    ///
    /// Those of candle, when the shape is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut values = x.clone();
        for [inner, outer] in &self.blocks {
            values = (&values + outer.forward(&relu(&inner.forward(&values)?)?)?)?;
        }
        Ok(values)
    }

    /// The blocks for inference, with bounded weights.
    ///
    /// # Errors
    ///
    /// Those of candle.
    pub fn residual(&self) -> std::result::Result<Residual, TrainError> {
        let blocks = self
            .blocks
            .iter()
            .map(|[inner, outer]| Ok(Mlp::new(vec![inner.fold("inner")?, outer.fold("outer")?])?))
            .collect::<std::result::Result<_, TrainError>>()?;
        Ok(Residual::new(self.width, blocks)?)
    }
}
