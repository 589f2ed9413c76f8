//! Invertible residual blocks.

use super::bijection::spectral_bound;
use super::{Batch, Bijection, Mlp, NetworkError, Tensors};

/// The relative step length at which the iteration stops.
const TOLERANCE: f32 = 1e-6;

/// The maximum number of iterations per block: enough for a contraction by 0.9, as 0.9^186 = 3e-9.
const MAX_ITERATIONS: usize = 186;

/// Residual blocks `y = x + F(x)` with contractive networks `F`, so that the iteration `x <- y - F(x)` converges
/// to the inverse (J. Behrmann, W. Grathwohl, R. Chen, D. Duvenaud, J.-H. Jacobsen, "Invertible Residual
/// Networks", ICML 2019).
///
/// The networks here are fully connected; those of the paper are convolutional.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    width: usize,
    blocks: Vec<Mlp>,
}

impl Residual {
    /// Residual blocks from their networks. They are not checked to be contractive: an inverse that does not
    /// converge is an error.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`] when a network does not have `width` inputs and outputs.
    pub fn new(width: usize, blocks: Vec<Mlp>) -> Result<Self, NetworkError> {
        for (index, block) in blocks.iter().enumerate() {
            for found in [block.inputs(), block.outputs()] {
                if found != width {
                    return Err(NetworkError::Width {
                        layer: format!("block {index}"),
                        expected: width,
                        found,
                    });
                }
            }
        }
        Ok(Self { width, blocks })
    }

    /// Reads the tensors `<prefix>block.<n>.<layer>.weight` and `.bias`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when a tensor is missing or has the wrong shape.
    pub fn from_tensors(
        tensors: &Tensors,
        prefix: &str,
        width: usize,
    ) -> Result<Self, NetworkError> {
        let blocks = tensors
            .numbered(&format!("{prefix}block."), 1, ".0.weight")?
            .iter()
            .map(|name| Mlp::from_tensors(tensors, &format!("{name}."), 1))
            .collect::<Result<_, _>>()?;
        Self::new(width, blocks)
    }

    /// Adds the tensors that [`from_tensors`](Self::from_tensors) reads.
    pub fn insert_into(&self, tensors: &mut Tensors, prefix: &str) {
        for (n, block) in self.blocks.iter().enumerate() {
            block.insert_into(tensors, &format!("{prefix}block.{n}."));
        }
    }

    fn check(&self, layer: &str, x: &Batch) -> Result<(), NetworkError> {
        if x.nrows() == self.width {
            return Ok(());
        }
        Err(NetworkError::Width {
            layer: layer.to_owned(),
            expected: self.width,
            found: x.nrows(),
        })
    }
}

impl Bijection for Residual {
    fn width(&self) -> usize {
        self.width
    }

    fn forward(&self, x: &Batch) -> Result<Batch, NetworkError> {
        self.check("residual blocks", x)?;
        let mut values = x.clone();
        for block in &self.blocks {
            values += block.forward(&values)?;
        }
        Ok(values)
    }

    fn inverse(&self, latents: &Batch) -> Result<Batch, NetworkError> {
        self.check("inverse of residual blocks", latents)?;
        let mut values = latents.clone();
        for (index, block) in self.blocks.iter().enumerate().rev() {
            // Fixed-point iteration for x = y - F(x), started at y.
            let target = values.clone();
            let mut step = f32::INFINITY;
            for _ in 0..MAX_ITERATIONS {
                let next = &target - block.forward(&values)?;
                // The maximum over the examples: each has to converge.
                step = next
                    .column_iter()
                    .zip(values.column_iter())
                    .map(|(next, value)| (next - value).norm() / next.norm().max(1.0))
                    .fold(0.0, |largest: f32, step| {
                        if step.is_nan() {
                            f32::INFINITY
                        } else {
                            largest.max(step)
                        }
                    });
                values = next;
                if step <= TOLERANCE || !step.is_finite() {
                    break;
                }
            }
            // Also for an infinite step, which stands for values that are not finite.
            if step > TOLERANCE {
                return Err(NetworkError::NotConverged {
                    block: index,
                    iterations: MAX_ITERATIONS,
                    step,
                });
            }
        }
        Ok(values)
    }

    fn lipschitz_bounds(&self) -> (f64, f64) {
        // A block with Lip(F) = l has the constants 1 + l and, if l < 1, 1 / (1 - l) for its inverse.
        let constants: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| {
                let layers = block.layers().iter();
                layers.map(|layer| spectral_bound(layer.weight())).product()
            })
            .collect();
        let forward = constants.iter().map(|l| 1.0 + l).product();
        let inverse = constants
            .iter()
            .map(|l| {
                if *l < 1.0 {
                    1.0 / (1.0 - l)
                } else {
                    f64::INFINITY
                }
            })
            .product();
        (forward, inverse)
    }

    fn operations(&self) -> u64 {
        self.blocks.iter().map(Mlp::operations).sum()
    }

    fn inverse_operations(&self) -> u64 {
        MAX_ITERATIONS as u64 * self.operations()
    }
}
