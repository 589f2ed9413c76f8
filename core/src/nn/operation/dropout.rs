//! Dropout from a stream that a seed selects.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rand::RngCore;

use super::values::{Float, by_type, elements, stored, with_elements};
use crate::nn::vector::vectorized;
use crate::seed::SeedTree;

/// Sets each element to zero with this probability and divides the others by the probability that
/// they stay (Srivastava et al., JMLR 2014, in the inverted form). Evaluation leaves it out.
///
/// What is dropped depends on the seed alone: give each step and each layer a seed of its own. The
/// backward pass draws it again instead of keeping it.
///
/// An element takes 16 bits of the stream, so that the probability is rounded to a multiple of
/// `2^-16`, below 1. The others are divided by what that leaves, so that the mean is exact.
///
/// # Errors
/// Candle's error for a probability outside `[0, 1)`, another type than f32 and f64, or tensors that
/// are not on the CPU.
pub fn dropout(x: &Tensor, probability: f64, seed: &SeedTree) -> Result<Tensor> {
    if !(0.0..1.0).contains(&probability) {
        candle_core::bail!("dropout: expected a probability in [0, 1), found {probability}");
    }
    let operation = Dropout {
        threshold: (probability * LEVELS).round().min(LEVELS - 1.0) as u16,
        seed: *seed,
    };
    x.contiguous()?.apply_op1(operation)
}

/// The number of values of a draw.
const LEVELS: f64 = 65_536.0;

struct Dropout {
    /// Elements with a draw below are dropped.
    threshold: u16,
    seed: SeedTree,
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!("dropout", x.dtype(), forward(self, x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!("dropout", x.dtype(), backward(self, gradient)).map(Some)
    }
}

fn forward<T: Float>(
    operation: &Dropout,
    x: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    Ok(stored(operation.apply(x), layout.shape()))
}

fn backward<T: Float>(operation: &Dropout, gradient: &Tensor) -> Result<Tensor> {
    let to_x = with_elements(
        [gradient],
        |[values]: [&[T]; 1]| Ok(operation.apply(values)),
    )?;
    Tensor::from_vec(to_x, gradient.shape(), gradient.device())
}

impl Dropout {
    fn apply<T: Float>(&self, values: &[T]) -> Vec<T> {
        const BLOCK: usize = 512;
        let threshold = self.threshold;
        let factor = T::from_f64(LEVELS / (LEVELS - f64::from(threshold)));
        let mut rng = self.seed.rng();
        vectorized(
            #[inline(always)]
            move |_| {
                let mut result = Vec::with_capacity(values.len());
                let mut bytes = [[0; 2]; BLOCK];
                let mut block = [T::zero(); BLOCK];
                for values in values.chunks(BLOCK) {
                    // A block is a whole number of the generator's words: blocks do not show in the
                    // stream.
                    rng.fill_bytes(bytes[..values.len()].as_flattened_mut());
                    for ((y, &x), &draw) in block.iter_mut().zip(values).zip(&bytes) {
                        // Selected, not multiplied by 0: what is dropped may be infinite.
                        let dropped = u16::from_le_bytes(draw) < threshold;
                        *y = if dropped { T::zero() } else { x * factor };
                    }
                    result.extend_from_slice(&block[..values.len()]);
                }
                result
            },
        )
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_f32_gradient, draw, gradient_of, values};

    #[test]
    fn the_seed_says_what_is_dropped() {
        let x = draw("x", (100, 100));
        let seed = SeedTree::new(3).index(0);
        let first = values(&dropout(&x, 0.3, &seed).unwrap());
        assert_eq!(first, values(&dropout(&x, 0.3, &seed).unwrap()));
        let other = SeedTree::new(3).index(1);
        assert_ne!(first, values(&dropout(&x, 0.3, &other).unwrap()));

        // 10 000 draws: six standard deviations of their share are 0.0275.
        let dropped = first.iter().filter(|&&x| x == 0.0).count() as f64 / 1e4;
        assert!((dropped - 0.3).abs() < 0.0275, "{dropped}");
        for (after, before) in first.iter().zip(values(&x)) {
            assert!(*after == 0.0 || (after / before * 0.7 - 1.0).abs() < 1e-4);
        }
        assert_eq!(values(&dropout(&x, 0.0, &seed).unwrap()), values(&x));
    }

    #[test]
    fn the_same_elements_are_dropped_in_both_types_and_in_any_layout() {
        let seed = SeedTree::new(3);
        let x = draw("x", (40, 30));
        let dropped = |x: &Tensor| -> Vec<bool> {
            let y = dropout(x, 0.4, &seed).unwrap();
            values(&y).iter().map(|&y| y == 0.0).collect()
        };
        assert_eq!(dropped(&x), dropped(&x.to_dtype(DType::F32).unwrap()));
        assert_eq!(dropped(&x), dropped(&draw("y", (30, 40)).t().unwrap()));
    }

    #[test]
    fn dropped_elements_are_zero_whatever_they_were() {
        let x = Tensor::full(f32::INFINITY, 1000, &Device::Cpu).unwrap();
        let y = values(&dropout(&x, 0.5, &SeedTree::new(3)).unwrap());
        assert!(y.contains(&0.0) && y.iter().all(|y| !y.is_nan()));
        let nothing = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        let found = dropout(&nothing, 0.5, &SeedTree::new(3)).unwrap();
        assert_eq!(found.dims(), [0, 3]);
    }

    #[test]
    fn probabilities_near_their_bounds() {
        let (x, seed) = (draw("x", 2000), SeedTree::new(3));
        assert_eq!(values(&dropout(&x, 1e-9, &seed).unwrap()), values(&x));
        let nearly_all = values(&dropout(&x, 1.0 - 1e-9, &seed).unwrap());
        assert!(nearly_all.iter().filter(|&&y| y == 0.0).count() > 1990);
        for probability in [1.0, -0.1, f64::NAN] {
            assert!(dropout(&x, probability, &seed).is_err());
        }
    }

    #[test]
    fn the_gradient_is_that_of_what_stays() {
        let seed = SeedTree::new(3);
        assert_gradient(&[draw("x", (4, 5))], 1e-8, |x| {
            dropout(&x[0], 0.5, &seed)?.tanh()
        });
        assert_f32_gradient(&[draw("x", (30, 40))], 1e-6, |x| {
            dropout(&x[0].t()?, 0.5, &seed)
        });
        let x = draw("x", 2000);
        let gradient = gradient_of(&x, |x| dropout(x, 0.25, &seed));
        for (slope, y) in gradient
            .iter()
            .zip(values(&dropout(&x, 0.25, &seed).unwrap()))
        {
            assert_eq!(*slope, if y == 0.0 { 0.0 } else { 4.0 / 3.0 });
        }
    }
}
