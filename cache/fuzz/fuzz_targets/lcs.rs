//! Reads a trace in the format `lcs`.

#![no_main]

use septet_cache::trace::{CsvOptions, TraceFormat};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_cache_fuzz::read(TraceFormat::Lcs, input, CsvOptions::default());
});
