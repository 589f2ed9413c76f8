//! Additive coupling blocks.

use super::bijection::spectral_bound;
use super::{Array, Batch, Bijection, Mlp, NetworkError, Tensors};

/// Additive coupling: the values are permuted and split into halves `a` and `b`, and each block maps
/// `(a, b)` to `(b, a + m(b))` with a network `m`. The inverse takes one pass and is exact up to rounding,
/// for any `m` (L. Dinh, D. Krueger, Y. Bengio, "NICE", 2015; J.-H. Jacobsen, A. Smeulders, E. Oyallon,
/// "i-RevNet", ICLR 2018).
#[derive(Clone, Debug, PartialEq)]
pub struct Coupling {
    /// The permutation: the input at each position of the first half, then of the second.
    order: Vec<usize>,
    blocks: Vec<Mlp>,
}

impl Coupling {
    /// Coupling blocks from the permutation of the inputs and the networks of the blocks.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Tensor`] when `order` is not a permutation of an even number of inputs,
    /// [`NetworkError::Width`] when a network does not map halves to halves.
    pub fn new(order: Vec<usize>, blocks: Vec<Mlp>) -> Result<Self, NetworkError> {
        let mut seen = vec![false; order.len()];
        for &place in &order {
            if let Some(seen) = seen.get_mut(place) {
                *seen = true;
            }
        }
        if order.is_empty() || !order.len().is_multiple_of(2) || seen.contains(&false) {
            return Err(NetworkError::Tensor {
                name: "order".to_owned(),
                expected: "a permutation of an even number of inputs".to_owned(),
                found: vec![order.len()],
            });
        }
        let half = order.len() / 2;
        for (index, block) in blocks.iter().enumerate() {
            for found in [block.inputs(), block.outputs()] {
                if found != half {
                    return Err(NetworkError::Width {
                        layer: format!("block {index}"),
                        expected: half,
                        found,
                    });
                }
            }
        }
        Ok(Self { order, blocks })
    }

    /// Reads the tensors `<prefix>order` and `<prefix>block.<n>.<layer>.weight` and `.bias`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when a tensor is missing or has the wrong shape.
    pub fn from_tensors(tensors: &Tensors, prefix: &str) -> Result<Self, NetworkError> {
        let order = tensors.get(&format!("{prefix}order"))?;
        // Integers below 2^24 are exact in 32-bit floats; anything else fails the check for a permutation.
        let whole = |&place: &f32| {
            if place >= 0.0 && place.fract() == 0.0 {
                place as usize
            } else {
                usize::MAX
            }
        };
        let order = order.values.iter().map(whole).collect();
        let blocks = tensors
            .numbered(&format!("{prefix}block."), 1, ".0.weight")?
            .iter()
            .map(|name| Mlp::from_tensors(tensors, &format!("{name}."), 1))
            .collect::<Result<_, _>>()?;
        Self::new(order, blocks)
    }

    /// Adds the tensors that [`from_tensors`](Self::from_tensors) reads.
    pub fn insert_into(&self, tensors: &mut Tensors, prefix: &str) {
        let order = Array {
            shape: vec![self.order.len()],
            values: self.order.iter().map(|&place| place as f32).collect(),
        };
        tensors.insert(format!("{prefix}order"), order);
        for (n, block) in self.blocks.iter().enumerate() {
            block.insert_into(tensors, &format!("{prefix}block.{n}."));
        }
    }

    /// The networks of the blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Mlp] {
        &self.blocks
    }

    fn check(&self, layer: &str, x: &Batch) -> Result<(), NetworkError> {
        if x.nrows() == self.order.len() {
            return Ok(());
        }
        Err(NetworkError::Width {
            layer: layer.to_owned(),
            expected: self.order.len(),
            found: x.nrows(),
        })
    }

    /// Permutes and splits a batch into its halves.
    fn split(&self, x: &Batch) -> (Batch, Batch) {
        let half = self.order.len() / 2;
        let of = |order: &[usize]| Batch::from_fn(half, x.ncols(), |i, j| x[(order[i], j)]);
        (of(&self.order[..half]), of(&self.order[half..]))
    }

    /// The inverse of [`split`](Self::split).
    fn join(&self, a: &Batch, b: &Batch) -> Batch {
        let half = self.order.len() / 2;
        let mut x = Batch::zeros(self.order.len(), a.ncols());
        for column in 0..a.ncols() {
            for (place, &input) in self.order.iter().enumerate() {
                x[(input, column)] = if place < half {
                    a[(place, column)]
                } else {
                    b[(place - half, column)]
                };
            }
        }
        x
    }

    /// The gradient with respect to the input, from that with respect to the latents.
    #[cfg(feature = "train")]
    pub(crate) fn pull_back(&self, x: &Batch, gradient: &Batch) -> Result<Batch, NetworkError> {
        // Forward pass, keeping the input of each block's network.
        let (mut a, mut b) = self.split(x);
        let mut seconds = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let next = &a + block.forward(&b)?;
            a = std::mem::replace(&mut b, next);
            // The input of the block's network is now the first half.
            seconds.push(a.clone());
        }
        let half = self.order.len() / 2;
        let mut to_a = gradient.rows(0, half).into_owned();
        let mut to_b = gradient.rows(half, half).into_owned();
        // Backward through (a, b) -> (b, a + m(b)): the gradients (g, h) become (h, g + J_m^T h).
        for (block, seen) in self.blocks.iter().zip(&seconds).rev() {
            let to_seen = to_a + block.pull_back(seen, &to_b)?;
            to_a = std::mem::replace(&mut to_b, to_seen);
        }
        Ok(self.join(&to_a, &to_b))
    }
}

impl Bijection for Coupling {
    fn width(&self) -> usize {
        self.order.len()
    }

    fn forward(&self, x: &Batch) -> Result<Batch, NetworkError> {
        self.check("coupling", x)?;
        // (a, b) <- (b, a + m(b)) for each block.
        let (mut a, mut b) = self.split(x);
        for block in &self.blocks {
            let next = &a + block.forward(&b)?;
            a = std::mem::replace(&mut b, next);
        }
        let half = self.order.len() / 2;
        let mut latents = Batch::zeros(self.order.len(), x.ncols());
        latents.rows_mut(0, half).copy_from(&a);
        latents.rows_mut(half, half).copy_from(&b);
        Ok(latents)
    }

    fn inverse(&self, latents: &Batch) -> Result<Batch, NetworkError> {
        self.check("inverse of the coupling", latents)?;
        let half = self.order.len() / 2;
        let mut a = latents.rows(0, half).into_owned();
        let mut b = latents.rows(half, half).into_owned();
        // (a, b) <- (b - m(a), a) for each block, from the last.
        for block in self.blocks.iter().rev() {
            let before = &b - block.forward(&a)?;
            b = std::mem::replace(&mut a, before);
        }
        Ok(self.join(&a, &b))
    }

    fn lipschitz_bounds(&self) -> (f64, f64) {
        let bound = self.blocks.iter().map(lipschitz_of_block).product();
        (bound, bound)
    }

    fn operations(&self) -> u64 {
        self.blocks.iter().map(Mlp::operations).sum()
    }

    fn inverse_operations(&self) -> u64 {
        self.operations()
    }
}

/// A bound of the Lipschitz constant of a block and of its inverse. If the network has the constant `l`, a
/// block maps the norms `(p, q)` of differences to at most `(q, p + l q)`; that matrix has the spectral norm
/// `(l + sqrt(l^2 + 4)) / 2`, and so has its inverse.
fn lipschitz_of_block(block: &Mlp) -> f64 {
    let l: f64 = block
        .layers()
        .iter()
        .map(|layer| spectral_bound(layer.weight()))
        .product();
    0.5 * (l + (l * l + 4.0).sqrt())
}

/// The indices of the pixels of an image in row-major order: first those of one color of a checkerboard, then
/// the others.
#[must_use]
pub fn checkerboard(height: usize, width: usize) -> Vec<usize> {
    let pixels = || 0..height * width;
    let is_dark = |pixel: &usize| (pixel / width + pixel % width).is_multiple_of(2);
    let light = pixels().filter(|pixel| !is_dark(pixel));
    pixels().filter(is_dark).chain(light).collect()
}
