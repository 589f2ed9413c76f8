//! Reads a table; the first byte chooses its columns.

#![no_main]

const FORMATS: [&str; 5] = ["csv:1", "csv:3:2", "csv:word", "csv:word:n", "tsv:n"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    septet_sketch_fuzz::read(FORMATS[usize::from(choice) % FORMATS.len()], input);
});
