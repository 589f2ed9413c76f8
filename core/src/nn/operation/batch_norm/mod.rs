//! Batch normalization, with the rectifier that follows it.

#[cfg(all(test, feature = "test-util"))]
mod tests;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};

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
    /// Added to the variance.
    pub epsilon: f64,
    /// The weight of a batch in the running statistics, between 0 and 1; with `None` they are the
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
    /// Candle's error when shapes or types disagree, a channel has fewer than two elements, or the
    /// tensors are not on the CPU.
    pub fn train(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        running: &BatchNormStatistics,
    ) -> Result<(Tensor, BatchNormStatistics)> {
        check(x, weight, bias, running)?;
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
    /// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
    pub fn frozen(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        statistics: &BatchNormStatistics,
    ) -> Result<Tensor> {
        check(x, weight, bias, statistics)?;
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
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor, running: &BatchNormStatistics) -> Result<()> {
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
        ("mean", &running.mean),
        ("variance", &running.variance),
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

/// Elements that are summed in their own type before they are added in f64.
const BLOCK: usize = 2048;

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
            let mean = sum(block, [], |value, []| value) / new;
            let center = T::from_f64(mean);
            let squares = sum(block, [], |value, []| (value - center) * (value - center));
            // The center is the mean rounded to the type: the sum is corrected for the difference.
            let rounding = mean - center.to_f64();
            // With n and m elements so far and in the block, and d the difference of their means:
            // mean += d m / (n + m), squares += new squares + d^2 n m / (n + m).
            let difference = mean - moments.mean[channel];
            moments.mean[channel] += difference * new / (old + new);
            moments.squares[channel] += squares - new * rounding * rounding
                + difference * difference * old * new / (old + new);
            counts[channel] = old + new;
        }
    }
    moments.count = counts.first().map_or(0, |&count| count as usize);
    Ok(moments)
}

/// The sum of a function of corresponding elements, in 32 partial sums of the type.
#[inline(always)]
fn sum<T: Float, const N: usize>(
    first: &[T],
    others: [&[T]; N],
    value: impl Fn(T, [T; N]) -> T,
) -> f64 {
    const LANES: usize = 32;
    let mut sums = [T::zero(); LANES];
    let whole = first.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let first = &first[start..][..LANES];
        let others = others.map(|other| &other[start..][..LANES]);
        for lane in 0..LANES {
            sums[lane] += value(first[lane], others.map(|other| other[lane]));
        }
    }
    // What does not fill the lanes is added to the first ones.
    for (index, &first) in first.iter().enumerate().skip(whole) {
        sums[index - whole] += value(first, others.map(|other| other[index]));
    }
    let mut total = 0.0;
    for sum in sums {
        total += sum.to_f64();
    }
    total
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

/// The numbers of one channel: `(x - mean) * slope + bias`.
#[derive(Clone, Copy)]
struct Channel<T> {
    mean: T,
    slope: T,
    bias: T,
}

impl<T: Float> Channel<T> {
    #[inline(always)]
    fn apply(self, x: T) -> T {
        (x - self.mean) * self.slope + self.bias
    }

    /// The gradient before the rectifier.
    #[inline(always)]
    fn before_relu<const RELU: bool>(self, x: T, gradient: T) -> T {
        if RELU && self.apply(x) <= T::zero() {
            T::zero()
        } else {
            gradient
        }
    }
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
        if self.relu {
            by_type!(
                self.name(),
                x.dtype(),
                backward_with_relu(self, x, weight, bias, gradient)
            )
        } else {
            by_type!(
                self.name(),
                x.dtype(),
                backward_plain(self, x, weight, bias, gradient)
            )
        }
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
    let mut result = Vec::with_capacity(values.len());
    let planes = values.chunks_exact(plane.max(1));
    for (plane, channel) in planes.zip(channels.iter().cycle()) {
        if operation.relu {
            result.extend(plane.iter().map(|&x| {
                let y = channel.apply(x);
                // A NaN is not below zero: it stays.
                if y < T::zero() { T::zero() } else { y }
            }));
        } else {
            result.extend(plane.iter().map(|&x| channel.apply(x)));
        }
    }
    Ok(stored(result, shape))
}

/// Gradients of the input, the weight and the bias.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward_plain<T: Float>(
    operation: &Normalize,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    backward::<T, false>(operation, x, weight, bias, gradient)
}

fn backward_with_relu<T: Float>(
    operation: &Normalize,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    backward::<T, true>(operation, x, weight, bias, gradient)
}

fn backward<T: Float, const RELU: bool>(
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

    // Sums over each channel of the gradient, and of its product with the centered input.
    let mut sums = vec![(0.0, 0.0); count];
    let planes = values
        .chunks_exact(plane)
        .zip(gradients.chunks_exact(plane));
    for (index, (values, gradients)) in planes.clone().enumerate() {
        let channel = channels[index % count];
        let (total, product) = &mut sums[index % count];
        for (x, g) in values.chunks(BLOCK).zip(gradients.chunks(BLOCK)) {
            *total += sum(x, [g], |x, [g]| channel.before_relu::<RELU>(x, g));
            *product += sum(x, [g], |x, [g]| {
                channel.before_relu::<RELU>(x, g) * (x - channel.mean)
            });
        }
    }

    let to_x = if x.track_op() {
        let mut to_x = Vec::with_capacity(values.len());
        let per_channel = (values.len() / count.max(1)) as f64;
        for (index, (values, gradients)) in planes.enumerate() {
            let channel = channels[index % count];
            let (total, product) = sums[index % count];
            let pairs = values.iter().zip(gradients);
            if operation.statistics_depend_on_x {
                // What the mean and the variance pass on: the gradient loses its mean and its
                // component along the normalized input.
                let scale = operation.scale[index % count];
                let mean = T::from_f64(total / per_channel);
                let along = T::from_f64(product * scale * scale / per_channel);
                to_x.extend(pairs.map(|(&x, &g)| {
                    let g = channel.before_relu::<RELU>(x, g);
                    (g - mean - (x - channel.mean) * along) * channel.slope
                }));
            } else {
                to_x.extend(
                    pairs.map(|(&x, &g)| channel.before_relu::<RELU>(x, g) * channel.slope),
                );
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
