//! Reads a compressed file of ids; the first byte chooses the compression.

#![no_main]

use septet_cache::trace::{self, TraceFormat};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let suffix = ["gz", "zst", "xz"][usize::from(*choice) % 3];
    septet_cache_fuzz::with_file(&format!("txt.{suffix}"), bytes, |path| {
        let options = septet_cache_fuzz::options();
        for record in trace::open(path, TraceFormat::Txt, &options).into_iter().flatten() {
            if record.is_err() {
                break;
            }
        }
    });
});
