//! Training on candle: parameters with seeds, operations with tested gradients, the training step.
//!
//! - [`Weights`] is an immutable snapshot of a model's parameters by name; [`Parameters`] holds the
//!   newest one of a training, and draws initial values that depend on the seed and the name alone.
//! - [`Step`] is the training step and the loop over it: gradients, [`clip_grad_norm`],
//!   [`Schedule`], an [`Optimizer`] ([`Sgd`], [`Adam`] and AdamW, [`RmsProp`]), and a typed error for
//!   a training that diverges. [`Batches`] selects examples; [`Checkpoint`] is what a training needs
//!   to continue bit for bit.
//! - Operations whose gradients are tested, where candle's are wrong, missing or slow. Layers:
//!   [`Dense`], [`linear`], [`embedding`], [`attention`], [`conv2d`], [`conv3d`], [`max_pool`],
//!   [`avg_pool`], [`global_mean`], [`BatchNorm`], [`layer_norm`], [`rms_norm`], [`dropout`],
//!   [`lstm_cell`], [`gru_cell`]. Activations: [`gelu`], [`relu`], [`softmax`], [`log_softmax`].
//!   Losses: [`cross_entropy`] with its options in [`CrossEntropy`], [`soft_cross_entropy`],
//!   [`huber`]. They work in the type of their operands, f32 or f64, on the CPU; sums over rows are
//!   pairwise or in f64.
//! - [`vjp`] starts a backward pass from given gradients.
//! - [`elementary`] has the f32 functions behind the operations, for slices.
//! - `gradcheck` (feature `test-util`) compares gradients with finite differences.
//!
//! The same seed gives the same bits, whatever the number of threads.
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use septet_core::nn::{Adam, Batches, Dense, DenseInit, NnError, Parameters, Step};
//! use septet_core::seed::SeedTree;
//!
//! // Sixty-four points of a plane.
//! let points: Vec<f32> = (0..64).flat_map(|i| [(i % 8) as f32 / 8.0, (i / 8) as f32 / 8.0]).collect();
//! let x = Tensor::from_vec(points, (64, 2), &Device::Cpu)?;
//! let y = x.matmul(&Tensor::new(&[[1f32], [2.]], &Device::Cpu)?)?;
//!
//! let seed = SeedTree::new(7);
//! let parameters = Parameters::new(seed.child("model"));
//! let layer = || Dense::new(2, 1, DenseInit::Uniform, &parameters.builder(DType::F32, &Device::Cpu));
//! layer()?; // Draws the parameters.
//!
//! let mut batches = Batches::new(64, 16, &seed.child("batches"))?;
//! let mut last = f64::INFINITY;
//! Step::new(Adam::default(), 0.05).run(
//!     &parameters,
//!     400,
//!     None,
//!     |step| -> Result<Tensor, NnError> {
//!         batches.seek(step);
//!         let examples = Tensor::new(batches.draw(), &Device::Cpu)?;
//!         let output = layer()?.forward(&x.index_select(&examples, 0)?)?;
//!         Ok((output - y.index_select(&examples, 0)?)?.sqr()?.mean_all()?)
//!     },
//!     |progress| last = progress.loss,
//! )?;
//! assert!(last < 1e-3);
//! # Ok::<(), NnError>(())
//! ```

mod batches;
mod checkpoint;
mod dense;
pub mod elementary;
mod error;
mod file;
#[cfg(feature = "test-util")]
mod gradcheck;
mod initial;
mod memory;
mod operation;
mod optimizer;
mod parameters;
mod schedule;
mod step;
mod threads;
mod vector;
mod vjp;
mod weights;

use std::collections::BTreeMap;

use candle_core::Tensor;

pub use batches::Batches;
pub use checkpoint::{Checkpoint, CheckpointFile};
pub use dense::{Dense, DenseInit};
pub use error::NnError;
#[cfg(feature = "test-util")]
pub use gradcheck::{GradientDifference, assert_gradient, gradcheck};
pub use initial::initial;
pub use memory::keep_freed_memory;
pub use operation::{
    Attention, BatchNorm, BatchNormStatistics, Convolution, CrossEntropy, Pool, Reduction,
    attention, avg_pool, conv2d, conv3d, cross_entropy, dropout, embedding, gelu, global_mean,
    gru_cell, huber, layer_norm, linear, linear_input_gradient, linear_weight_gradient,
    log_softmax, lstm_cell, max_pool, relu, rms_norm, self_attention, soft_cross_entropy, softmax,
};
pub use optimizer::{Adam, Optimizer, RmsProp, Sgd, State, clip_grad_norm, global_norm};
pub use parameters::Parameters;
pub use schedule::{Decay, Schedule};
pub use step::{Step, StepReport};
pub use threads::one_math_thread;
pub use vjp::vjp;
pub use weights::Weights;

/// Tensors by name, in the order of the names.
pub type TensorMap = BTreeMap<String, Tensor>;
