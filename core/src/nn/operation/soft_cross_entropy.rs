//! The loss of a classifier for probabilities.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::softmax::exponentials;
use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::nn::vector::{maximum, sum, sum_of_pairs, vectorized};

/// The mean of `-sum targets ln softmax(logits)` over the rows, for `logits` and `targets` of shape
/// `[n, classes]` and one type. The targets of a row are usually probabilities, such as the outputs of
/// another model; any number will do. Gradients go to both. Without rows it is NaN.
///
/// # Errors
/// Candle's error when shapes or types disagree, or tensors are not on the CPU.
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    same_type("soft_cross_entropy", &[logits, targets])?;
    logits.dims2()?;
    if logits.dims() != targets.dims() {
        candle_core::bail!(
            "soft_cross_entropy: targets {:?} for logits {:?}",
            targets.dims(),
            logits.dims()
        );
    }
    logits
        .contiguous()?
        .apply_op2(&targets.contiguous()?, SoftLoss)
}

struct SoftLoss;

impl CustomOp2 for SoftLoss {
    fn name(&self) -> &'static str {
        "soft_cross_entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        targets: &CpuStorage,
        targets_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(
            self.name(),
            logits.dtype(),
            soft_forward(logits, logits_layout, targets, targets_layout)
        )
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_type!(
            self.name(),
            logits.dtype(),
            soft_backward(logits, targets, gradient)
        )
    }
}

fn soft_forward<T: Float>(
    logits: &CpuStorage,
    logits_layout: &Layout,
    targets: &CpuStorage,
    targets_layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (count, classes) = logits_layout.shape().dims2()?;
    let logits = elements::<T>(logits, logits_layout)?;
    let targets = elements::<T>(targets, targets_layout)?;
    let width = classes.max(1);
    let mut loss = 0.0;
    vectorized(
        #[inline(always)]
        |arithmetic| {
            let rows = logits.chunks_exact(width);
            for (logits, targets) in rows.zip(targets.chunks_exact(width)) {
                // -ln softmax(x) = largest - x + ln sum exp(x - largest), without overflow.
                let largest = maximum(logits);
                let total = sum(
                    logits,
                    #[inline(always)]
                    |x| (x - largest).exp_nonpositive(arithmetic),
                );
                let shift = T::from_f64(total.ln());
                loss += sum_of_pairs(
                    logits,
                    targets,
                    // A target of 0 counts nothing, even beside a logit of negative infinity.
                    #[inline(always)]
                    |x, target| {
                        if target == T::zero() {
                            T::zero()
                        } else {
                            target * (largest - x + shift)
                        }
                    },
                );
            }
        },
    );
    Ok(stored(vec![T::from_f64(loss / count as f64)], ()))
}

/// Per row, in the logits `softmax sum(targets) - targets`, in the targets `-ln softmax`; both over the
/// number of rows and times the gradient of the loss.
fn soft_backward<T: Float>(
    logits: &Tensor,
    targets: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let (count, classes) = logits.dims2()?;
    let width = classes.max(1);
    let (shape, device) = (logits.shape(), logits.device());
    let mut to_logits = Vec::with_capacity(logits.elem_count());
    let mut to_targets = Vec::new();
    let mut block = vec![T::zero(); classes];
    let operands = [logits, targets, gradient];
    with_elements(operands, |[logits, target_values, gradient]: [&[T]; 3]| {
        let gradient = gradient[0].to_f64() / count as f64;
        vectorized(
            #[inline(always)]
            |arithmetic| {
                let rows = logits.chunks_exact(width);
                for (logits, row) in rows.zip(target_values.chunks_exact(width)) {
                    let (largest, total) = exponentials(arithmetic, logits, &mut block);
                    // Targets need not add up to 1: their sum is the factor of the softmax.
                    let mass = sum(
                        row,
                        #[inline(always)]
                        |target| target,
                    );
                    let softmax = T::from_f64(gradient * mass / total);
                    let factor = T::from_f64(gradient);
                    // dlogits = (softmax sum(targets) - targets) / n, times the gradient of the
                    // loss.
                    for (to, &target) in block.iter_mut().zip(row) {
                        *to = *to * softmax - factor * target;
                    }
                    to_logits.extend_from_slice(&block);
                    // Most targets are data, and need no gradient.
                    if targets.track_op() {
                        let shift = T::from_f64(total.ln());
                        for (to, &x) in block.iter_mut().zip(logits) {
                            *to = factor * (largest - x + shift);
                        }
                        to_targets.extend_from_slice(&block);
                    }
                }
            },
        );
        Ok(())
    })?;
    let to_targets = if targets.track_op() {
        Some(Tensor::from_vec(to_targets, shape, device)?)
    } else {
        None
    };
    Ok((
        Some(Tensor::from_vec(to_logits, shape, device)?),
        to_targets,
    ))
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::operation::testing::{assert_close, draw, values};
    use crate::nn::{assert_gradient, cross_entropy, log_softmax};

    #[test]
    fn soft_targets_follow_the_definition() {
        let pair = [draw("x", (4, 3)), draw("y", (4, 3))];
        let direct = |x: &[Tensor]| (&x[1] * log_softmax(&x[0])?)?.sum(1)?.mean(0)?.neg();
        let found = soft_cross_entropy(&pair[0], &pair[1]).unwrap();
        assert_close(&found, &direct(&pair).unwrap(), 1e-12);
        assert_gradient(&pair, 1e-8, |x| soft_cross_entropy(&x[0], &x[1])?.sqr());
        let turned = [draw("x", (3, 4)), draw("y", (3, 4))];
        assert_gradient(&turned, 1e-8, |x| {
            soft_cross_entropy(&x[0].t()?, &x[1].t()?)
        });
        // One class for certain: the loss of a label.
        let certain = Tensor::new(&[[0f64, 1.0, 0.0]], &Device::Cpu).unwrap();
        let x = draw("x", (1, 3));
        let found = soft_cross_entropy(&x, &certain).unwrap();
        assert_close(
            &found,
            &cross_entropy(&x, &Tensor::new(&[1u32], &Device::Cpu).unwrap()).unwrap(),
            1e-12,
        );
        let masked = Tensor::new(&[[f64::NEG_INFINITY, 0.0, 0.0]], &Device::Cpu).unwrap();
        let found = values(&soft_cross_entropy(&masked, &certain).unwrap())[0];
        assert!((found - 2f64.ln()).abs() < 1e-12);
    }
}
