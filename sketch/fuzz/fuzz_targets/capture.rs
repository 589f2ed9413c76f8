//! Reads a stream in the format `pcap`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_sketch_fuzz::read("pcap", input);
});
