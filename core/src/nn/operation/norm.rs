//! Normalization over the last axis.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, copied, elements, same_type, stored};

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axis, with the biased
/// variance (Ba, Kiros and Hinton, arXiv 1607.06450). `weight` and `bias` have the length of that
/// axis. Candle's `LayerNorm` with a bias drops the gradient.
///
/// # Errors
/// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    check("layer_norm", x, &[weight, bias])?;
    x.contiguous()?.apply_op3(
        &weight.contiguous()?,
        &bias.contiguous()?,
        Layer { epsilon },
    )
}

/// `x / sqrt(mean x^2 + epsilon) * weight` over the last axis (Zhang and Sennrich, NeurIPS 2019).
/// Candle's `RmsNorm` drops the gradient.
///
/// # Errors
/// As [`layer_norm`].
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    check("rms_norm", x, &[weight])?;
    x.contiguous()?
        .apply_op2(&weight.contiguous()?, RootMeanSquare { epsilon })
}

fn check(name: &str, x: &Tensor, vectors: &[&Tensor]) -> Result<()> {
    let width = x.dims().last().copied().unwrap_or(0);
    for vector in vectors {
        same_type(name, &[x, vector])?;
        if vector.dims() != [width] || width == 0 {
            candle_core::bail!(
                "{name}: a vector {:?} for x {:?}, expected the length of its last axis",
                vector.dims(),
                x.dims()
            );
        }
    }
    Ok(())
}

struct Layer {
    epsilon: f64,
}

struct RootMeanSquare {
    epsilon: f64,
}

/// What to subtract from a row and what to multiply it by.
fn moments<T: Float>(row: &[T], centered: bool, epsilon: f64) -> (f64, f64) {
    let count = row.len() as f64;
    let mean = if centered {
        row.iter().map(|x| x.to_f64()).sum::<f64>() / count
    } else {
        0.0
    };
    let square = row.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>() / count;
    (mean, 1.0 / (square + epsilon).sqrt())
}

fn forward<T: Float>(
    (x, layout): (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
    epsilon: f64,
) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    let weight = elements::<T>(weight.0, weight.1)?;
    let bias = bias
        .map(|(bias, layout)| elements::<T>(bias, layout))
        .transpose()?;
    let mut result = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let (mean, scale) = moments(row, bias.is_some(), epsilon);
        result.extend(row.iter().enumerate().map(|(i, x)| {
            let normed = (x.to_f64() - mean) * scale * weight[i].to_f64();
            T::from_f64(normed + bias.map_or(0.0, |bias| bias[i].to_f64()))
        }));
    }
    Ok(stored(result, layout.shape()))
}

/// The gradients in `x`, weight and bias. With `z` the normalized row and `h = g weight`:
/// `scale (h - mean h - z mean (h z))`, without `mean h` when nothing is subtracted.
fn backward<T: Float>(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    centered: bool,
    epsilon: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let (values, gradient) = (copied::<T>(x)?, copied::<T>(gradient)?);
    let weight_values = copied::<T>(weight)?;
    let width = weight_values.len();
    let mut to_x = Vec::with_capacity(values.len());
    let (mut to_weight, mut to_bias) = (vec![0.0; width], vec![0.0; width]);
    let (mut z, mut h) = (vec![0.0; width], vec![0.0; width]);
    for (row, gradient) in values.chunks_exact(width).zip(gradient.chunks_exact(width)) {
        let (mean, scale) = moments(row, centered, epsilon);
        let (mut mean_h, mut mean_hz) = (0.0, 0.0);
        for i in 0..width {
            let g = gradient[i].to_f64();
            z[i] = (row[i].to_f64() - mean) * scale;
            h[i] = g * weight_values[i].to_f64();
            to_weight[i] += g * z[i];
            to_bias[i] += g;
            mean_h += h[i] / width as f64;
            mean_hz += h[i] * z[i] / width as f64;
        }
        if !centered {
            mean_h = 0.0;
        }
        let pairs = h.iter().zip(&z);
        to_x.extend(pairs.map(|(h, z)| T::from_f64(scale * (h - mean_h - z * mean_hz))));
    }
    let vector = |values: Vec<f64>| {
        let values: Vec<T> = values.into_iter().map(T::from_f64).collect();
        Tensor::from_vec(values, width, x.device())
    };
    Ok((
        Tensor::from_vec(to_x, x.shape(), x.device())?,
        vector(to_weight)?,
        vector(to_bias)?,
    ))
}

impl CustomOp3 for Layer {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (vector, shift) = ((weight, weight_layout), Some((bias, bias_layout)));
        by_type!(
            self.name(),
            x.dtype(),
            forward((x, x_layout), vector, shift, self.epsilon)
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (to_x, to_weight, to_bias) = by_type!(
            self.name(),
            x.dtype(),
            backward(x, weight, gradient, true, self.epsilon)
        )?;
        Ok((Some(to_x), Some(to_weight), Some(to_bias)))
    }
}

impl CustomOp2 for RootMeanSquare {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(
            self.name(),
            x.dtype(),
            forward((x, x_layout), (weight, weight_layout), None, self.epsilon)
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (to_x, to_weight, _) = by_type!(
            self.name(),
            x.dtype(),
            backward(x, weight, gradient, false, self.epsilon)
        )?;
        Ok((Some(to_x), Some(to_weight)))
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_nn::ops;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    /// Candle takes it in f32: a power of two is the same in both.
    const EPSILON: f64 = 1.0 / 1024.0;

    #[test]
    fn they_are_those_of_candle() {
        let (x, w, b) = (draw("x", (2, 3, 5)), draw("w", 5), draw("b", 5));
        let ours = layer_norm(&x, &w, &b, EPSILON).unwrap();
        let theirs = ops::layer_norm_slow(&x, &w, &b, EPSILON as f32).unwrap();
        assert_close(&ours, &theirs, 1e-12);
        let theirs = ops::rms_norm_slow(&x, &w, EPSILON as f32).unwrap();
        assert_close(&rms_norm(&x, &w, EPSILON).unwrap(), &theirs, 1e-12);
    }

    #[test]
    fn gradients_are_right() {
        let inputs = [draw("x", (2, 3, 5)), draw("w", 5), draw("b", 5)];
        assert_gradient(&inputs, 1e-8, |x| {
            layer_norm(&x[0], &x[1], &x[2], 1e-3)?.tanh()
        });
        assert_gradient(&inputs[..2], 1e-8, |x| rms_norm(&x[0], &x[1], 1e-3)?.tanh());
        let turned = [draw("x", (5, 4)), draw("w", 5), draw("b", 5)];
        assert_gradient(&turned, 1e-8, |x| {
            layer_norm(&x[0].t()?, &x[1], &x[2], 1e-3)?.tanh()
        });
    }

    #[test]
    fn a_vector_of_another_length_is_an_error() {
        let error = rms_norm(&draw("x", (2, 3)), &draw("w", 2), 1e-3).unwrap_err();
        assert!(error.to_string().contains("[2] for x [2, 3]"), "{error}");
    }
}
