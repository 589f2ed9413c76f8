//! Operations with a backward pass of our own, where candle's is wrong, missing or slow.

mod activation;
mod attention;
mod convolution;
mod cross_entropy;
mod dropout;
mod embedding;
mod huber;
mod linear;
mod norm;
mod pool;
mod product;
mod recurrent;
mod softmax;
#[cfg(all(test, feature = "test-util"))]
mod testing;
mod values;

pub use activation::{gelu, relu};
pub use attention::{Attention, attention, self_attention};
pub use convolution::{Convolution, conv2d};
pub use cross_entropy::{CrossEntropy, Reduction, cross_entropy, soft_cross_entropy};
pub use dropout::dropout;
pub use embedding::embedding;
pub use huber::huber;
pub use linear::{linear, linear_input_gradient, linear_weight_gradient};
pub use norm::{layer_norm, rms_norm};
pub use pool::{Pool, avg_pool2d, max_pool2d};
pub use recurrent::{gru_cell, lstm_cell};
pub use softmax::{log_softmax, softmax};

pub(in crate::nn) use values::{Float, by_type, with_elements};
