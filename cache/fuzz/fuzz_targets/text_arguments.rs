//! Parses what a person writes: csv columns, formats, patterns, policies.

#![no_main]

use septet_cache::PolicySpec;
use septet_cache::trace::generate::Pattern;
use septet_cache::trace::{CsvOptions, TraceFormat};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = text.parse::<CsvOptions>();
    let _ = text.parse::<TraceFormat>();
    let _ = text.parse::<PolicySpec>();
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string().parse::<Pattern>().ok(), Some(pattern));
    }
});
