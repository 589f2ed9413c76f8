//! Invalid gRPC messages are rejected, and the values of decoded tensors match their shapes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_coded_serving::server::request_from_bytes;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = request_from_bytes(bytes) {
        for input in request.inputs {
            let product: usize = input.tensor.shape().iter().product();
            assert_eq!(product, input.tensor.values().len());
        }
    }
});
