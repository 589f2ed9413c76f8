//! Operations with a backward pass of our own, where candle's is wrong, missing or slow.

mod attention;
mod batch_norm;
mod convolution;
mod cross_entropy;
mod dropout;
mod gelu;
mod linear;
mod norm;
mod operand;
mod pool;
mod product;
mod softmax;
#[cfg(all(test, feature = "test-util"))]
mod testing;
mod values;
mod vectorize;

pub use attention::{Attention, attention, self_attention};
pub use batch_norm::{BatchNorm, BatchNormStatistics};
pub use convolution::{Convolution, conv2d, conv3d};
pub use cross_entropy::cross_entropy;
pub use dropout::dropout;
pub use gelu::gelu;
pub use linear::{linear, linear_input_gradient, linear_weight_gradient};
pub use norm::{layer_norm, rms_norm};
pub use pool::{Pool, avg_pool, global_mean, max_pool};
pub use softmax::{log_softmax, softmax};
