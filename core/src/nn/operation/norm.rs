//! Normalization over the last axis.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::nn::vector::{sum, sum_of_pairs, vectorized};

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
        Layer(Moments::new(epsilon)),
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
        .apply_op2(&weight.contiguous()?, RootMeanSquare(Moments::new(epsilon)))
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

struct Layer(Moments);

struct RootMeanSquare(Moments);

/// What the forward pass keeps for the backward pass: 16 bytes for each row.
struct Moments {
    epsilon: f64,
    /// The [`moments`] of each row.
    of_rows: OnceLock<Vec<(f64, f64)>>,
}

impl Moments {
    fn new(epsilon: f64) -> Self {
        Self {
            epsilon,
            of_rows: OnceLock::new(),
        }
    }
}

/// What to subtract from a row and what to multiply it by. Squares that overflow are summed again in
/// f64, so that rows of large numbers are normalized too.
#[inline(always)]
fn moments<T: Float>(row: &[T], centered: bool, epsilon: f64) -> (T, T) {
    let count = row.len() as f64;
    let mean = if centered {
        T::from_f64(
            sum(
                row,
                #[inline(always)]
                |x| x,
            ) / count,
        )
    } else {
        T::zero()
    };
    // Around the mean: the difference of two means of squares would cancel.
    let squares = sum(
        row,
        #[inline(always)]
        |x| (x - mean) * (x - mean),
    );
    if !squares.is_finite() {
        return wide_moments(row, centered, epsilon);
    }
    (mean, T::from_f64(1.0 / (squares / count + epsilon).sqrt()))
}

/// [`moments`] in f64 throughout.
#[cold]
fn wide_moments<T: Float>(row: &[T], centered: bool, epsilon: f64) -> (T, T) {
    let count = row.len() as f64;
    let values = row.iter().map(|x| x.to_f64());
    let mean = if centered {
        values.clone().sum::<f64>() / count
    } else {
        0.0
    };
    let squares: f64 = values.map(|x| (x - mean) * (x - mean)).sum();
    (
        T::from_f64(mean),
        T::from_f64(1.0 / (squares / count + epsilon).sqrt()),
    )
}

fn forward<T: Float>(
    (x, layout): (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
    kept: &Moments,
) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    let weight = elements::<T>(weight.0, weight.1)?;
    let bias = bias
        .map(|(bias, layout)| elements::<T>(bias, layout))
        .transpose()?;
    let mut result = Vec::with_capacity(x.len());
    let mut block = vec![T::zero(); weight.len()];
    let mut of_rows = Vec::with_capacity(x.len() / weight.len());
    let epsilon = kept.epsilon;
    vectorized(
        #[inline(always)]
        |_| {
            for row in x.chunks_exact(weight.len()) {
                let (mean, scale) = moments(row, bias.is_some(), epsilon);
                of_rows.push((mean.to_f64(), scale.to_f64()));
                let terms = block.iter_mut().zip(row).zip(weight);
                // With a bias it is layer normalization; root mean squares have neither bias nor
                // mean.
                if let Some(bias) = bias {
                    for (((y, &x), &weight), &bias) in terms.zip(bias) {
                        *y = (x - mean) * scale * weight + bias;
                    }
                } else {
                    for ((y, &x), &weight) in terms {
                        *y = x * scale * weight;
                    }
                }
                result.extend_from_slice(&block);
            }
        },
    );
    // An operation runs forward once: nothing is there yet.
    let _ = kept.of_rows.set(of_rows);
    Ok(stored(result, layout.shape()))
}

/// The gradients in `x`, weight and bias. With `z` the normalized row and `h = g weight`:
/// `scale (h - mean h - z mean (h z))`, without `mean h` when nothing is subtracted.
fn backward<T: Float>(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    centered: bool,
    kept: &Moments,
) -> Result<(Tensor, Tensor, Tensor)> {
    /// Rows whose gradients of weight and bias are added up before they go to the totals in f64.
    const GROUP: usize = 32;
    let width = weight.elem_count();
    let mut of_rows = kept.of_rows.get().map_or(&[][..], Vec::as_slice).iter();
    let mut to_x = Vec::with_capacity(x.elem_count());
    let (mut to_weight, mut to_bias) = (vec![0.0; width], vec![0.0; width]);
    with_elements([x, weight, gradient], |[values, weight, gradients]| {
        let vector = || vec![T::zero(); width];
        let (mut z, mut h) = (vector(), vector());
        let (mut of_weight, mut of_bias) = (vector(), vector());
        vectorized(
            #[inline(always)]
            |_| {
                let groups = values.chunks(GROUP * width);
                for (values, gradients) in groups.zip(gradients.chunks(GROUP * width)) {
                    // Few rows are summed in the type of x, their groups in f64: the rounding error
                    // does not grow with the batch.
                    of_weight.fill(T::zero());
                    of_bias.fill(T::zero());
                    let rows = values.chunks_exact(width);
                    let rows = rows.zip(gradients.chunks_exact(width)).zip(&mut of_rows);
                    for ((row, gradient), &(mean, scale)) in rows {
                        let (mean, scale) = (T::from_f64(mean), T::from_f64(scale));
                        // z = (x - mean) scale and h = g weight.
                        for (((z, h), (&x, &g)), &weight) in z
                            .iter_mut()
                            .zip(&mut h)
                            .zip(row.iter().zip(gradient))
                            .zip(weight)
                        {
                            *z = (x - mean) * scale;
                            *h = g * weight;
                        }
                        // dweight = sum g z, dbias = sum g.
                        for (((to_weight, to_bias), &z), &g) in
                            of_weight.iter_mut().zip(&mut of_bias).zip(&z).zip(gradient)
                        {
                            *to_weight += g * z;
                            *to_bias += g;
                        }
                        // The normalization removes the components along z and, when centered,
                        // along 1: the gradient loses them.
                        let mean_of_h = if centered {
                            T::from_f64(
                                sum(
                                    &h,
                                    #[inline(always)]
                                    |h| h,
                                ) / width as f64,
                            )
                        } else {
                            T::zero()
                        };
                        let mean_of_hz = sum_of_pairs(
                            &h,
                            &z,
                            #[inline(always)]
                            |h, z| h * z,
                        );
                        let mean_of_hz = T::from_f64(mean_of_hz / width as f64);
                        for (h, &z) in h.iter_mut().zip(&z) {
                            *h = scale * (*h - mean_of_h - z * mean_of_hz);
                        }
                        to_x.extend_from_slice(&h);
                    }
                    for (total, &part) in to_weight.iter_mut().zip(&of_weight) {
                        *total += part.to_f64();
                    }
                    for (total, &part) in to_bias.iter_mut().zip(&of_bias) {
                        *total += part.to_f64();
                    }
                }
            },
        );
        Ok(())
    })?;
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
            forward((x, x_layout), vector, shift, &self.0)
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
            backward(x, weight, gradient, true, &self.0)
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
            forward((x, x_layout), (weight, weight_layout), None, &self.0)
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
            backward(x, weight, gradient, false, &self.0)
        )?;
        Ok((Some(to_x), Some(to_weight)))
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::ops;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{
        assert_close, assert_f32_gradient, draw, gradient_of, values,
    };

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
    fn f32_follows_f64() {
        let single = |x: &Tensor| x.to_dtype(DType::F32).unwrap();
        for width in [1, 2, 17, 600] {
            let x = ((draw("x", (70, width)) * 3.0).unwrap() + 10.0).unwrap();
            // The same numbers in both: differences within a row may be as small as their rounding.
            let inputs = [x, draw("w", width), draw("b", width)]
                .map(|x| single(&x).to_dtype(DType::F64).unwrap());
            let [x, w, b] = &inputs;
            let found = layer_norm(&single(x), &single(w), &single(b), 1e-2).unwrap();
            assert_close(&found, &layer_norm(x, w, b, 1e-2).unwrap(), 2e-5);
            let found = rms_norm(&single(x), &single(w), 1e-2).unwrap();
            assert_close(&found, &rms_norm(x, w, 1e-2).unwrap(), 2e-6);
            assert_f32_gradient(&inputs, 2e-5, |x| layer_norm(&x[0], &x[1], &x[2], 1e-2));
            assert_f32_gradient(&inputs[..2], 2e-6, |x| rms_norm(&x[0], &x[1], 1e-2));
        }
    }

    #[test]
    fn squares_may_overflow() {
        let single = |x: &Tensor| x.to_dtype(DType::F32).unwrap();
        let [w, b] = [draw("w", 40), draw("b", 40)].map(|x| single(&x));
        let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
        for size in [1e20, 1e30, 1e37] {
            // The first rows overflow, the last ones do not.
            let x = (draw("x", (3, 40)) * size).unwrap();
            let x = single(&Tensor::cat(&[x, draw("y", (3, 40))], 0).unwrap());
            let found = layer_norm(&x, &w, &b, 1e-5).unwrap();
            let expected = layer_norm(&wide(&x), &wide(&w), &wide(&b), 1e-5).unwrap();
            assert_close(&found, &expected, 2e-5);
            let found = rms_norm(&x, &w, 1e-5).unwrap();
            assert_close(&found, &rms_norm(&wide(&x), &wide(&w), 1e-5).unwrap(), 2e-5);
            let found = gradient_of(&x, |x| layer_norm(x, &w, &b, 1e-5));
            assert!(found.iter().all(|g| g.is_finite()));
        }
        let infinite = Tensor::full(f32::INFINITY, (1, 40), &Device::Cpu).unwrap();
        let found = values(&layer_norm(&infinite, &w, &b, 1e-5).unwrap());
        assert!(found.iter().all(|y| y.is_nan()));
    }

    #[test]
    fn rows_of_one_number_constants_and_nothing() {
        let one = |value: f32| Tensor::new(&[value], &Device::Cpu).unwrap();
        let x = Tensor::new(&[[3f32], [-1e30]], &Device::Cpu).unwrap();
        let found = layer_norm(&x, &one(2.0), &one(0.5), 1e-5).unwrap();
        assert_eq!(values(&found), [0.5, 0.5]);
        let large = Tensor::full(1e15f32, (2, 40), &Device::Cpu).unwrap();
        let ones = Tensor::ones(40, DType::F32, &Device::Cpu).unwrap();
        let found = rms_norm(&large, &ones, 1e-5).unwrap();
        assert_close(&found, &large.ones_like().unwrap(), 1e-6);
        let nothing = Tensor::zeros((0, 40), DType::F32, &Device::Cpu).unwrap();
        let found = layer_norm(&nothing, &ones, &ones, 1e-5).unwrap();
        assert_eq!(found.dims(), [0, 40]);
    }

    #[test]
    fn a_vector_of_another_length_is_an_error() {
        let error = rms_norm(&draw("x", (2, 3)), &draw("w", 2), 1e-3).unwrap_err();
        assert!(error.to_string().contains("[2] for x [2, 3]"), "{error}");
    }
}
