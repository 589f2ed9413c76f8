//! Decodes a count-sketch, of the counters that the file names.

#![no_main]

use septet_sketch::CountSketch;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    match input.get(6) {
        Some(2) => septet_sketch_fuzz::decode::<CountSketch<i16>>(input),
        Some(8) => septet_sketch_fuzz::decode::<CountSketch<i64>>(input),
        _ => septet_sketch_fuzz::decode::<CountSketch<i32>>(input),
    }
});
