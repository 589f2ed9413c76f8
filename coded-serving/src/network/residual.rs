//! Invertible residual blocks.

use super::bijection::spectral_bound;
use super::{Batch, Bijection, Mlp, NetworkError, Tensors};

/// The iteration stops when a step is shorter than this, relative to the value.
const TOLERANCE: f32 = 1e-6;

/// The most iterations for a block: 0.9 to this power is 3e-9.
const MOST_ITERATIONS: usize = 186;

/// Residual blocks `y = x + F(x)` whose networks `F` shrink differences, so that `x <- y - F(x)`
/// converges to the inverse (J. Behrmann, W. Grathwohl, R. Chen, D. Duvenaud, J.-H. Jacobsen,
/// "Invertible Residual Networks", ICML 2019).
///
/// The networks here are fully connected; the convolutional ones of the paper are not.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    width: usize,
    blocks: Vec<Mlp>,
}

impl Residual {
    /// From the networks of the blocks. That they shrink differences is not required here: an
    /// inverse that does not converge is an error.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`] when a network does not map the values onto as many.
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

    /// From tensors `<prefix>block.<n>.<layer>.weight` and `.bias`.
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
            let target = values.clone();
            let mut step = f32::INFINITY;
            for _ in 0..MOST_ITERATIONS {
                let next = &target - block.forward(&values)?;
                // Each example has to settle, not only the longest.
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
            if step > TOLERANCE {
                return Err(NetworkError::NotConverged {
                    block: index,
                    iterations: MOST_ITERATIONS,
                    step,
                });
            }
        }
        Ok(values)
    }

    fn lipschitz_bounds(&self) -> (f64, f64) {
        let stretches: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| {
                let layers = block.layers().iter();
                layers.map(|layer| spectral_bound(layer.weight())).product()
            })
            .collect();
        let forward = stretches.iter().map(|stretch| 1.0 + stretch).product();
        let inverse = stretches
            .iter()
            .map(|stretch| {
                if *stretch < 1.0 {
                    1.0 / (1.0 - stretch)
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
        MOST_ITERATIONS as u64 * self.operations()
    }
}
