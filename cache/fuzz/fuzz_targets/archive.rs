//! Reads all files of a zip archive as lists of ids.

#![no_main]

use septet_cache::trace::{Archive, TraceFormat};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    septet_cache_fuzz::with_file("zip", input, |path| {
        let options = septet_cache_fuzz::options();
        let Ok(mut archive) = Archive::open(path) else {
            return;
        };
        for name in archive.names().unwrap_or_default() {
            if let Ok(reader) = archive.reader(&name, TraceFormat::Txt, &options) {
                let _ = reader.map(|record| record.is_ok()).last();
            }
        }
    });
});
