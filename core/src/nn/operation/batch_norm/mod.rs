//! Batch normalization, with the rectifier that follows it.

mod passes;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};

use self::passes::{BLOCK, Channel};
use super::operand::Operand;
use super::values::{Float, by_type, elements, same_type, stored};

/// Batch normalization of the channels of `x` of shape `[n, channels, ..]`:
/// `(x - mean) / sqrt(variance + epsilon) * weight + bias`, where the mean and the variance of a
/// channel are taken over all its elements in the batch, or are those of earlier batches.
///
/// The statistics of earlier batches are values: training returns new ones, and nothing is changed
/// in place. To recompute them for fixed weights, begin with [`BatchNormStatistics::new`], set
/// `momentum` to `None`, and run [`BatchNorm::train`] over some batches.
///
/// Each direction reads its operands twice: once for the sums over a channel, once for the result.
/// The rectifier costs no pass of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance: finite and at least 0.
    pub epsilon: f64,
    /// The weight of a batch in the running statistics, from 0 to 1; with `None` they are the
    /// mean over all batches.
    pub momentum: Option<f64>,
    /// Whether negative results become zero. The gradient at zero is zero.
    pub relu: bool,
}

impl Default for BatchNorm {
    /// Epsilon 1e-5, momentum 0.1, no rectifier.
    fn default() -> Self {
        Self {
            epsilon: 1e-5,
            momentum: Some(0.1),
            relu: false,
        }
    }
}

/// What batches have shown of each channel.
#[derive(Clone, Debug)]
pub struct BatchNormStatistics {
    /// Shape `[channels]`.
    pub mean: Tensor,
    /// Shape `[channels]`; the estimate without bias, i.e. divided by the number of elements less
    /// one.
    pub variance: Tensor,
    /// The number of batches that they are from.
    pub batches: u64,
}

impl BatchNormStatistics {
    /// Mean 0 and variance 1, from no batch.
    ///
    /// # Errors
    /// Candle's error when the type is none of floating point.
    pub fn new(channels: usize, dtype: DType) -> Result<Self> {
        let device = &candle_core::Device::Cpu;
        Ok(Self {
            mean: Tensor::zeros(channels, dtype, device)?,
            variance: Tensor::ones(channels, dtype, device)?,
            batches: 0,
        })
    }

    /// The statistics after one more batch, whose weight is `momentum`.
    fn updated(&self, batch: &Moments, momentum: Option<f64>, dtype: DType) -> Result<Self> {
        let batches = self.batches + 1;
        let weight = momentum.unwrap_or(1.0 / batches as f64);
        // old + weight (new - old); the weight 1 / batches makes it the mean over all batches.
        let update = |old: &Tensor, new: Vec<f64>| -> Result<Tensor> {
            let old = old.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            let mixed = old
                .into_iter()
                .zip(new)
                .map(|(old, new)| old + weight * (new - old));
            let mixed: Vec<f64> = mixed.collect();
            Tensor::new(mixed, self.mean.device())?.to_dtype(dtype)
        };
        // Running variances divide by n - 1, as PyTorch's do.
        let (count, channels) = (batch.count as f64, batch.squares.iter());
        let variance = channels.map(|squares| squares / (count - 1.0)).collect();
        Ok(Self {
            mean: update(&self.mean, batch.mean.clone())?,
            variance: update(&self.variance, variance)?,
            batches,
        })
    }
}

impl BatchNorm {
    /// Normalizes with the statistics of this batch; the gradient passes through them. Returns the
    /// result and the running statistics after this batch.
    ///
    /// # Errors
    /// Candle's error when shapes or types disagree, an option is not in its range, a channel has
    /// fewer than two elements, or the tensors are not on the CPU.
    pub fn train(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        running: &BatchNormStatistics,
    ) -> Result<(Tensor, BatchNormStatistics)> {
        self.check(x, weight, bias, running)?;
        let x = x.contiguous()?;
        let batch = by_type!("batch_norm", x.dtype(), moments(&x))?;
        if batch.count < 2 {
            candle_core::bail!(
                "batch_norm: a variance needs at least 2 elements in each channel, found x {:?}",
                x.dims()
            );
        }
        // The running estimate divides by n - 1, the normalization of the batch by n.
        let running = running.updated(&batch, self.momentum, x.dtype())?;
        let variance = batch.squares.iter().map(|sum| sum / batch.count as f64);
        let operation = Normalize {
            scale: self.inverse_deviations(variance),
            mean: batch.mean,
            relu: self.relu,
            statistics_depend_on_x: true,
        };
        let y = x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, operation)?;
        Ok((y, running))
    }

    /// Normalizes with statistics of earlier batches, which are constants for the gradient: for
    /// evaluation, and for training with frozen statistics.
    ///
    /// # Errors
    /// Candle's error when shapes or types disagree, an option is not in its range, or the tensors
    /// are not on the CPU.
    pub fn frozen(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        statistics: &BatchNormStatistics,
    ) -> Result<Tensor> {
        self.check(x, weight, bias, statistics)?;
        let values = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
        let operation = Normalize {
            scale: self.inverse_deviations(values(&statistics.variance)?.into_iter()),
            mean: values(&statistics.mean)?,
            relu: self.relu,
            statistics_depend_on_x: false,
        };
        let x = x.contiguous()?;
        x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, operation)
    }

    fn inverse_deviations(&self, variances: impl Iterator<Item = f64>) -> Vec<f64> {
        let deviations = variances.map(|variance| (variance + self.epsilon).sqrt());
        deviations.map(f64::recip).collect()
    }

    fn check(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        statistics: &BatchNormStatistics,
    ) -> Result<()> {
        if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            candle_core::bail!(
                "batch_norm: epsilon must be finite and at least 0, found {}",
                self.epsilon
            );
        }
        if let Some(momentum) = self.momentum
            && !(0.0..=1.0).contains(&momentum)
        {
            candle_core::bail!("batch_norm: momentum must be from 0 to 1, found {momentum}");
        }
        same_type("batch_norm", &[x, weight, bias])?;
        if x.rank() < 2 {
            candle_core::bail!(
                "batch_norm: expected x [n, channels, ..], found {:?}",
                x.dims()
            );
        }
        let vectors = [
            ("weight", weight),
            ("bias", bias),
            ("mean", &statistics.mean),
            ("variance", &statistics.variance),
        ];
        for (name, vector) in vectors {
            if vector.dims() != [x.dims()[1]] {
                candle_core::bail!(
                    "batch_norm: a {name} {:?} for x {:?}",
                    vector.dims(),
                    x.dims()
                );
            }
        }
        Ok(())
    }
}

/// Mean and sum of squared deviations of each channel of a batch.
struct Moments {
    mean: Vec<f64>,
    squares: Vec<f64>,
    /// Elements of a channel.
    count: usize,
}

/// The moments in one pass over memory: each block gives its mean and then, still in the cache,
/// its squared deviations; blocks are merged by the formula of Chan, Golub and `LeVeque` (1983),
/// which does not cancel.
fn moments<T: Float>(x: &Tensor) -> Result<Moments> {
    let (channels, plane) = planes(x.shape());
    let operand = Operand::new(x);
    let values = operand.values::<T>()?;
    let mut moments = Moments {
        mean: vec![0.0; channels],
        squares: vec![0.0; channels],
        count: 0,
    };
    let mut counts = vec![0.0; channels];
    for (index, plane) in values.chunks_exact(plane.max(1)).enumerate() {
        let channel = index % channels;
        for block in plane.chunks(BLOCK) {
            let (old, new) = (counts[channel], block.len() as f64);
            let (mean, squares) = passes::block_moments(block);
            // With n and m elements so far and in the block, and d the difference of their means:
            // mean += d m / (n + m), squares += new squares + d^2 n m / (n + m).
            let difference = mean - moments.mean[channel];
            moments.mean[channel] += difference * new / (old + new);
            moments.squares[channel] += squares + difference * difference * old * new / (old + new);
            counts[channel] = old + new;
        }
    }
    moments.count = counts.first().map_or(0, |&count| count as usize);
    Ok(moments)
}

/// The number of channels, and the elements of one channel of one image.
fn planes(shape: &Shape) -> (usize, usize) {
    let dims = shape.dims();
    (dims[1], dims[2..].iter().product())
}

/// The normalization with given statistics, one number a channel.
struct Normalize {
    mean: Vec<f64>,
    /// The inverse of the standard deviation.
    scale: Vec<f64>,
    relu: bool,
    /// Whether the gradient of `x` has a part that comes from the statistics.
    statistics_depend_on_x: bool,
}

impl Normalize {
    fn channels<T: Float>(&self, weight: &[T], bias: &[T]) -> Vec<Channel<T>> {
        let parameters = weight.iter().zip(bias);
        let statistics = self.mean.iter().zip(&self.scale);
        parameters
            .zip(statistics)
            .map(|((weight, &bias), (&mean, scale))| Channel {
                mean: T::from_f64(mean),
                slope: T::from_f64(weight.to_f64() * scale),
                bias,
            })
            .collect()
    }
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "batch_norm"
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
        by_type!(
            self.name(),
            x.dtype(),
            forward(
                self,
                (x, x_layout),
                (weight, weight_layout),
                (bias, bias_layout)
            )
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_type!(
            self.name(),
            x.dtype(),
            backward(self, x, weight, bias, gradient)
        )
    }
}

fn forward<T: Float>(
    operation: &Normalize,
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let shape = x.1.shape();
    let (_, plane) = planes(shape);
    let weight = elements::<T>(weight.0, weight.1)?;
    let bias = elements::<T>(bias.0, bias.1)?;
    let channels = operation.channels(weight, bias);
    let values = elements::<T>(x.0, x.1)?;
    let mut results = Vec::with_capacity(values.len());
    let planes = values.chunks_exact(plane.max(1));
    for (plane, &channel) in planes.zip(channels.iter().cycle()) {
        for x in plane.chunks(BLOCK) {
            // Grown block by block: written while it is in the cache.
            let start = results.len();
            results.resize(start + x.len(), T::zero());
            let results = &mut results[start..];
            passes::normalize(channel, operation.relu, x, results);
        }
    }
    Ok(stored(results, shape))
}

/// Gradients of the input, the weight and the bias.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Float>(
    operation: &Normalize,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    let gradient = &gradient.contiguous()?;
    let (count, plane) = planes(x.shape());
    let plane = plane.max(1);
    let operands = [x, weight, bias, gradient].map(Operand::new);
    let [values, weights, biases, gradients] = operands.each_ref().map(Operand::values::<T>);
    let (values, gradients) = (values?, gradients?);
    let channels = operation.channels(weights?, biases?);
    let relu = operation.relu;

    // Sums over each channel of the gradient, and of its product with the centered input.
    let mut sums = vec![(0.0, 0.0); count];
    let planes = values
        .chunks_exact(plane)
        .zip(gradients.chunks_exact(plane));
    for (index, (x, g)) in planes.clone().enumerate() {
        let (total, product) = &mut sums[index % count];
        for (x, g) in x.chunks(BLOCK).zip(g.chunks(BLOCK)) {
            let of_block = passes::gradient_sums(channels[index % count], relu, x, g);
            *total += of_block.0;
            *product += of_block.1;
        }
    }

    let to_x = if x.track_op() {
        let mut to_x = Vec::with_capacity(values.len());
        let per_channel = (values.len() / count.max(1)) as f64;
        for (index, (x, g)) in planes.enumerate() {
            // What the mean and the variance pass on: the gradient loses its mean and its
            // component along the normalized input.
            let lost = operation.statistics_depend_on_x.then(|| {
                let (total, product) = sums[index % count];
                let scale = operation.scale[index % count];
                [total, product * scale * scale].map(|sum| T::from_f64(sum / per_channel))
            });
            for (x, g) in x.chunks(BLOCK).zip(g.chunks(BLOCK)) {
                let start = to_x.len();
                to_x.resize(start + x.len(), T::zero());
                let to_x = &mut to_x[start..];
                passes::input_gradient(channels[index % count], relu, lost, x, g, to_x);
            }
        }
        Some(Tensor::from_vec(to_x, x.shape(), x.device())?)
    } else {
        None
    };
    // With z the normalized input: dweight = sum g z, dbias = sum g.
    let vector = |values: Vec<f64>| -> Result<Option<Tensor>> {
        let values: Vec<T> = values.into_iter().map(T::from_f64).collect();
        Tensor::from_vec(values, count, x.device()).map(Some)
    };
    let to_weight = sums.iter().zip(&operation.scale);
    let to_weight = vector(
        to_weight
            .map(|((_, product), scale)| product * scale)
            .collect(),
    )?;
    let to_bias = vector(sums.iter().map(|(total, _)| *total).collect())?;
    Ok((to_x, to_weight, to_bias))
}
