//! Decodes a SpaceSaving summary.

#![no_main]

use septet_sketch::heavy_hitters::SpaceSaving;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::decode::<SpaceSaving<String>>(input);
});
