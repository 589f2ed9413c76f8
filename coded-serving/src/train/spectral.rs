//! Weights whose largest singular value is held to a bound.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

/// Iterations at the first use.
const AT_FIRST: usize = 30;
/// Iterations in a step: the vectors of the step before are a good start.
pub(super) const IN_A_STEP: usize = 1;
/// Iterations before weights are folded; `Coupling::lipschitz_bounds` tells what holds then.
pub(super) const TO_FOLD: usize = 300;

/// Holds the largest singular value `sigma` of a weight to a bound, by dividing the weight by
/// `max(1, sigma / bound)`; also gives the left singular vector found so far.
///
/// `sigma` is found by power iteration, whose vectors live outside the graph and are refined a little in
/// every step: `left` is the vector of the step before, empty at the first use (T. Miyato, T. Kataoka,
/// M. Koyama, Y. Yoshida, "Spectral Normalization", ICLR 2018). A weight that keeps the bound is left as
/// it is. Power iteration converges from below: `sigma` is an estimate, and the bound may be exceeded by
/// a little.
pub(super) fn bounded(
    weight: &Tensor,
    bound: f64,
    mut left: Vec<f64>,
    iterations: usize,
) -> Result<(Tensor, Vec<f64>)> {
    let (rows, columns) = weight.dims2()?;
    let matrix = numbers(weight)?;
    // The first use starts from a fixed vector without symmetry, and needs more iterations.
    let iterations = if left.len() == rows {
        iterations
    } else {
        left = (0..rows).map(|i| 1.0 + (i as f64).sin()).collect();
        iterations.max(AT_FIRST)
    };

    // Each iteration multiplies by the transposed weight, then by the weight.
    let mut right = vec![0.0; columns];
    let mut sigma = 0.0;
    for _ in 0..iterations {
        right.fill(0.0);
        for (row, &weight) in matrix.chunks_exact(columns).zip(&left) {
            for (sum, &value) in right.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        normalize(&mut right);
        for (product, row) in left.iter_mut().zip(matrix.chunks_exact(columns)) {
            *product = dot(row, &right);
        }
        sigma = normalize(&mut left);
    }

    // Only a weight beyond the bound is scaled, with a gradient that passes through sigma.
    if sigma <= bound {
        return Ok((weight.clone(), left));
    }
    let scaled = weight.contiguous()?.apply_op1(Scaled {
        factor: bound / sigma,
        sigma,
        left: left.clone(),
        right,
    })?;
    Ok((scaled, left))
}

/// `weight * factor`, where the factor is `bound / sigma` and `sigma = left^T weight right`.
struct Scaled {
    factor: f64,
    sigma: f64,
    left: Vec<f64>,
    right: Vec<f64>,
}

impl CustomOp1 for Scaled {
    fn name(&self) -> &'static str {
        "spectral bound"
    }

    fn cpu_fwd(&self, weight: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("expected a contiguous weight, found {layout:?}");
        };
        let scaled = match weight {
            CpuStorage::F32(values) => {
                let factor = self.factor as f32;
                let values = values[start..end].iter().map(|value| value * factor);
                CpuStorage::F32(values.collect())
            }
            CpuStorage::F64(values) => {
                let values = values[start..end].iter().map(|value| value * self.factor);
                CpuStorage::F64(values.collect())
            }
            _ => candle_core::bail!("expected a weight of type f32 or f64"),
        };
        Ok((scaled, layout.shape().clone()))
    }

    /// `factor (G - <G, W> / sigma u v^T)`.
    fn bwd(&self, weight: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let columns = self.right.len();
        let mut slope = numbers(gradient)?;
        let along = dot(&slope, &numbers(weight)?) / self.sigma;
        for (row, &left) in slope.chunks_exact_mut(columns).zip(&self.left) {
            for (value, &right) in row.iter_mut().zip(&self.right) {
                *value = self.factor * (*value - along * left * right);
            }
        }
        let slope = Tensor::from_vec(slope, weight.shape(), weight.device())?;
        slope.to_dtype(weight.dtype()).map(Some)
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums, so that the additions do not wait for each other.
    let mut sums = [0.0; 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Divides by the norm, which it returns.
fn normalize(vector: &mut [f64]) -> f64 {
    let norm = dot(vector, vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    norm
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{Device, Var};
    use septet_core::nn::{assert_gradient, initial};
    use septet_core::seed::SeedTree;

    use super::*;

    fn weight(deviation: f64) -> Tensor {
        let init = candle_nn::Init::Randn {
            mean: 0.0,
            stdev: deviation,
        };
        let seed = SeedTree::new(7);
        let weight = initial(&seed, "w", (6, 9), init, DType::F64, &Device::Cpu);
        weight.expect("a weight of 54 numbers")
    }

    #[test]
    fn large_singular_values_are_bounded_and_others_left() {
        for (deviation, is_bounded) in [(1.0, true), (1e-3, false)] {
            let weight = weight(deviation);
            let (bounded, _) = bounded(&weight, 0.9, Vec::new(), TO_FOLD).unwrap();
            let matrix = nalgebra::DMatrix::from_row_slice(6, 9, &numbers(&bounded).unwrap());
            let largest = matrix.singular_values()[0];
            if is_bounded {
                assert!((largest - 0.9).abs() < 1e-9, "{largest}");
            } else {
                assert_eq!(numbers(&bounded).unwrap(), numbers(&weight).unwrap());
            }
        }
    }

    #[test]
    fn the_gradient_is_right() {
        // The vectors have to be those of the weight: hundreds of iterations settle them.
        assert_gradient(&[weight(1.0)], 1e-6, |x| {
            bounded(&x[0], 0.9, Vec::new(), 2000)?.0.tanh()
        });
        // And no gradient gets lost in training.
        let weight = Var::from_tensor(&weight(1.0)).unwrap();
        let (bounded, _) = bounded(&weight, 0.9, Vec::new(), IN_A_STEP).unwrap();
        let loss = bounded.sum_all().unwrap();
        assert!(loss.backward().unwrap().get(&weight).is_some());
    }
}
