//! What training on candle needs and candle lacks: seeds, a stable order, right gradients.
//!
//! - [`Parameters`] holds the variables of a model by name. Their initial values depend on the
//!   seed and the name alone, and every order is that of the names.
//! - [`Optimizer`] is a function from values, gradients and [`State`] to new ones: [`Sgd`],
//!   [`Adam`] (and AdamW), with [`Schedule`] for the learning rate and [`clip_by_global_norm`].
//! - [`conv2d`], [`conv3d`], [`linear`], [`max_pool`], [`avg_pool`], [`global_mean`], [`BatchNorm`], [`layer_norm`], [`rms_norm`],
//!   [`softmax`], [`log_softmax`], [`cross_entropy`], [`gelu`] and [`dropout`] have gradients that
//!   are tested, where candle's are wrong, missing or slow.
//! - `gradcheck` (feature `test-util`) compares gradients with finite differences.
//!
//! With these, training gives the same bits for the same seed, whatever the number of threads.
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use septet_core::seed::SeedTree;
//! use septet_core::nn::{Adam, Optimizer, Parameters, State};
//!
//! let parameters = Parameters::new(SeedTree::new(7).child("model"));
//! let model = candle_nn::linear(2, 1, parameters.builder(DType::F32, &Device::Cpu))?;
//! let x = Tensor::new(&[[0f32, 1.], [1., 0.], [1., 1.]], &Device::Cpu)?;
//! let y = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
//!
//! let mut state = State::default();
//! for _ in 0..2_000 {
//!     let loss = (model.forward(&x)? - &y)?.sqr()?.mean_all()?;
//!     let gradients = parameters.gradients(&loss)?;
//!     let (values, next) = Adam::default().step(0.05, &parameters.values(), &gradients, &state)?;
//!     parameters.assign(&values)?;
//!     state = next;
//! }
//! let loss = (model.forward(&x)? - &y)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
//! assert!(loss < 1e-3);
//! # Ok::<(), septet_core::nn::NnError>(())
//! ```

mod error;
mod file;
#[cfg(feature = "test-util")]
mod gradcheck;
mod initial;
mod operation;
mod optimizer;
mod parameters;
mod schedule;
mod threads;

use std::collections::BTreeMap;

use candle_core::Tensor;

pub use error::NnError;
#[cfg(feature = "test-util")]
pub use gradcheck::{GradientDifference, assert_gradient, gradcheck};
pub use initial::initial;
pub use operation::{
    BatchNorm, BatchNormStatistics, Convolution, Pool, avg_pool, conv2d, conv3d, cross_entropy,
    dropout, gelu, global_mean, layer_norm, linear, log_softmax, max_pool, rms_norm, softmax,
};
pub use optimizer::{Adam, Optimizer, Sgd, State, clip_by_global_norm};
pub use parameters::Parameters;
pub use schedule::{Decay, Schedule};
pub use threads::one_math_thread;

/// Tensors by name, in the order of the names.
pub type TensorMap = BTreeMap<String, Tensor>;
