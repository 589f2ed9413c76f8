//! What the tests of several operations share.

#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::Init;

use crate::nn::initial;
use crate::seed::SeedTree;

/// Standard normal values, in f64; the name selects the stream.
pub(super) fn draw(name: &str, shape: impl Into<Shape>) -> Tensor {
    let init = Init::Randn {
        mean: 0.0,
        stdev: 1.0,
    };
    initial(
        &SeedTree::new(11),
        name,
        shape,
        init,
        DType::F64,
        &Device::Cpu,
    )
    .unwrap()
}

#[track_caller]
pub(super) fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.dims(), expected.dims());
    let flat = |tensor: &Tensor| -> Vec<f64> {
        let tensor = tensor.to_dtype(DType::F64).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    };
    for (index, (found, expected)) in flat(found).iter().zip(flat(expected)).enumerate() {
        let scale = expected.abs().max(1.0);
        assert!(
            (found - expected).abs() <= tolerance * scale,
            "element {index}: {found} instead of {expected}"
        );
    }
}
