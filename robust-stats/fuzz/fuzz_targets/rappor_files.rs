//! RAPPOR's text files: what is read is written to what reads as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_robust_stats::interop::*;
use septet_robust_stats::mechanism::Rappor;

fuzz_target!(|text: &str| {
    if let Ok(rappor) = read_parameters(text) {
        assert_eq!(read_parameters(&write_parameters(&rappor)).ok(), Some(rappor));
    }
    let rappor = Rappor::new(4, 2, 2, [0.25, 0.75, 0.5]).expect("in range");
    if let Ok(counts) = read_counts(rappor, text) {
        assert_eq!(read_counts(rappor, &write_counts(&counts)).ok(), Some(counts));
    }
    if let Ok(map) = read_map(&rappor, text) {
        assert_eq!(read_map(&rappor, &write_map(&map)).ok(), Some(map));
    }
});
