//! The loss of a classifier.

use candle_core::{Result, Tensor};

use super::log_softmax;

/// The mean of `-ln softmax(logits)[label]` over a batch: `logits` of shape `[n, classes]`,
/// `labels` of shape `[n]`, u32, each below `classes`.
///
/// # Errors
/// Candle's error when shapes disagree or a label is too large.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let (count, _) = logits.dims2()?;
    if labels.dims() != [count] {
        candle_core::bail!(
            "cross_entropy: labels {:?} for logits {:?}",
            labels.dims(),
            logits.dims()
        );
    }
    log_softmax(logits)?
        .gather(&labels.unsqueeze(1)?, 1)?
        .mean_all()?
        .neg()
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    #[test]
    fn it_is_that_of_candle_and_differentiable() {
        let logits = draw("x", (4, 3));
        let labels = Tensor::new(&[2u32, 0, 1, 1], &Device::Cpu).unwrap();
        let theirs = candle_nn::loss::cross_entropy(&logits, &labels).unwrap();
        assert_close(&cross_entropy(&logits, &labels).unwrap(), &theirs, 1e-12);
        assert_gradient(std::slice::from_ref(&logits), 1e-8, |x| {
            cross_entropy(&x[0], &labels)
        });
        let too_large = Tensor::new(&[2u32, 0, 1, 3], &Device::Cpu).unwrap();
        assert!(cross_entropy(&logits, &too_large).is_err());
        assert!(cross_entropy(&logits, &labels.narrow(0, 0, 3).unwrap()).is_err());
    }
}
