//! What a network is trained for.

use candle_core::{DType, Result, Tensor};

use crate::error::SketchError;

/// A loss over a batch of scores `s` and counts `c`, computed in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// The mean of `(s - ln c)^2`: Hsu et al., ICLR 2019. It learns the expected logarithm.
    LogMse,
    /// The mean of `|e^s - c|`. It learns the median.
    L1,
    /// The paper's loss. The batch is split into consecutive groups; in each, scores are standardized
    /// to `z` (with the biased variance, plus 1e-5); the loss is the sum of `-z c`. Where examples
    /// were sampled by `c^alpha`, the factor is `c^(1 - alpha)`. It learns, for large groups, the
    /// expected count up to scale: all that coverage asks for.
    BatchRank {
        /// The number of examples in a group; the last one of a batch may be smaller.
        group: usize,
    },
    /// The mean of `e^s - c s`, the Poisson deviance up to a constant. It learns the logarithm of the
    /// expected count.
    Poisson,
    /// The mean of `e^((2-p) s) / (2-p) - c e^((1-p) s) / (1-p)`, the Tweedie deviance up to factor and
    /// constant. It learns the logarithm of the expected count, too, and is moved less by single huge
    /// counts than the Poisson deviance.
    Tweedie {
        /// The exponent of the mean in the variance, between 1 (Poisson) and 2 (Gamma), both excluded.
        power: f64,
    },
}

/// Keeps the standardization of equal scores finite.
const VARIANCE_FLOOR: f64 = 1e-5;

impl Loss {
    /// An error for a parameter outside its range.
    pub(super) fn check(self) -> std::result::Result<(), SketchError> {
        match self {
            Self::BatchRank { group: 0 } => {
                Err(SketchError::parameter("group", "at least 1 example", 0))
            }
            Self::Tweedie { power } if !(power > 1.0 && power < 2.0) => {
                let expected = "between 1 and 2, both excluded";
                Err(SketchError::parameter("power", expected, power))
            }
            _ => Ok(()),
        }
    }

    /// The loss of `scores` (`[n]`, float) for `counts` (`[n]`, f64, at least 1), which were sampled
    /// with a probability proportional to `counts^sampling_exponent`.
    ///
    /// # Errors
    ///
    /// Candle's error when shapes or types disagree.
    pub fn value(self, scores: &Tensor, counts: &Tensor, sampling_exponent: f64) -> Result<Tensor> {
        let scores = scores.to_dtype(DType::F64)?;
        match self {
            Self::LogMse => (scores - counts.log()?)?.sqr()?.mean_all(),
            Self::L1 => (scores.exp()? - counts)?.abs()?.mean_all(),
            Self::Poisson => (scores.exp()? - (counts * &scores)?)?.mean_all(),
            Self::Tweedie { power } => {
                let (low, high) = (1.0 - power, 2.0 - power);
                let drawn = scores.affine(low, 0.0)?.exp()?.affine(1.0 / low, 0.0)?;
                let pushed = scores.affine(high, 0.0)?.exp()?.affine(1.0 / high, 0.0)?;
                (pushed - (counts * drawn)?)?.mean_all()
            }
            Self::BatchRank { group } => {
                let factors = if sampling_exponent == 0.0 {
                    counts.clone()
                } else {
                    counts.powf(1.0 - sampling_exponent)?
                };
                batch_rank(&scores, &factors, group.max(1))
            }
        }
    }
}

fn batch_rank(scores: &Tensor, factors: &Tensor, group: usize) -> Result<Tensor> {
    let count = scores.dims1()?;
    let whole = count / group * group;
    let mut sums = Vec::with_capacity(2);
    for (start, length, width) in [(0, whole, group), (whole, count - whole, count - whole)] {
        if length > 0 {
            let groups = |tensor: &Tensor| {
                tensor
                    .narrow(0, start, length)?
                    .reshape((length / width, width))
            };
            let scores = groups(scores)?;
            let centered = scores.broadcast_sub(&scores.mean_keepdim(1)?)?;
            let variance = centered.sqr()?.mean_keepdim(1)?;
            let scale = variance.affine(1.0, VARIANCE_FLOOR)?.sqrt()?;
            let standardized = centered.broadcast_div(&scale)?;
            sums.push((standardized * groups(factors)?)?.sum_all()?);
        }
    }
    match sums.as_slice() {
        [] => candle_core::bail!("BatchRank: the batch is empty"),
        [only] => only.neg(),
        [first, last, ..] => (first + last)?.neg(),
    }
}
