//! Decodes a count-min sketch, of the counters that the file names.

#![no_main]

use septet_sketch::CountMin;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    match input.get(6) {
        Some(1) => septet_sketch_fuzz::decode::<CountMin<u8>>(input),
        Some(2) => septet_sketch_fuzz::decode::<CountMin<u16>>(input),
        Some(8) => septet_sketch_fuzz::decode::<CountMin<u64>>(input),
        _ => septet_sketch_fuzz::decode::<CountMin<u32>>(input),
    }
});
