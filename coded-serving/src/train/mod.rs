//! Training of networks, on candle.
//!
//! - [`CouplingNetwork`] becomes an [`InvertibleClassifier`](crate::network::InvertibleClassifier);
//!   it is trained with Manifold Mixup and, for an encoder to be learnable, with a bound on the
//!   spectral norm of each layer.
//! - [`EncoderNetwork`] becomes a [`SetEncoder`](crate::network::SetEncoder). [`EncoderLoss`] says what
//!   it is trained for: [`Task`](EncoderLoss::Task), the error of decoded answers, is what works.
//! - [`MlpNetwork`] becomes an [`Mlp`](crate::network::Mlp): a parity model, a student.
//!
//! ```
//! use septet_coded_serving::code::{Code, InvNet};
//! use septet_coded_serving::images::Strokes;
//! use septet_coded_serving::network::checkerboard;
//! use septet_coded_serving::train::{
//!     CouplingNetwork, CouplingSize, EncoderLoss, EncoderNetwork, EncoderSize, Fit,
//! };
//! use septet_core::seed::SeedTree;
//!
//! let seed = SeedTree::new(7);
//! let images = Strokes::new(8, &seed).images(400, &seed);
//! let size = CouplingSize {
//!     order: checkerboard(8, 8),
//!     blocks: 3,
//!     hidden: 16,
//!     classes: 10,
//!     spectral_bound: Some(1.0),
//! };
//! let network = CouplingNetwork::new(size, &seed)?;
//! network.fit(&images, &Fit::new(20, 50, 5e-3), &seed)?;
//! let base = network.classifier()?;
//!
//! let size = EncoderSize { width: 64, features: 16, hidden: 32 };
//! let encoder = EncoderNetwork::new(size, &seed)?;
//! encoder.fit(&base, &images, 4, EncoderLoss::Task, &Fit::new(20, 32, 2e-3), &seed)?;
//! let code = InvNet::new(4, 1, encoder.encoder()?)?;
//! assert_eq!(code.name(), "coded-invnet(4,1)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same seed gives the same bits, whatever the number of threads. Small models train fastest on
//! one thread each, beside each other: `septet_core::nn::one_math_thread` sees to it.

mod coupling;
mod encoder;
mod error;
mod fit;
mod frozen;
mod groups;
mod layer;
mod mlp;
mod residual;
mod spectral;

pub use coupling::{CouplingNetwork, CouplingSize};
pub use encoder::{EncoderLoss, EncoderNetwork, EncoderSize};
pub use error::TrainError;
pub use fit::Fit;
pub use mlp::MlpNetwork;
pub use residual::ResidualNetwork;

use crate::images::Images;
use crate::network::{Batch, NetworkError};

/// The outputs of a model for all images, one after another, as one column each.
///
/// # Errors
///
/// Those of the model.
pub fn outputs(
    images: &Images,
    model: impl Fn(&Batch) -> Result<Batch, NetworkError>,
) -> Result<Batch, NetworkError> {
    let all: Vec<usize> = (0..images.len()).collect();
    let mut values = Vec::new();
    let mut width = 0;
    for indices in all.chunks(500) {
        let result = model(&images.batch(indices))?;
        width = result.nrows();
        values.extend_from_slice(result.as_slice());
    }
    let count = values.len().checked_div(width).unwrap_or(0);
    Ok(Batch::from_vec(width, count, values))
}
