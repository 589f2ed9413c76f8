//! Small images and networks that several tests share.

use septet_coded_serving::Tensor;
use septet_coded_serving::images::{Images, Strokes};
use septet_coded_serving::network::{Batch, Coupling, InvertibleClassifier, checkerboard};
use septet_coded_serving::train::{
    CouplingNetwork, CouplingSize, EncoderNetwork, EncoderSize, Fit,
};
use septet_core::seed::SeedTree;

pub(crate) const SIDE: usize = 8;
pub(crate) const WIDTH: usize = SIDE * SIDE;

pub(crate) fn seed() -> SeedTree {
    SeedTree::new(7)
}

pub(crate) fn images(count: usize) -> Images {
    Strokes::new(SIDE, &seed()).images(count, &seed().child(&count.to_string()))
}

pub(crate) fn size(spectral_bound: Option<f64>) -> CouplingSize {
    CouplingSize {
        order: checkerboard(SIDE, SIDE),
        blocks: 3,
        hidden: 24,
        classes: 10,
        spectral_bound,
    }
}

pub(crate) fn trained(spectral_bound: Option<f64>, steps: u64) -> InvertibleClassifier<Coupling> {
    let network = CouplingNetwork::new(size(spectral_bound), &seed()).unwrap();
    let fit = Fit::new(steps, 50, 5e-3);
    network.fit(&images(1000), &fit, &seed()).unwrap();
    network.classifier().unwrap()
}

pub(crate) fn query(images: &Images, index: usize) -> Tensor {
    Tensor::vector(images.image(index).to_vec())
}

pub(crate) fn encoder_network() -> EncoderNetwork {
    let size = EncoderSize {
        width: WIDTH,
        features: 16,
        hidden: 24,
    };
    EncoderNetwork::new(size, &seed()).unwrap()
}

pub(crate) fn differences(a: &Batch, b: &Batch) -> f32 {
    (a - b).amax()
}
