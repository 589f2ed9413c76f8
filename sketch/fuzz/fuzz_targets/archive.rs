//! Reads arrays of an archive.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::read_file("npz", "npz:x:y", input);
    septet_sketch_fuzz::read_file("npz", "npz::y", input);
});
