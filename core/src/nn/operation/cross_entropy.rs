//! The loss of a classifier for labels.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::softmax::exponentials;
use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::nn::vector::{maximum, sum, vectorized};

/// The mean of `-ln softmax(logits)[label]` over a batch: `logits` of shape `[n, classes]`,
/// `labels` of shape `[n]`, u32, each below `classes`. [`CrossEntropy`] has options.
///
/// # Errors
/// As [`CrossEntropy::loss`].
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    CrossEntropy::default().loss(logits, labels)
}

/// How the losses of the rows become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, weighted with the weights of the labels. Without rows, or with all of them
    /// ignored, it is NaN.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// The cross-entropy between predicted classes and labels, in PyTorch's form. With `w` the weight of
/// the label of a row, or 0 where it is ignored, the loss of a row is
/// `-w ln softmax(logits)[label]`, and the mean divides their sum by the sum of `w`.
///
/// Beside the logits nothing of their size is kept for the backward pass.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use septet_core::nn::CrossEntropy;
///
/// let loss = CrossEntropy { ignored_label: Some(9), ..CrossEntropy::default() };
/// let logits = Tensor::new(&[[0f32, 0.0], [5.0, 1.0]], &Device::Cpu)?;
/// let labels = Tensor::new(&[1u32, 9], &Device::Cpu)?;
/// let loss = loss.loss(&logits, &labels)?.to_scalar::<f32>()?;
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrossEntropy {
    /// Rows with this label add nothing to the loss. It need not be a class.
    pub ignored_label: Option<u32>,
    /// A weight for each class, `[classes]`, of the type of the logits; no gradient goes to it.
    /// Without, each is 1.
    pub class_weights: Option<Tensor>,
    /// How the losses of the rows become one number.
    pub reduction: Reduction,
}

impl CrossEntropy {
    /// The loss of `logits` (`[n, classes]`, f32 or f64) for `labels` (`[n]`, u32), a tensor without
    /// axes.
    ///
    /// # Errors
    /// Candle's error when shapes or types disagree, a label is neither a class nor the ignored one,
    /// or tensors are not on the CPU.
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let (count, classes) = logits.dims2()?;
        if labels.dims() != [count] || labels.dtype() != DType::U32 {
            candle_core::bail!(
                "cross_entropy: labels {:?} of type {:?} for logits {:?}, expected [{count}] of type U32",
                labels.dims(),
                labels.dtype(),
                logits.dims()
            );
        }
        if let Some(weights) = &self.class_weights {
            same_type("cross_entropy", &[logits, weights])?;
            if weights.dims() != [classes] {
                candle_core::bail!(
                    "cross_entropy: class weights {:?} for {classes} classes",
                    weights.dims()
                );
            }
        }
        let logits = logits.contiguous()?;
        let operation = by_type!(
            "cross_entropy",
            logits.dtype(),
            prepared(self, labels, classes)
        )?;
        logits.apply_op1(operation)
    }
}

/// The loss as an operation on logits.
struct Loss {
    /// The label of each row and its weight, 0 where it is ignored.
    rows: Vec<(usize, f64)>,
    /// What the weighted sum of the losses is divided by.
    divisor: f64,
}

/// Checks the labels and spreads weights and reduction over the rows.
fn prepared<T: Float>(options: &CrossEntropy, labels: &Tensor, classes: usize) -> Result<Loss> {
    // In f64, as all sums over rows are.
    let weights: Option<Vec<f64>> = match &options.class_weights {
        Some(weights) => Some(with_elements([weights], |[weights]: [&[T]; 1]| {
            Ok(weights.iter().map(|weight| weight.to_f64()).collect())
        })?),
        None => None,
    };
    let rows =
        with_elements([labels], |[labels]: [&[u32]; 1]| {
            let rows = labels.iter().enumerate().map(|(row, &label)| {
            if options.ignored_label == Some(label) {
                return Ok((0, 0.0));
            }
            let class = label as usize;
            if class >= classes {
                candle_core::bail!(
                    "cross_entropy: the label of row {row} is {label}, expected less than {classes}"
                );
            }
            Ok((class, weights.as_ref().map_or(1.0, |weights| weights[class])))
        });
            rows.collect::<Result<Vec<_>>>()
        })?;
    // An ignored row has the weight 0: it is neither in the sum nor in the divisor.
    let divisor = match options.reduction {
        Reduction::Mean => rows.iter().map(|&(_, weight)| weight).sum(),
        Reduction::Sum => 1.0,
    };
    Ok(Loss { rows, divisor })
}

impl CustomOp1 for Loss {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), logits.dtype(), forward(self, logits, layout))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(
            self.name(),
            logits.dtype(),
            backward(self, logits, gradient)
        )
        .map(Some)
    }
}

fn forward<T: Float>(
    operation: &Loss,
    logits: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (_, classes) = layout.shape().dims2()?;
    let logits = elements::<T>(logits, layout)?;
    let mut loss = 0.0;
    vectorized(
        #[inline(always)]
        |arithmetic| {
            for (logits, &(label, weight)) in
                logits.chunks_exact(classes.max(1)).zip(&operation.rows)
            {
                // An ignored row may hold anything.
                if weight != 0.0 {
                    // -ln softmax(x)[label] = ln sum exp(x - largest) + largest - x[label], without
                    // overflow.
                    let largest = maximum(logits);
                    let total = sum(
                        logits,
                        #[inline(always)]
                        |x| (x - largest).exp_nonpositive(arithmetic),
                    );
                    loss += weight * (total.ln() + (largest - logits[label]).to_f64());
                }
            }
        },
    );
    Ok(stored(vec![T::from_f64(loss / operation.divisor)], ()))
}

/// In a logit of a row: `weight (softmax - [is the label])`, times the gradient of the loss.
fn backward<T: Float>(operation: &Loss, logits: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (_, classes) = logits.dims2()?;
    let mut to_logits = Vec::with_capacity(logits.elem_count());
    let mut block = vec![T::zero(); classes];
    with_elements([logits, gradient], |[logits, gradient]: [&[T]; 2]| {
        let gradient = gradient[0].to_f64() / operation.divisor;
        vectorized(
            #[inline(always)]
            |arithmetic| {
                for (logits, &(label, weight)) in
                    logits.chunks_exact(classes.max(1)).zip(&operation.rows)
                {
                    if weight == 0.0 {
                        block.fill(T::zero());
                    } else {
                        // exp(x - largest) / total is the softmax; the label's term is subtracted
                        // afterwards.
                        let (_, total) = exponentials(arithmetic, logits, &mut block);
                        let factor = T::from_f64(gradient * weight / total);
                        for to in &mut block {
                            *to *= factor;
                        }
                        block[label] -= T::from_f64(gradient * weight);
                    }
                    to_logits.extend_from_slice(&block);
                }
            },
        );
        Ok(())
    })?;
    Tensor::from_vec(to_logits, logits.shape(), logits.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::nn::operation::testing::{
        assert_close, assert_f32_gradient, draw, gradient_of, values,
    };
    use crate::nn::{assert_gradient, soft_cross_entropy};

    fn labels(labels: &[u32]) -> Tensor {
        Tensor::new(labels, &Device::Cpu).expect("labels on the CPU")
    }

    fn number(tensor: &Tensor) -> f64 {
        assert!(tensor.dims().is_empty());
        values(tensor)[0]
    }

    #[test]
    fn it_is_that_of_candle_and_differentiable() {
        let logits = draw("x", (4, 3));
        let labels = labels(&[2, 0, 1, 1]);
        let theirs = candle_nn::loss::cross_entropy(&logits, &labels).unwrap();
        assert_close(&cross_entropy(&logits, &labels).unwrap(), &theirs, 1e-12);
        assert_gradient(std::slice::from_ref(&logits), 1e-8, |x| {
            cross_entropy(&x[0], &labels)?.sqr()
        });
        let turned = draw("x", (3, 4));
        assert_gradient(&[turned], 1e-8, |x| cross_entropy(&x[0].t()?, &labels));
    }

    #[test]
    fn mistakes_are_named() {
        let logits = draw("x", (4, 3));
        let error = cross_entropy(&logits, &labels(&[2, 0, 1, 3])).unwrap_err();
        let error = error.to_string();
        let expected = "cross_entropy: the label of row 3 is 3, expected less than 3";
        assert!(error.starts_with(expected), "{error}");
        assert!(cross_entropy(&logits, &labels(&[1, 2])).is_err());
        let floats = draw("labels", 4);
        assert!(cross_entropy(&logits, &floats).is_err());
        let weighted = CrossEntropy {
            class_weights: Some(draw("w", 4)),
            ..CrossEntropy::default()
        };
        assert!(weighted.loss(&logits, &labels(&[0, 0, 0, 0])).is_err());
        assert!(soft_cross_entropy(&logits, &draw("y", (3, 4))).is_err());
        assert!(soft_cross_entropy(&logits, &logits.to_dtype(DType::F32).unwrap()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against the definition, row by row.
        #[test]
        fn options_follow_the_definition(
            rows in proptest::collection::vec((0u32..5, proptest::array::uniform4(-9.0..9.0)), 1..20),
            weights in proptest::array::uniform4(0.1..3.0),
            weighted: bool,
            is_mean: bool,
        ) {
            let x: Vec<f64> = rows.iter().flat_map(|(_, logits)| *logits).collect();
            let x = Tensor::from_vec(x, (rows.len(), 4), &Device::Cpu).unwrap();
            let label: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let loss = CrossEntropy {
                ignored_label: Some(4),
                class_weights: weighted.then(|| Tensor::new(&weights, &Device::Cpu).unwrap()),
                reduction: if is_mean { Reduction::Mean } else { Reduction::Sum },
            };
            let found = number(&loss.loss(&x, &labels(&label)).unwrap());
            let (mut sum, mut total) = (0.0, 0.0);
            for (label, logits) in rows.iter().filter(|row| row.0 < 4) {
                let weight = if weighted { weights[*label as usize] } else { 1.0 };
                let partition: f64 = logits.iter().map(|x| x.exp()).sum();
                sum -= weight * (logits[*label as usize] - partition.ln());
                total += weight;
            }
            let expected = if is_mean { sum / total } else { sum };
            prop_assert!(
                (found - expected).abs() < 1e-10 || (is_mean && total == 0.0 && sum == 0.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn gradients_with_options_are_right() {
        let labels = labels(&[2, 7, 1, 1, 0]);
        let logits = draw("x", (5, 3));
        for reduction in [Reduction::Mean, Reduction::Sum] {
            let loss = CrossEntropy {
                ignored_label: Some(7),
                class_weights: Some(Tensor::new(&[0.5, 2.0, 1.5], &Device::Cpu).unwrap()),
                reduction,
            };
            assert_gradient(std::slice::from_ref(&logits), 1e-8, |x| {
                loss.loss(&x[0], &labels)
            });
            let gradient = gradient_of(&logits, |x| loss.loss(x, &labels));
            assert_eq!(gradient[3..6], [0.0; 3]);
        }
    }

    #[test]
    fn f32_follows_f64() {
        for classes in [1, 2, 65, 600] {
            let logits = (draw("x", (5, classes)) * 4.0).unwrap();
            let labels = labels(&[0, classes as u32 - 1, 0, 0, classes as u32 / 2]);
            let single = logits.to_dtype(DType::F32).unwrap();
            let found = cross_entropy(&single, &labels).unwrap();
            let expected = cross_entropy(&logits, &labels).unwrap();
            assert_close(&found, &expected, 1e-6);
            assert_f32_gradient(&[(logits * 1.0).unwrap()], 1e-6, |x| {
                cross_entropy(&x[0], &labels)
            });
            let pair = [draw("x", (5, classes)), draw("y", (5, classes))];
            assert_f32_gradient(&pair, 1e-6, |x| soft_cross_entropy(&x[0], &x[1]));
        }
    }

    #[test]
    fn extreme_logits_and_ignored_rows_do_no_harm() {
        let (infinity, nan) = (f32::INFINITY, f32::NAN);
        let x = [[1e4f32, -1e4], [nan, infinity], [-infinity, 0.0]];
        let x = Tensor::new(&x, &Device::Cpu).unwrap();
        let loss = CrossEntropy {
            ignored_label: Some(u32::MAX),
            reduction: Reduction::Sum,
            ..CrossEntropy::default()
        };
        let label = labels(&[1, u32::MAX, 1]);
        assert_eq!(number(&loss.loss(&x, &label).unwrap()), 2e4);
        let gradient = gradient_of(&x, |x| loss.loss(x, &label));
        assert_eq!(gradient, [1.0, -1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn without_rows_a_sum_is_zero_and_a_mean_is_none() {
        let nothing = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        let sum = CrossEntropy {
            reduction: Reduction::Sum,
            ..CrossEntropy::default()
        };
        assert_eq!(number(&sum.loss(&nothing, &labels(&[])).unwrap()), 0.0);
        assert!(number(&cross_entropy(&nothing, &labels(&[])).unwrap()).is_nan());
        assert!(number(&soft_cross_entropy(&nothing, &nothing).unwrap()).is_nan());
        let ignored = CrossEntropy {
            ignored_label: Some(1),
            ..CrossEntropy::default()
        };
        let logits = draw("x", (2, 3));
        assert!(number(&ignored.loss(&logits, &labels(&[1, 1])).unwrap()).is_nan());
    }
}
