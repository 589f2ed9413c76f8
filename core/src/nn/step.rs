//! The training step and the loop over it.

use candle_core::{CpuStorage, DType, Storage, Tensor};

use super::checkpoint::{Checkpoint, CheckpointFile};
use super::optimizer::clip_grad_norm;
use super::{Adam, NnError, Optimizer, Parameters, Schedule, TensorMap};

/// One training step: gradients of the loss, their clipping, the learning rate of the step, the
/// optimizer, and the checks that a diverged training ends with an error.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use septet_core::nn::{Adam, Dense, DenseInit, NnError, Parameters, Step};
/// use septet_core::seed::SeedTree;
///
/// let parameters = Parameters::new(SeedTree::new(7).child("model"));
/// let x = Tensor::new(&[[0f32, 1.], [1., 0.], [1., 1.]], &Device::Cpu)?;
/// let y = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
/// let loss = || {
///     let layer = Dense::new(2, 1, DenseInit::Uniform, &parameters.builder(DType::F32, &Device::Cpu))?;
///     (layer.forward(&x)? - &y)?.sqr()?.mean_all()
/// };
///
/// loss()?; // The first call draws the parameters.
/// let mut last = f64::INFINITY;
/// Step::new(Adam::default(), 0.05).run(
///     &parameters,
///     2_000,
///     None,
///     |_| loss().map_err(NnError::from),
///     |progress| last = progress.loss,
/// )?;
/// assert!(last < 1e-3);
/// # Ok::<(), NnError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<O = Adam> {
    optimizer: O,
    learning_rate: f64,
    schedule: Schedule,
    max_gradient_norm: Option<f64>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The number of steps that were taken, this one included.
    pub step: u64,
    /// The loss before the step.
    pub loss: f64,
    /// The global norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

/// The largest magnitude of a weight. Above it, neighboring numbers in single precision are more
/// than 1 apart, so that steps are lost in rounding; no network that trains comes near it. Without
/// this bound, an optimizer that normalizes its steps, such as Adam, could run with a learning rate
/// of 1e9 to the end with finite losses.
const MAX_WEIGHT: f64 = 16_777_216.0;

/// The largest norm of the gradients after clipping. Above it, squares overflow in single precision:
/// a second moment that is infinite once stops its parameter for good, with finite losses.
const MAX_GRADIENT_NORM: f64 = 1.8e19;

impl<O: Optimizer> Step<O> {
    /// A step of this optimizer with a constant learning rate and without clipping.
    #[must_use]
    pub fn new(optimizer: O, learning_rate: f64) -> Self {
        Self {
            optimizer,
            learning_rate,
            schedule: Schedule::default(),
            max_gradient_norm: None,
        }
    }

    /// Another optimizer.
    #[must_use]
    pub fn optimizer(self, optimizer: O) -> Self {
        Self { optimizer, ..self }
    }

    /// Another full learning rate, a positive number.
    #[must_use]
    pub fn learning_rate(self, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            ..self
        }
    }

    /// How the learning rate changes from step to step.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The maximum global norm of the gradients; larger ones are scaled down to it.
    #[must_use]
    pub fn max_gradient_norm(self, norm: impl Into<Option<f64>>) -> Self {
        Self {
            max_gradient_norm: norm.into(),
            ..self
        }
    }

    /// Takes the step that follows `checkpoint`, whose weights the loss was computed from: replaces
    /// weights and optimizer state and counts the step. `loss` has one element.
    ///
    /// After an error the checkpoint is as before.
    ///
    /// # Errors
    /// [`NnError::Diverged`] when the loss, the norm of the gradients or a weight is not finite, the
    /// clipped norm is above 1.8e19 or a weight above 2^24; [`NnError::NoGradient`]; [`NnError::Parameter`] for a learning rate
    /// or a maximum norm that is not a positive number.
    pub fn take(&self, checkpoint: &mut Checkpoint, loss: &Tensor) -> Result<StepReport, NnError> {
        self.check()?;
        let step = checkpoint.steps();
        let learning_rate = self.schedule.rate(self.learning_rate, step);
        let finite = |quantity, value: f64| {
            if value.is_finite() {
                return Ok(value);
            }
            Err(NnError::Diverged {
                step,
                quantity,
                value,
                learning_rate,
            })
        };

        // Nothing is computed from a loss that is not a number.
        let value = loss.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let [value] = value[..] else {
            let found = format!("{:?}", loss.dims());
            return Err(NnError::parameter("loss", "one element", found));
        };
        let loss_value = finite("loss", value)?;

        // The norm is needed for the check even when nothing is clipped.
        let gradients = checkpoint.weights.gradients(loss)?;
        let bound = self.max_gradient_norm.unwrap_or(f64::INFINITY);
        let (gradients, norm) = clip_grad_norm(&gradients, bound)?;
        let gradient_norm = finite("norm of the gradients", norm)?;
        if norm.min(bound) > MAX_GRADIENT_NORM {
            return Err(NnError::Diverged {
                step,
                quantity: "norm of the gradients",
                value: norm,
                learning_rate,
            });
        }

        // The checkpoint is replaced after the last check only: an error leaves it as it was.
        let (weights, state) = self.optimizer.step(
            learning_rate,
            &checkpoint.weights,
            &gradients,
            &checkpoint.optimizer,
        )?;
        // An optimizer that normalizes its steps can diverge with finite losses and gradients.
        let largest = largest_magnitude(weights.tensors())?;
        if largest.is_nan() || largest > MAX_WEIGHT {
            return Err(NnError::Diverged {
                step,
                quantity: "largest weight",
                value: largest,
                learning_rate,
            });
        }
        checkpoint.weights = weights;
        checkpoint.optimizer = state;
        Ok(StepReport {
            step: step + 1,
            loss: loss_value,
            gradient_norm,
            learning_rate,
        })
    }

    /// Takes steps until `steps` of them are taken, those before a checkpoint included: `loss` gives
    /// the loss of a step, numbered from 0, under the newest weights of `parameters`, and
    /// `progress` is called after each step.
    ///
    /// `parameters` must hold all parameters before the call: build the model once.
    ///
    /// # Errors
    /// Those of [`Step::take`], of `loss`, and of the checkpoint's file; [`NnError::NotBuilt`] when
    /// `loss` draws a parameter; [`NnError::Parameter`] when the checkpoint is from a later step than
    /// `steps`.
    pub fn run<E: From<NnError>>(
        &self,
        parameters: &Parameters,
        steps: u64,
        file: Option<&CheckpointFile>,
        mut loss: impl FnMut(u64) -> Result<Tensor, E>,
        mut progress: impl FnMut(StepReport),
    ) -> Result<(), E> {
        self.check()?;
        let mut checkpoint = match file {
            Some(file) => {
                let [checkpoint] = file.start([parameters], steps)?;
                checkpoint
            }
            None => Checkpoint::new(parameters.weights()),
        };
        while checkpoint.steps() < steps {
            let of_step = loss(checkpoint.steps())?;
            // A parameter that the loss drew would be drawn anew in each step and never trained.
            let known = checkpoint.weights.tensors();
            if let Some(name) = parameters
                .weights()
                .names()
                .find(|name| !known.contains_key(*name))
            {
                return Err(NnError::NotBuilt {
                    name: name.to_owned(),
                }
                .into());
            }
            let report = self.take(&mut checkpoint, &of_step)?;
            parameters.set(checkpoint.weights.clone());
            if let Some(file) = file {
                file.after_step([(parameters, &mut checkpoint)], report.step == steps)?;
            }
            progress(report);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), NnError> {
        let norm = self.max_gradient_norm.unwrap_or(1.0);
        for (argument, value) in [
            ("learning rate", self.learning_rate),
            ("maximum norm of the gradients", norm),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(NnError::parameter(argument, "a positive number", value));
            }
        }
        Ok(())
    }
}

/// The largest magnitude of any element; NaN if there is one.
fn largest_magnitude(tensors: &TensorMap) -> Result<f64, NnError> {
    let mut largest = 0.0f64;
    for tensor in tensors.values() {
        let (storage, layout) = tensor.storage_and_layout();
        // Without the sign, bits are ordered as magnitudes are, infinity and NaN at the end.
        let of_tensor = match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
                let bits = values[start..end].iter().map(|value| value.abs().to_bits());
                f64::from(f32::from_bits(bits.max().unwrap_or(0)))
            }
            // Other types and places are rare enough for a copy.
            _ => {
                let values = tensor.to_dtype(DType::F64)?.flatten_all()?;
                let bits = values
                    .to_vec1::<f64>()?
                    .into_iter()
                    .map(|value| value.abs().to_bits());
                f64::from_bits(bits.max().unwrap_or(0))
            }
        };
        if of_tensor.is_nan() {
            return Ok(of_tensor);
        }
        largest = largest.max(of_tensor);
    }
    Ok(largest)
}
