//! Reads compressed lines; the first byte chooses the compression.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    let extension = if choice % 2 == 0 { "gz" } else { "zst" };
    septet_sketch_fuzz::read_file(extension, "lines", input);
});
