//! Reads a stream in the format `tuples13`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::read("tuples13", input);
});
