//! Reads a csv trace, with columns in libCacheSim's notation up to the first zero byte.

#![no_main]

use septet_cache::trace::TraceFormat;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |&byte| byte == 0);
    let columns = parts.next().unwrap_or_default();
    let trace = parts.next().unwrap_or_default();
    let columns = std::str::from_utf8(columns).ok().and_then(|text| text.parse().ok());
    septet_cache_fuzz::read(TraceFormat::Csv, trace, columns.unwrap_or_default());
});
