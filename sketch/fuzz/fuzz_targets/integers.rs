//! Reads a stream in the format `integers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::read("integers", input);
});
