//! What training on candle needs and candle lacks: seeds, a stable order, right gradients.
//!
//! - [`Parameters`] holds the variables of a model by name. Their initial values depend on the
//!   seed and the name alone, and every order is that of the names.
//! - [`Optimizer`] is a function from values, gradients and [`State`] to new ones: [`Sgd`],
//!   [`Adam`] (and AdamW) and [`RmsProp`], with [`Schedule`] for the learning rate,
//!   [`clip_grad_norm`] and [`global_norm`].
//! - Operations whose gradients are tested, where candle's are wrong, missing or slow. Layers:
//!   [`linear`], [`embedding`], [`conv2d`], [`max_pool2d`], [`avg_pool2d`], [`layer_norm`],
//!   [`rms_norm`], [`attention`], [`self_attention`], [`dropout`], [`lstm_cell`], [`gru_cell`].
//!   Activations: [`gelu`], [`relu`], [`softmax`], [`log_softmax`]. Losses: [`cross_entropy`] with its
//!   options in [`CrossEntropy`], [`soft_cross_entropy`], [`huber`]. They work in the type of their
//!   operands, f32 or f64; sums over
//!   rows are pairwise and in f64.
//! - [`vjp`] starts a backward pass from given gradients.
//! - [`elementary`] has the f32 functions behind them, for slices.
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
mod threads;
mod vector;
mod vjp;

use std::collections::BTreeMap;

use candle_core::Tensor;

pub use error::NnError;
#[cfg(feature = "test-util")]
pub use gradcheck::{GradientDifference, assert_gradient, gradcheck};
pub use initial::initial;
pub use memory::keep_freed_memory;
pub use operation::{
    Attention, Convolution, CrossEntropy, Pool, Reduction, attention, avg_pool2d, conv2d,
    cross_entropy, dropout, embedding, gelu, gru_cell, huber, layer_norm, linear,
    linear_input_gradient, linear_weight_gradient, log_softmax, lstm_cell, max_pool2d, relu,
    rms_norm, self_attention, soft_cross_entropy, softmax,
};
pub use optimizer::{Adam, Optimizer, RmsProp, Sgd, State, clip_grad_norm, global_norm};
pub use parameters::Parameters;
pub use schedule::{Decay, Schedule};
pub use threads::one_math_thread;
pub use vjp::vjp;

/// Tensors by name, in the order of the names.
pub type TensorMap = BTreeMap<String, Tensor>;
