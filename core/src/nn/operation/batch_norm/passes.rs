//! The loops of batch normalization over a block of one channel, compiled for the processor.

use crate::nn::operation::values::Float;
use crate::nn::operation::vectorize::{Loop, vectorize};
use crate::nn::vector::{sum, two_sums};

/// Elements of a block. They stay in the first-level cache, and are summed in their own type
/// before they are added in f64.
pub(super) const BLOCK: usize = 2048;

/// The numbers of one channel: `(x - mean) * slope + bias`.
#[derive(Clone, Copy)]
pub(super) struct Channel<T> {
    pub(super) mean: T,
    pub(super) slope: T,
    pub(super) bias: T,
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

/// Mean and sum of squared deviations of a block.
pub(super) fn block_moments<T: Float>(block: &[T]) -> (f64, f64) {
    let mut moments = (0.0, 0.0);
    vectorize(Moments {
        block,
        moments: &mut moments,
    });
    if moments.1.is_finite() {
        return moments;
    }
    // The squares of large numbers overflow in f32.
    let values = || block.iter().map(|value| value.to_f64());
    let mean = values().sum::<f64>() / block.len() as f64;
    let squares = values().map(|value| (value - mean) * (value - mean)).sum();
    (mean, squares)
}

struct Moments<'a, T> {
    block: &'a [T],
    moments: &'a mut (f64, f64),
}

impl<T: Float> Loop for Moments<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let count = self.block.len() as f64;
        let total = sum(
            self.block,
            #[inline(always)]
            |value| value,
        );
        let mean = total / count;
        let center = T::from_f64(mean);
        let squares = sum(
            self.block,
            #[inline(always)]
            |value| (value - center) * (value - center),
        );
        // The center is the mean rounded to the type: the sum is corrected for the difference.
        let rounding = mean - center.to_f64();
        *self.moments = (mean, squares - count * rounding * rounding);
    }
}

/// The normalized block.
pub(super) fn normalize<T: Float>(channel: Channel<T>, relu: bool, x: &[T], results: &mut [T]) {
    if relu {
        vectorize(Normalize::<T, true> {
            channel,
            x,
            results,
        });
    } else {
        vectorize(Normalize::<T, false> {
            channel,
            x,
            results,
        });
    }
}

struct Normalize<'a, T, const RELU: bool> {
    channel: Channel<T>,
    x: &'a [T],
    results: &'a mut [T],
}

impl<T: Float, const RELU: bool> Loop for Normalize<'_, T, RELU> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for (result, &x) in self.results.iter_mut().zip(self.x) {
            let y = self.channel.apply(x);
            // A NaN is not below zero: it stays.
            *result = if RELU && y < T::zero() { T::zero() } else { y };
        }
    }
}

/// The sums over a block of the gradient, and of its product with the centered input.
pub(super) fn gradient_sums<T: Float>(
    channel: Channel<T>,
    relu: bool,
    x: &[T],
    gradient: &[T],
) -> (f64, f64) {
    if relu {
        gradient_sums_of::<T, true>(channel, x, gradient)
    } else {
        gradient_sums_of::<T, false>(channel, x, gradient)
    }
}

fn gradient_sums_of<T: Float, const RELU: bool>(
    channel: Channel<T>,
    x: &[T],
    gradient: &[T],
) -> (f64, f64) {
    let mut result = (0.0, 0.0);
    vectorize(GradientSums::<T, RELU> {
        channel,
        x,
        gradient,
        sums: &mut result,
    });
    if result.0.is_finite() && result.1.is_finite() {
        return result;
    }
    // Products of large numbers overflow in f32.
    let mut result = (0.0, 0.0);
    for (&x, &gradient) in x.iter().zip(gradient) {
        let gradient = channel.before_relu::<RELU>(x, gradient).to_f64();
        result.0 += gradient;
        result.1 += gradient * (x.to_f64() - channel.mean.to_f64());
    }
    result
}

struct GradientSums<'a, T, const RELU: bool> {
    channel: Channel<T>,
    x: &'a [T],
    gradient: &'a [T],
    sums: &'a mut (f64, f64),
}

impl<T: Float, const RELU: bool> Loop for GradientSums<'_, T, RELU> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let channel = self.channel;
        *self.sums = two_sums(
            [self.x, self.gradient, self.x],
            #[inline(always)]
            |x, gradient, _| {
                let gradient = channel.before_relu::<RELU>(x, gradient);
                (gradient, gradient * (x - channel.mean))
            },
        );
    }
}

/// `gradient * slope`, or `(gradient - mean - (x - mean of x) * along) * slope` for
/// `lost = [mean, along]`.
pub(super) fn input_gradient<T: Float>(
    channel: Channel<T>,
    relu: bool,
    lost: Option<[T; 2]>,
    x: &[T],
    gradient: &[T],
    to_x: &mut [T],
) {
    if relu {
        vectorize(InputGradient::<T, true> {
            channel,
            lost,
            x,
            gradient,
            to_x,
        });
    } else {
        vectorize(InputGradient::<T, false> {
            channel,
            lost,
            x,
            gradient,
            to_x,
        });
    }
}

struct InputGradient<'a, T, const RELU: bool> {
    channel: Channel<T>,
    lost: Option<[T; 2]>,
    x: &'a [T],
    gradient: &'a [T],
    to_x: &'a mut [T],
}

impl<T: Float, const RELU: bool> Loop for InputGradient<'_, T, RELU> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let channel = self.channel;
        let inputs = self.x.iter().zip(self.gradient);
        let elements = self.to_x.iter_mut().zip(inputs);
        if let Some([mean, along]) = self.lost {
            for (to_x, (&x, &gradient)) in elements {
                let gradient = channel.before_relu::<RELU>(x, gradient);
                *to_x = (gradient - mean - (x - channel.mean) * along) * channel.slope;
            }
        } else {
            for (to_x, (&x, &gradient)) in elements {
                *to_x = channel.before_relu::<RELU>(x, gradient) * channel.slope;
            }
        }
    }
}
