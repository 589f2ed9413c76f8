//! Decodes a Misra-Gries summary.

#![no_main]

use septet_sketch::AnyKey;
use septet_sketch::heavy_hitters::MisraGries;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::decode::<MisraGries<AnyKey>>(input);
});
