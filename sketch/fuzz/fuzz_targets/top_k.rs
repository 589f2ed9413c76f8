//! Decodes candidates beside a sketch.

#![no_main]

use septet_sketch::heavy_hitters::TopK;
use septet_sketch::{AnyKey, CountMin};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::decode::<TopK<AnyKey, CountMin<u32>>>(input);
});
